"""Lets gRPC ask a silent server for signs of life."""

import argparse
import sys

import numpy as np

import tritonclient.grpc as grpcclient


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
    parser.add_argument(
        "--grpc-keepalive-time",
        type=int,
        default=2**31 - 1,
        help="milliseconds of silence after which a ping is sent",
    )
    parser.add_argument(
        "--grpc-keepalive-timeout",
        type=int,
        default=20000,
        help="milliseconds that its answer may take",
    )
    parser.add_argument(
        "--grpc-keepalive-permit-without-calls",
        action="store_true",
        help="also while no request is in work",
    )
    parser.add_argument(
        "--grpc-http2-max-pings-without-data",
        type=int,
        default=2,
        help="pings in a row while no message is sent",
    )
    arguments = parser.parse_args()
    options = grpcclient.KeepAliveOptions(
        keepalive_time_ms=arguments.grpc_keepalive_time,
        keepalive_timeout_ms=arguments.grpc_keepalive_timeout,
        keepalive_permit_without_calls=arguments.grpc_keepalive_permit_without_calls,
        http2_max_pings_without_data=arguments.grpc_http2_max_pings_without_data,
    )
    client = grpcclient.InferenceServerClient(
        arguments.url, verbose=arguments.verbose, keepalive_options=options
    )

    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    result = client.infer("simple", inputs, outputs=outputs)
    show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))
    print("PASS: KeepAlive")


if __name__ == "__main__":
    main()
