"""Sends three sequences by turns on one gRPC stream."""

import argparse
import queue
import sys
import uuid
from functools import partial
from itertools import accumulate

import numpy as np

import tritonclient.grpc as grpcclient

VALUES = [11, 7, 5, 3, 2, 0, 1]


def expected(first, values, id, dyna):
    """Return the outputs of the models with numeric ids for a sequence."""
    answers = [first + 1, *values]
    if dyna:
        answers[-1] += id
    return answers


def expected_text(first, values, id, dyna):
    """Return the outputs of the model with text ids; with --dyna the sums so far."""
    if not dyna:
        return [first + 1, *values]
    answers = list(accumulate([first, *values]))
    answers[-1] += int(id)
    return answers


def requests(arguments):
    """The requests of three sequences by turns, as arguments of the client's methods."""
    numbers = 1000 + 2 * arguments.offset
    text = str(numbers + 2) if arguments.dyna else str(uuid.uuid4())
    negative = [-value for value in VALUES]
    model = "simple_dyna_sequence" if arguments.dyna else "simple_sequence"
    text_model = "simple_string_dyna_sequence" if arguments.dyna else "simple_sequence"
    sequences = (
        (model, numbers, [0, *VALUES]),
        (model, numbers + 1, [100, *negative]),
        (text_model, text, [20, *negative]),
    )
    for place in range(len(VALUES) + 1):
        for name, id, values in sequences:
            tensor = grpcclient.InferInput("INPUT", [1, 1], "INT32")
            tensor.set_data_from_numpy(np.array([[values[place]]], np.int32))
            yield {
                "model_name": name,
                "inputs": [tensor],
                "outputs": [grpcclient.InferRequestedOutput("OUTPUT")],
                "request_id": f"{id}_{place}",
                "sequence_id": id,
                "sequence_start": place == 0,
                "sequence_end": place == len(VALUES),
            }


def check(arguments, results):
    """Compare the answers of all sequences, by their requests' ids, with what is right."""
    answers = {}
    for result in results:
        sequence = result.get_response().id.rpartition("_")[0]
        answers.setdefault(sequence, []).append(int(result.as_numpy("OUTPUT")[0][0]))
    dyna, negative = arguments.dyna, [-value for value in VALUES]
    (one, first), (two, second), (three, third) = answers.items()
    wanted = {
        one: expected(0, VALUES, int(one), dyna),
        two: expected(100, negative, int(two), dyna),
        three: expected_text(20, negative, three, dyna),
    }
    for index, row in enumerate(zip(first, second, third)):
        print(f"[{index}] {' : '.join(map(str, row))}")
    if answers != wanted:
        print(f"[ expected ] {wanted}")
        sys.exit("error: a sequence was answered wrongly")


def keep(answers, result, error):
    """The callback of the stream."""
    answers.put(result if error is None else error)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument(
        "-u",
        "--url",
        type=lambda url: url.split("://")[-1],
        default="localhost:8001",
        help="the server's address",
    )
    parser.add_argument("-t", "--stream-timeout", type=float, help="seconds for the stream")
    parser.add_argument("-d", "--dyna", action="store_true", help="use the dynamic models")
    parser.add_argument("-o", "--offset", type=int, default=0, help="added to the sequences' ids")
    arguments = parser.parse_args()

    answers = queue.Queue()
    sent = list(requests(arguments))
    with grpcclient.InferenceServerClient(arguments.url, verbose=arguments.verbose) as client:
        client.start_stream(partial(keep, answers), stream_timeout=arguments.stream_timeout)
        for request in sent:
            client.async_stream_infer(**request)
        client.stop_stream()  # waits for all answers

    results = [answers.get_nowait() for _ in range(answers.qsize())]
    errors = [result for result in results if isinstance(result, Exception)]
    if errors:
        sys.exit(f"error: {errors[0]}")
    if len(results) != len(sent):
        sys.exit(f"error: {len(sent)} requests were sent, {len(results)} were answered")
    check(arguments, results)
    print("PASS: Sequence")


if __name__ == "__main__":
    main()
