"""Makes a gRPC client with channel arguments, instead of those that it would choose itself."""

import argparse
import sys

import numpy as np

import tritonclient.grpc as grpcclient

CHANNEL_ARGUMENTS = [
    ("grpc.max_send_message_length", 2**20),
    ("grpc.max_receive_message_length", 2**20),
    ("grpc.keepalive_time_ms", 2**31 - 1),
    ("grpc.keepalive_timeout_ms", 20000),
    ("grpc.keepalive_permit_without_calls", False),
    ("grpc.http2.max_pings_without_data", 2),
    ("grpc.dns_enable_srv_queries", 1),
]


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
        default="localhost:8001",
        help="the server's address",
    )
    arguments = parser.parse_args()
    client = grpcclient.InferenceServerClient(
        arguments.url, verbose=arguments.verbose, channel_args=CHANNEL_ARGUMENTS
    )

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    result = client.infer("simple", inputs, outputs=outputs)
    show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))
    print("PASS: CustomArgs")


if __name__ == "__main__":
    main()
