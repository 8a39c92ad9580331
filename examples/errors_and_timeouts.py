"""Shows what can go wrong, and the exception that each kind of trouble raises."""

import argparse

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url

with tritonclient.Client(url, timeout=10) as client:  # seconds for a whole call
    try:
        client.infer("nowhere", {"INPUT0": [1]})
    except tritonclient.ServerError as error:  # the server understood, and refused
        print(f"refused: {error}")

    try:
        numbers = np.arange(3, dtype=np.int32)
        slow = {"INPUT0": numbers, "DELAY_MS": np.array([5000], np.int32)}
        client.infer("slow_identity", slow, timeout=0.2)
    except tritonclient.DeadlineExceeded as error:  # also a TimeoutError
        print(f"too slow: {error.message()}")

    try:
        client.infer("simple", {"INPUT0": [[1, 2], [3]]})
    except ValueError as error:  # a mistake in this program; nothing was sent
        print(f"wrong: {error}")

with tritonclient.Client("http://localhost:1") as client:
    print("live:", client.is_server_live())
    try:
        client.server_metadata()
    except tritonclient.ConnectionFailed as error:  # also a ConnectionError
        print(f"unreachable: {error.message()}")
