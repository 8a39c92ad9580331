"""Sends and receives texts and bytes over HTTP, as JSON and as binary data."""

import argparse
import sys

import numpy as np

import tritonclient.http as httpclient


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


def check_identity(client, array, binary):
    tensor = httpclient.InferInput("INPUT0", [1, 16], "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary)
    output = httpclient.InferRequestedOutput("OUTPUT0", binary_data=binary)
    answer = client.infer("simple_identity", [tensor], outputs=[output]).as_numpy("OUTPUT0")
    for sent, received in zip(array[0], answer[0]):
        received = received if isinstance(received, bytes) else received.encode()
        if sent != received:
            sys.exit(f"error: sent {sent!r}, received {received!r}")


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
    client = httpclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)

    first = np.array([[str(number).encode() for number in range(16)]], np.object_)
    second = np.array([[b"1"] * 16], np.object_)
    inputs = [httpclient.InferInput(name, [1, 16], "BYTES") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first, binary_data=True)
    inputs[1].set_data_from_numpy(second, binary_data=False)
    outputs = [
        httpclient.InferRequestedOutput("OUTPUT0", binary_data=True),
        httpclient.InferRequestedOutput("OUTPUT1", binary_data=False),
    ]
    check_sums(client.infer("simple_string", inputs, outputs=outputs))

    # NUL bytes are bytes like any other.
    for array in (
        np.array([[b"he\x00llo"] * 16], np.object_),
        np.array([[b"\x00\x01\x02\x03"] * 16], np.bytes_),
    ):
        for binary in (True, False):
            check_identity(client, array, binary)
    print("PASS: string")


if __name__ == "__main__":
    main()
