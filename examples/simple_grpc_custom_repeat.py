"""Sends one request to a decoupled model, which answers it ten times."""

import argparse
import queue
import sys
from functools import partial

import numpy as np

import tritonclient.grpc as grpcclient

COUNT = 10
FIRST = 100
DELAY = 1000  # milliseconds before each response


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
    arguments = parser.parse_args()

    values = np.arange(FIRST, FIRST + COUNT, dtype=np.int32)
    inputs = [
        grpcclient.InferInput("IN", [COUNT], "INT32"),
        grpcclient.InferInput("DELAY", [COUNT], "UINT32"),
        grpcclient.InferInput("WAIT", [1], "UINT32"),
    ]
    inputs[0].set_data_from_numpy(values)
    inputs[1].set_data_from_numpy(np.full(COUNT, DELAY, np.uint32))
    inputs[2].set_data_from_numpy(np.array([DELAY], np.uint32))

    answers = queue.Queue()
    with grpcclient.InferenceServerClient(arguments.url, verbose=arguments.verbose) as client:
        client.start_stream(partial(keep, answers))
        client.async_stream_infer(
            "repeat_int32", inputs, outputs=[grpcclient.InferRequestedOutput("OUT")]
        )
        for expected in values:
            answer = answers.get()
            if isinstance(answer, Exception):
                sys.exit(f"error: {answer}")
            (value,) = answer.as_numpy("OUT")
            print(f"{value} : {expected}")
            if value != expected:
                sys.exit("error: an incorrect response")
    print("PASS: Decoupled API")


if __name__ == "__main__":
    main()
