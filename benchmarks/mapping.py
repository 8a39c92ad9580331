"""`python -m benchmarks.mapping`: `map` and `bulk` beside a loop written by hand.

The loop keeps 64 requests in flight, each a slice of one array as large as the model takes. It does
nothing for a single row, while `map` takes and yields them one by one. `bulk` stacks 64 columns of
a table; the command also reads them from a Parquet file, and writes an Arrow file. The embedded
server is a process of its own; all cases are measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather, parquet
from tests.support.servers.triton import free_ports

import tritonclient
from tritonclient import bulk, cli

MODELS = Path(__file__).parent.parent / "models"
MODEL, INPUT, OUTPUT = "digits", "IMAGE", "PROBABILITIES"
COLUMNS = {"IMAGE": "p0..p63"}
BATCH = 64
IN_FLIGHT = 64


def main() -> None:
    """Print rows per second of each case, and their ratio to the loop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    http, grpc = free_ports(2)
    serve = [sys.executable, "-m", "tritonclient", "serve", "--model-repository", str(MODELS)]
    serve += ["--http-port", str(http), "--grpc-port", str(grpc)]
    server = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for url in (f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}"):
            with tritonclient.Client(url) as client:
                client.wait_until_ready(MODEL, timeout=60)
            with tempfile.TemporaryDirectory() as folder:
                compare(url, arguments.rows, arguments.rounds, Path(folder))
    finally:
        server.terminate()
        server.wait()


def compare(url: str, count: int, rounds: int, folder: Path) -> None:
    """Measure all cases over one protocol in turns; every round checks the results."""
    images = np.random.default_rng(0).random((count, 1, 8, 8), np.float32)
    rows = list(images)
    pixels = images.reshape(count, 64)
    table = pa.table({f"p{i}": pixels[:, i] for i in range(64)})
    parquet.write_table(table, folder / "in.parquet")
    cases: dict[str, Callable[[], Any]] = {
        "loop": lambda: asyncio.run(loop(url, images)),
        "Client.map": lambda: mapped(url, rows),
        "AsyncClient.map": lambda: asyncio.run(mapped_async(url, rows)),
        "Client.map of batches": lambda: mapped(url, np.split(images, range(BATCH, count, BATCH))),
        "bulk.infer": lambda: outputs(bulk.infer(url, MODEL, table, columns=COLUMNS)),
        "tritonclient infer": lambda: command(url, folder),
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


def outputs(batches: Iterable[pa.RecordBatch]) -> Any:
    """Return the outputs in the record batches of `bulk.infer`."""
    columns = [batch.column(OUTPUT) for batch in batches]
    return np.concatenate([np.reshape(column.flatten(), (-1, 10)) for column in columns])


def command(url: str, folder: Path) -> Any:
    """Return the outputs that the command writes."""
    (name, columns), output = next(iter(COLUMNS.items())), folder / "out.arrow"
    given = ["-m", MODEL, "-i", str(folder / "in.parquet"), "-o", str(output), "-u", url]
    with contextlib.redirect_stderr(io.StringIO()):
        assert cli.main(["infer", *given, "--map", f"{name}={columns}", "--overwrite"]) == 0
    return outputs(feather.read_table(output).to_batches())


if __name__ == "__main__":
    main()
