"""Loads and unloads a model over HTTP; the server must be in model control mode "explicit".

The official program expects the number of models that its own repository has; this one looks for
the model that it controls.
"""

import argparse
import json
import sys

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

MODEL = "simple"


def fail(text):
    sys.exit(f"error: {text}")


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

    names = {row["name"] for row in client.get_model_repository_index()}
    if MODEL not in names:
        fail(f"the repository has no model {MODEL!r}")
    client.load_model(MODEL)
    if not client.is_model_ready(MODEL):
        fail("the model is not ready after it was loaded")

    try:
        client.load_model(MODEL, config='{"max_batch_size": "not a number"}')
    except InferenceServerException as error:
        if "failed to load" not in error.message():
            fail(f"the server refused in other words than expected: {error}")
    else:
        fail("a configuration that is none was accepted")

    # The model's own configuration stays, but for what is given here.
    before = client.get_model_config(MODEL)
    client.load_model(MODEL, config=json.dumps({**before, "max_batch_size": "16"}))
    if client.get_model_config(MODEL)["max_batch_size"] != 16:
        fail("the model was loaded with another configuration")

    client.unload_model(MODEL)
    if client.is_model_ready(MODEL):
        fail("the model is ready after it was unloaded")
    client.load_model(MODEL)

    try:
        client.load_model("wrong_model_name")
    except InferenceServerException as error:
        if "failed to load" not in error.message():
            fail(f"the server refused in other words than expected: {error}")
    else:
        fail("a model that is not there was loaded")
    print("PASS: model control")


if __name__ == "__main__":
    main()
