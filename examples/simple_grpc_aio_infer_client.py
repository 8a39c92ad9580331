"""Adds and subtracts over gRPC on an event loop, one request after the other and two at once."""

import argparse
import asyncio
import sys

import numpy as np

import tritonclient.grpc.aio as grpcclient
from tritonclient.utils import InferenceServerException


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


async def run(arguments):
    options = {
        "client_timeout": arguments.client_timeout,
        "compression_algorithm": arguments.grpc_compression_algorithm,
    }
    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.ones((1, 16), np.int32)
    inputs = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first)
    inputs[1].set_data_from_numpy(second)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    try:
        client = grpcclient.InferenceServerClient(
            arguments.url,
            verbose=arguments.verbose,
            ssl=arguments.ssl,
            root_certificates=arguments.root_certificates,
            private_key=arguments.private_key,
            certificate_chain=arguments.certificate_chain,
        )
        async with client:
            result = await client.infer(
                "simple", inputs, outputs=outputs, headers={"test": "1"}, **options
            )
            show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))

            statistics = await client.get_inference_statistics("simple")
            print(statistics)
            if len(statistics.model_stats) != 1:
                sys.exit("error: expected the statistics of one model")

            # Two requests at once; without a list of outputs all are returned.
            calls = [client.infer("simple", inputs, **options) for _ in range(2)]
            for result in await asyncio.gather(*calls):
                show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))
    except (InferenceServerException, OSError) as error:
        sys.exit(f"error: {error}")
    print("PASS: grpc aio infer")


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
    parser.add_argument("-s", "--ssl", action="store_true", help="use TLS")
    parser.add_argument("-t", "--client-timeout", type=float, help="seconds for a request")
    parser.add_argument("-r", "--root-certificates", help="authorities to trust (PEM)")
    parser.add_argument("-p", "--private-key", help="key of the client's certificate (PEM)")
    parser.add_argument("-x", "--certificate-chain", help="the client's certificate (PEM)")
    parser.add_argument("-C", "--grpc-compression-algorithm", choices=("deflate", "gzip"))
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
