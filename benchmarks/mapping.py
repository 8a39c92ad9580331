"""`python -m benchmarks.mapping`: `map` beside a loop written by hand, on the embedded server.

The loop keeps 64 requests in flight, each a slice of one array as large as the model takes. It does
nothing for a single row, while `map` takes and yields them one by one. The server is a process of
its own; all cases are measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.servers.triton import free_ports

import tritonclient

MODELS = Path(__file__).parent.parent / "models"
MODEL, INPUT, OUTPUT = "digits", "IMAGE", "PROBABILITIES"
BATCH = 64
IN_FLIGHT = 64


def main() -> None:
    """Print rows per second of each case, and their ratio to the loop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    http, grpc = free_ports(2)
    command = [sys.executable, "-m", "tritonclient", "serve", "--model-repository", str(MODELS)]
    command += ["--http-port", str(http), "--grpc-port", str(grpc)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for url in (f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}"):
            with tritonclient.Client(url) as client:
                client.wait_until_ready(MODEL, timeout=60)
            compare(url, arguments.rows, arguments.rounds)
    finally:
        server.terminate()
        server.wait()


def compare(url: str, count: int, rounds: int) -> None:
    """Measure all cases over one protocol in turns; every round checks the results."""
    images = np.random.default_rng(0).random((count, 1, 8, 8), np.float32)
    rows = list(images)
    cases: dict[str, Callable[[], Any]] = {
        "loop": lambda: asyncio.run(loop(url, images)),
        "Client.map": lambda: mapped(url, rows),
        "AsyncClient.map": lambda: asyncio.run(mapped_async(url, rows)),
        "Client.map of batches": lambda: mapped(url, np.split(images, range(BATCH, count, BATCH))),
    }
    took: dict[str, list[float]] = {name: [] for name in cases}
    expected = cases["loop"]()
    for _ in range(rounds):
        for name, case in cases.items():
            start = time.perf_counter()
            found = case()
            took[name].append(time.perf_counter() - start)
            np.testing.assert_allclose(found, expected, atol=1e-5)
    for name, seconds in took.items():
        pairs = zip(took["loop"], seconds, strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        rate = count / statistics.median(seconds)
        print(f"{url.split(':')[0]:5} {name:22} {rate:9,.0f} rows/s {ratio:5.2f}x", flush=True)


async def loop(url: str, images: Any) -> Any:
    """Return the outputs for images, as a program without `map` asks for them."""
    parts: dict[int, Any] = {}
    async with tritonclient.AsyncClient(url) as client:
        free = asyncio.Semaphore(IN_FLIGHT)

        async def send(start: int) -> None:
            async with free:
                result = await client.infer(MODEL, {INPUT: images[start : start + BATCH]})
                parts[start] = result[OUTPUT]

        await asyncio.gather(*(send(start) for start in range(0, len(images), BATCH)))
    return np.concatenate([parts[start] for start in sorted(parts)])


def mapped(url: str, items: Any) -> Any:
    """Return the outputs for rows or batches, by a blocking client."""
    with tritonclient.Client(url) as client:
        parts = [result[OUTPUT] for result in client.map(MODEL, items)]
    return np.reshape(np.concatenate(parts), (-1, 10))


async def mapped_async(url: str, rows: Any) -> Any:
    """Return the outputs for rows, by an asyncio client."""
    async with tritonclient.AsyncClient(url) as client:
        parts = [result[OUTPUT] async for result in client.map(MODEL, rows)]
    return np.reshape(np.concatenate(parts), (-1, 10))


if __name__ == "__main__":
    main()
