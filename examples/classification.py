"""Asks for the best classes of an output, with their labels, instead of the whole tensor."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

# A handwritten 1, one character per pixel: the model reads 8x8 grey values from -1 to 1.
DRAWING = """
...##...
..###...
.####...
...##...
...##...
...##...
...##...
..####..
"""
pixels = np.array([[c == "#" for c in row] for row in DRAWING.split()], np.float32) * 2 - 1

with tritonclient.Client(url) as client:
    result = client.infer(
        "digits",
        {"IMAGE": pixels[None, None]},  # [batch, channel, height, width]
        outputs=[tritonclient.RequestedOutput("PROBABILITIES", classes=3)],
    )
    for best in result.classes("PROBABILITIES")[0]:
        print(f"{best.value:.3f} {best.index} {best.label}")
