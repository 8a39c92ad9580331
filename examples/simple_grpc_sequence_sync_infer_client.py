"""Sends three sequences over gRPC, two with numbers and one with a text for its id."""

import argparse
import sys
import uuid
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


def send(client, model, first, values, id):
    """Send a sequence; the model's answers."""
    answers = []
    numbers = [first, *values]
    for place, number in enumerate(numbers):
        tensor = grpcclient.InferInput("INPUT", [1, 1], "INT32")
        tensor.set_data_from_numpy(np.array([[number]], np.int32))
        output = grpcclient.InferRequestedOutput("OUTPUT")
        result = client.infer(
            model,
            [tensor],
            outputs=[output],
            sequence_id=id,
            sequence_start=place == 0,
            sequence_end=place == len(numbers) - 1,
        )
        answers.append(int(result.as_numpy("OUTPUT")[0][0]))
    return answers


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
    parser.add_argument("-d", "--dyna", action="store_true", help="use the dynamic models")
    parser.add_argument("-o", "--offset", type=int, default=0, help="added to the sequences' ids")
    arguments = parser.parse_args()
    dyna = arguments.dyna

    numbers = 1000 + 2 * arguments.offset
    text = str(numbers + 2) if dyna else str(uuid.uuid4())
    negative = [-value for value in VALUES]
    model = "simple_dyna_sequence" if dyna else "simple_sequence"
    text_model = "simple_string_dyna_sequence" if dyna else "simple_sequence"

    client = grpcclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)
    results = [
        send(client, model, 0, VALUES, numbers),
        send(client, model, 100, negative, numbers + 1),
        send(client, text_model, 20, negative, text),
    ]
    wanted = [
        expected(0, VALUES, numbers, dyna),
        expected(100, negative, numbers + 1, dyna),
        expected_text(20, negative, text, dyna),
    ]
    for index, answers in enumerate(zip(*results)):
        print(f"[{index}] {' : '.join(map(str, answers))}")
    for answers, right in zip(results, wanted):
        if answers != right:
            print(f"[ expected ] {' : '.join(map(str, right))}")
            sys.exit("error: a sequence was answered wrongly")
    print("PASS: Sequence")


if __name__ == "__main__":
    main()
