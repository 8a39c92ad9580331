"""Shares one client between threads, and lets the client's own threads do the same work."""

import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
url = parser.parse_args().url


def inputs(number: int) -> dict[str, np.ndarray]:
    numbers = np.full((1, 16), number, np.int32)
    return {"INPUT0": numbers, "INPUT1": numbers}


with tritonclient.Client(url) as client:
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(lambda number: client.infer("simple", inputs(number)), range(8))
        print("threads:", *[int(result["OUTPUT0"][0, 0]) for result in results])

    futures = [client.submit("simple", inputs(number)) for number in range(8)]
    print("futures:", *[int(future.result()["OUTPUT0"][0, 0]) for future in futures])
