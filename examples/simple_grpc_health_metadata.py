"""Asks over gRPC whether server and model are there, and what they are."""

import argparse
import sys

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException


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

    headers = {"test": "1", "dummy": "2"}
    for what, answer in (
        ("server live", client.is_server_live(headers)),
        ("server ready", client.is_server_ready(headers)),
        ("model ready", client.is_model_ready("simple", headers=headers)),
    ):
        if not answer:
            sys.exit(f"error: not {what}")

    metadata = client.get_server_metadata(headers)
    print(metadata)
    if metadata.name != "triton":
        sys.exit("error: the server has another name than 'triton'")
    metadata = client.get_model_metadata("simple", headers=headers)
    print(metadata)
    if metadata.name != "simple":
        sys.exit("error: the metadata is that of another model")
    configuration = client.get_model_config("simple", headers=headers)
    print(configuration)
    if configuration.config.name != "simple":
        sys.exit("error: the configuration is that of another model")

    try:
        print(client.get_model_metadata("wrong_model_name", headers=headers))
    except InferenceServerException as error:
        if "Request for unknown model" not in error.message():
            sys.exit(f"error: the server refused in other words than expected: {error}")
    else:
        sys.exit("error: there is metadata of a model that is not there")


if __name__ == "__main__":
    main()
