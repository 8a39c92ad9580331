"""Asks over HTTP whether server and model are there, and what they are."""

import argparse
import sys

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException


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

    for what, answer in (
        ("server live", client.is_server_live()),
        ("server ready", client.is_server_ready()),
        ("model ready", client.is_model_ready("simple")),
    ):
        if not answer:
            sys.exit(f"error: not {what}")

    metadata = client.get_server_metadata()
    print(metadata)
    if metadata["name"] != "triton":
        sys.exit("error: the server has another name than 'triton'")
    metadata = client.get_model_metadata("simple")
    print(metadata)
    if metadata["name"] != "simple":
        sys.exit("error: the metadata is that of another model")

    try:
        print(client.get_model_metadata("wrong_model_name"))
    except InferenceServerException as error:
        if "Request for unknown model" not in error.message():
            sys.exit(f"error: the server refused in other words than expected: {error}")
    else:
        sys.exit("error: there is metadata of a model that is not there")


if __name__ == "__main__":
    main()
