"""Sends and receives texts and bytes over gRPC."""

import argparse
import sys

import numpy as np

import tritonclient.grpc as grpcclient


def check_sums(result):
    """The answers are texts of numbers, as bytes or, from JSON, as text."""
    sums, differences = (
        [int(item) for item in result.as_numpy(name)[0]] for name in ("OUTPUT0", "OUTPUT1")
    )
    for a, total, difference in zip(range(16), sums, differences):
        print(f"{a} + 1 = {total}")
        print(f"{a} - 1 = {difference}")
        if a + 1 != total or a - 1 != difference:
            sys.exit("error: incorrect sum or difference")


def check_identity(client, array):
    tensor = grpcclient.InferInput("INPUT0", [1, 16], "BYTES")
    tensor.set_data_from_numpy(array)
    output = grpcclient.InferRequestedOutput("OUTPUT0")
    answer = client.infer("simple_identity", [tensor], outputs=[output]).as_numpy("OUTPUT0")
    if answer.tolist() != array.tolist():
        sys.exit(f"error: sent {array!r}, received {answer!r}")


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
    client = grpcclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)

    first = np.array([[str(number).encode() for number in range(16)]], np.object_)
    second = np.array([[b"1"] * 16], np.object_)
    inputs = [grpcclient.InferInput(name, [1, 16], "BYTES") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    check_sums(client.infer("simple_string", inputs, outputs=outputs))

    # NUL bytes are bytes like any other.
    check_identity(client, np.array([[b"he\x00llo"] * 16], np.object_))
    check_identity(client, np.array([[b"\x00\x01\x02\x03"] * 16], np.bytes_))
    print("PASS: string")


if __name__ == "__main__":
    main()
