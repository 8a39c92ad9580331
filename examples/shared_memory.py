"""Infers with tensors in memory that is shared with the server, so that they do not travel."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

numbers = np.arange(16, dtype=np.int32)[None]
ones = np.ones((1, 16), np.int32)

with tritonclient.Client(url) as client, client.shared_memory() as memory:
    result = client.infer("simple", {"INPUT0": numbers, "INPUT1": ones}, shared_memory=memory)
    print("sum:", *result["OUTPUT0"][0])

    # Tensors that stay: what is written to them is what the next call finds.
    tensor = memory.put(numbers)
    total = memory.empty((1, 16), np.int32)
    for step in range(3):
        tensor.read()[:] = step
        client.infer(
            "simple", {"INPUT0": tensor, "INPUT1": ones}, outputs=[total.output("OUTPUT0")]
        )
        print(f"{step} + 1 =", total.read()[0, 0])
