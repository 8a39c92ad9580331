"""Runs many inferences at once on one event loop."""

import argparse
import asyncio

import numpy as np

import tritonclient
from tritonclient.cli.arguments import server_url


async def main(url: str) -> None:
    async with tritonclient.AsyncClient(url) as client:

        async def total(number: int) -> int:
            numbers = np.full((1, 16), number, np.int32)
            result = await client.infer("simple", {"INPUT0": numbers, "INPUT1": numbers})
            return int(result["OUTPUT0"][0, 0])

        # A task that is cancelled, or a timeout that passes, ends its request on the server too.
        totals = await asyncio.wait_for(asyncio.gather(*map(total, range(20))), timeout=30)
    print(*totals)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-u", "--url", type=server_url, default="http://localhost:8000")
    asyncio.run(main(parser.parse_args().url))
