"""Latency of small blocking calls beside the official C++ client, measured by its perf_analyzer.

The environment variable PERF_ANALYZER names the program.
"""

from __future__ import annotations

import csv
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .conductor import Conductor, output
from .sides import SIDES

ROUNDS = 4
REQUESTS = 2000
SECONDS = 0.5  # takes about as many requests


def program() -> str | None:
    """Return the perf_analyzer to use, if there is one."""
    return os.environ.get("PERF_ANALYZER")


def compare(conductor: Conductor) -> Iterator[str]:
    """Measure both clients in turns; a line on each protocol.

    Raises:
        Failed: perf_analyzer, or ours, could not measure.
    """
    worker = conductor.worker(SIDES["ours"])
    for protocol in ("http", "grpc"):
        url = conductor.url(protocol)
        worker.ask(open=f"{protocol}-blocking", url=url)
        official, ours = [], []
        for _ in range(ROUNDS):
            with conductor.pinned():
                official.append(_official(url))
            ours.append(statistics.median(worker.ask(run=SECONDS)["latencies"]))
        texts = [
            f"{name} {'/'.join(f'{1e6 * median:.0f}' for median in medians)} us"
            for name, medians in (("perf_analyzer", official), ("ours", ours))
        ]
        quotient = statistics.median(ours) / statistics.median(official)
        yield f"- {protocol}: medians of {', '.join(texts)}; {quotient:.2f}x"


def _official(url: str) -> float:
    protocol, _, address = url.partition("://")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "latency.csv")
        command = [program() or "", "-m", "simple", "-i", protocol, "-u", address, "-b", "1"]
        command += ["--concurrency-range", "1", "--measurement-mode", "count_windows"]
        command += ["--measurement-request-count", str(REQUESTS), "-s", "50", "-f", str(table)]
        output(command)
        with table.open() as file:
            (row,) = csv.DictReader(file)
    return float(row["p50 latency"]) / 1e6
