"""Adds and subtracts over HTTP on an event loop, one request after the other and two at once."""

import argparse
import asyncio
import ssl
import sys

import numpy as np

import tritonclient.http.aio as httpclient
from tritonclient.utils import InferenceServerException


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def make_client(arguments):
    context = None  # the defaults of TLS
    if arguments.insecure:
        context = False  # verifies nothing
    elif arguments.ca_certs or arguments.cert_file:
        context = ssl.create_default_context(cafile=arguments.ca_certs)
        if arguments.cert_file:
            context.load_cert_chain(arguments.cert_file, arguments.key_file)
    return httpclient.InferenceServerClient(
        arguments.url, verbose=arguments.verbose, ssl=arguments.ssl, ssl_context=context
    )


def header(text):
    """The name and the value of an HTTP header."""
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not Header:Value")
    return name, value


async def run(arguments):
    options = {
        "headers": dict(arguments.headers),
        "request_compression_algorithm": arguments.request_compression_algorithm,
        "response_compression_algorithm": arguments.response_compression_algorithm,
    }
    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.full((1, 16), -1, np.int32)
    inputs = [httpclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first, binary_data=False)
    inputs[1].set_data_from_numpy(second, binary_data=True)
    outputs = [
        httpclient.InferRequestedOutput("OUTPUT0", binary_data=True),
        httpclient.InferRequestedOutput("OUTPUT1", binary_data=False),
    ]
    async with make_client(arguments) as client:
        query = {"test_1": 1, "test_2": 2}
        result = await client.infer(
            "simple", inputs, outputs=outputs, query_params=query, **options
        )
        print(result.get_response())
        show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))

        # Two requests at once; without a list of outputs all are returned.
        calls = [client.infer("simple", inputs, **options) for _ in range(2)]
        for result in await asyncio.gather(*calls):
            show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))

        statistics = await client.get_inference_statistics("simple", headers=options["headers"])
        print(statistics)
        if len(statistics["model_stats"]) != 1:
            sys.exit("error: expected the statistics of one model")
        try:
            await client.infer("wrong_model_name", inputs, **options)
        except InferenceServerException as error:
            print(error)
            if not error.message().startswith("Request for unknown model"):
                sys.exit("error: the server refused in other words than expected")
        else:
            sys.exit("error: a model that is not there has answered")
    print("PASS: infer")


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
    parser.add_argument("-s", "--ssl", action="store_true", help="use TLS")
    parser.add_argument("--key-file", help="key of the client's certificate (PEM)")
    parser.add_argument("--cert-file", help="the client's certificate (PEM)")
    parser.add_argument("--ca-certs", help="certificate authorities to trust (PEM)")
    parser.add_argument("--insecure", action="store_true", help="trust any server")
    parser.add_argument(
        "-H", dest="headers", metavar="Header:Value", type=header, action="append", default=[]
    )
    parser.add_argument("--request-compression-algorithm", choices=("gzip", "deflate"))
    parser.add_argument("--response-compression-algorithm", choices=("gzip", "deflate"))
    try:
        asyncio.run(run(parser.parse_args()))
    # The official client lets errors of aiohttp through, which is not imported here.
    except Exception as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
