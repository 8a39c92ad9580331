"""Sends two requests over HTTP at once, and asks for their results later."""

import argparse
import sys

import numpy as np

import tritonclient.http as httpclient


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is sent")
    parser.add_argument(
        "-u",
        "--url",
        type=lambda url: url.split("://")[-1],
        default="localhost:8000",
        help="the server's address",
    )
    arguments = parser.parse_args()

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [httpclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [httpclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]

    client = httpclient.InferenceServerClient(
        arguments.url, verbose=arguments.verbose, concurrency=2
    )
    requests = [client.async_infer("simple", inputs, outputs=outputs) for _ in range(2)]
    for request in requests:
        result = request.get_result()
        print(result.get_response())
        show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))


if __name__ == "__main__":
    main()
