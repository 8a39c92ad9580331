"""Runs a model that adds and subtracts two lists of numbers."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

first = np.arange(16, dtype=np.int32)[None]  # [1, 16]: a batch of one
second = np.ones((1, 16), np.int32)

with tritonclient.Client(url) as client:
    result = client.infer("simple", {"INPUT0": first, "INPUT1": second})

for a, b, total, difference in zip(
    first[0], second[0], result["OUTPUT0"][0], result["OUTPUT1"][0], strict=True
):
    print(f"{a} + {b} = {total}, {a} - {b} = {difference}")
