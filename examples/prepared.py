"""Builds a request once and sends it many times, with new numbers in the same array."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

numbers = np.zeros((1, 16), np.int32)
ones = np.ones((1, 16), np.int32)

with tritonclient.Client(url) as client:
    call = client.prepare("simple", {"INPUT0": numbers, "INPUT1": ones}, outputs=["OUTPUT0"])
    for step in range(3):
        numbers[:] = step * 10  # the request refers to the array, so this is what is sent next
        print(client.infer_prepared(call)["OUTPUT0"][0, 0])
