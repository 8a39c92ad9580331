"""Loads and unloads models, on a server whose model control mode is "explicit"."""

import argparse

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

with tritonclient.Client(url) as client:
    client.load_model("simple")
    print("after loading:", client.is_model_ready("simple"))

    client.unload_model("simple")
    print("after unloading:", client.is_model_ready("simple"))

    # With a configuration of one's own, instead of the repository's.
    client.load_model("simple_string")
    config = client.model_config("simple_string") | {"max_batch_size": 16}
    client.load_model("simple_string", config=config)
    print("largest batch:", client.model_config("simple_string")["max_batch_size"])

    for model in client.repository_index(ready=True):
        print("ready:", model.name, "version", model.version)
