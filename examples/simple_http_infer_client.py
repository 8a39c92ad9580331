"""Adds and subtracts over HTTP, with JSON and binary tensors, TLS, headers and compression."""

import argparse
import ssl
import sys

import numpy as np

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException


def show(first, second, sums, differences):
    """Print each sum and difference; end the program when one is wrong."""
    for a, b, total, difference in zip(first[0], second[0], sums[0], differences[0]):
        print(f"{a} + {b} = {total}")
        print(f"{a} - {b} = {difference}")
        if a + b != total or a - b != difference:
            sys.exit("error: incorrect sum or difference")


def make_client(arguments):
    if not arguments.ssl:
        return httpclient.InferenceServerClient(arguments.url, verbose=arguments.verbose)
    options = {
        "keyfile": arguments.key_file,
        "certfile": arguments.cert_file,
        "ca_certs": arguments.ca_certs,
    }
    return httpclient.InferenceServerClient(
        arguments.url,
        verbose=arguments.verbose,
        ssl=True,
        ssl_options={name: value for name, value in options.items() if value},
        insecure=arguments.insecure,
        ssl_context_factory=unverified if arguments.insecure else None,
    )


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def make_inputs(first, second):
    inputs = [httpclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(first, binary_data=False)
    inputs[1].set_data_from_numpy(second, binary_data=True)
    return inputs


def header(text):
    """The name and the value of an HTTP header."""
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not Header:Value")
    return name, value


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
    arguments = parser.parse_args()
    options = {
        "headers": dict(arguments.headers),
        "request_compression_algorithm": arguments.request_compression_algorithm,
        "response_compression_algorithm": arguments.response_compression_algorithm,
    }
    first = np.arange(16, dtype=np.int32).reshape(1, 16)
    second = np.full((1, 16), -1, np.int32)
    inputs = make_inputs(first, second)
    outputs = [
        httpclient.InferRequestedOutput("OUTPUT0", binary_data=True),
        httpclient.InferRequestedOutput("OUTPUT1", binary_data=False),
    ]
    try:
        client = make_client(arguments)
        query = {"test_1": 1, "test_2": 2}
        result = client.infer("simple", inputs, outputs=outputs, query_params=query, **options)
        print(result.get_response())
        show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))

        # Without a list of outputs all are returned.
        result = client.infer("simple", inputs, **options)
        show(first, second, result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1"))

        statistics = client.get_inference_statistics("simple", headers=options["headers"])
        print(statistics)
        if len(statistics["model_stats"]) != 1:
            sys.exit("error: expected the statistics of one model")
    except (InferenceServerException, OSError) as error:
        sys.exit(f"error: {error}")

    try:
        client.infer("wrong_model_name", inputs, **options)
    except InferenceServerException as error:
        print(error)
        if not error.message().startswith("Request for unknown model"):
            sys.exit("error: the server refused in other words than expected")
    else:
        sys.exit("error: a model that is not there has answered")


if __name__ == "__main__":
    main()
