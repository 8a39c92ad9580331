"""Loads and unloads a model over gRPC; the server must be in model control mode "explicit".

The official program expects the number of models that its own repository has; this one looks for
the model that it controls.
"""

import argparse
import json
import sys

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

MODEL = "simple"
BROKEN = {"file:" + "A" * 256: b"no model"}


def fail(text):
    print("FAILED")
    sys.exit(f"error: {text}")


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

    names = {row.name for row in client.get_model_repository_index().models}
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
    before = client.get_model_config(MODEL, as_json=True)["config"]
    client.load_model(MODEL, config=json.dumps({**before, "max_batch_size": "16"}))
    if client.get_model_config(MODEL).config.max_batch_size != 16:
        fail("the model was loaded with another configuration")

    # A file that can't be written: the server says so and lives on.
    try:
        client.load_model("simple_copy", config='{"backend": "onnxruntime"}', files=BROKEN)
    except InferenceServerException as error:
        if (
            error.status() != "StatusCode.INTERNAL"
            or "failed to poll from model repository" not in error.message()
        ):
            fail(f"the server refused in other words than expected: {error}")
    else:
        fail("a file that can't be written was loaded")
    if not client.is_server_live():
        fail("the server is no longer live")

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
