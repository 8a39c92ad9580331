"""Sends texts and bytes, and gets them back as bytes."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

with tritonclient.Client(url) as client:
    # Texts are sent as UTF-8. Bytes are sent as they are, NUL bytes included.
    mixed = np.array(["naïve", "日本", b"\x00\xff\x00"], object)
    result = client.infer("identity_bytes", {"INPUT0": mixed})
    for element in result["OUTPUT0"]:
        print(element)

    # The model `simple_string` reads numbers written as text.
    numbers = [[str(number) for number in range(16)]]
    result = client.infer("simple_string", {"INPUT0": numbers, "INPUT1": numbers})
    print(*[text.decode() for text in result["OUTPUT0"][0]])
