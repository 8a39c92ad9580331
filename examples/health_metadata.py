"""Asks a server how it is, what it serves, and what it has done."""

import argparse

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

with tritonclient.Client(url) as client:
    client.wait_until_ready("simple", timeout=30)
    print("live:", client.is_server_live())
    print("ready:", client.is_server_ready())
    print("model nowhere is ready:", client.is_model_ready("nowhere"))

    server = client.server_metadata()
    print(f"server: {server.name} {server.version}")

    model = client.model_metadata("simple")
    for tensor in model.inputs:
        print(f"input: {tensor.name} {tensor.datatype} {list(tensor.shape)}")
    for tensor in model.outputs:
        print(f"output: {tensor.name} {tensor.datatype} {list(tensor.shape)}")
    print("largest batch:", client.model_config("simple")["max_batch_size"])

    (statistics,) = client.statistics("simple")
    print("inferences:", statistics.inference_count)
