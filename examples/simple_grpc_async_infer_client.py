"""Sends a request over gRPC and is called back with its result."""

import argparse
import queue
import sys
from functools import partial

import numpy as np

import tritonclient.grpc as grpcclient

PATIENCE = 10  # seconds


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def keep(answers, result, error):
    """The callback; the client calls it with `result` and `error` by name."""
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
    parser.add_argument("-t", "--client-timeout", type=float, help="seconds for the request")
    arguments = parser.parse_args()

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]

    client = grpcclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)
    answers = queue.Queue()
    client.async_infer(
        "simple",
        inputs,
        partial(keep, answers),
        outputs=outputs,
        client_timeout=arguments.client_timeout,
    )
    try:
        answer = answers.get(timeout=PATIENCE)
    except queue.Empty:
        sys.exit(f"error: no answer within {PATIENCE} s")
    if isinstance(answer, Exception):
        sys.exit(f"error: {answer}")
    show(first, second, answer.as_numpy("OUTPUT0"), answer.as_numpy("OUTPUT1"))
    print("PASS: Async infer")


if __name__ == "__main__":
    main()
