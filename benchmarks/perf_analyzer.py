"""Latency of small blocking calls beside the official C++ client, as its perf_analyzer tells it.

The environment variable PERF_ANALYZER names the program; the two take turns on one server.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from .cases import CASES
from .children import DEADLINE, Failed, Laboratory

ROUNDS = 4
REQUESTS = 2000
_NAMES = {"http": "blocking", "grpc": "grpc-blocking"}


class Latency(NamedTuple):
    """Medians of a call in seconds, one per round."""

    protocol: str
    official: tuple[float, ...]
    ours: tuple[float, ...]


def program() -> str | None:
    """The perf_analyzer to use, if there is one."""
    return os.environ.get("PERF_ANALYZER")


def compare(lab: Laboratory, rounds: int = ROUNDS) -> list[Latency]:
    """Measure both clients in turns, over each protocol.

    Raises:
        Failed: perf_analyzer, or ours, could not measure.
    """
    found = []
    for protocol, name in _NAMES.items():
        (case,) = (case for case in CASES if case.name == name)
        official, ours = [], []
        for _ in range(rounds):
            official.append(_official(lab.server_url(protocol)))
            ours.append(lab.measure("ours", case, REQUESTS).median)
        found.append(Latency(protocol, tuple(official), tuple(ours)))
    return found


def _official(url: str) -> float:
    protocol, _, address = url.partition("://")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "latency.csv")
        command = [program() or "", "-m", "simple", "-i", protocol, "-u", address, "-b", "1"]
        command += ["--concurrency-range", "1", "--measurement-mode", "count_windows"]
        command += ["--measurement-request-count", str(REQUESTS), "-s", "50", "-f", str(table)]
        try:
            subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True, text=True)
        except subprocess.TimeoutExpired:
            raise Failed(f"perf_analyzer: no result after {DEADLINE:g} s") from None
        except subprocess.CalledProcessError as error:
            raise Failed(f"perf_analyzer: {(error.stderr or error.stdout)[-2000:]}") from None
        with table.open() as file:
            (row,) = csv.DictReader(file)
    return float(row["p50 latency"]) / 1e6


def line(latency: Latency) -> str:
    """One line on a protocol."""
    texts = [
        f"{name} {'/'.join(f'{1e6 * median:.0f}' for median in medians)} us"
        for name, medians in (("perf_analyzer", latency.official), ("ours", latency.ours))
    ]
    quotient = statistics.median(latency.ours) / statistics.median(latency.official)
    return f"{latency.protocol}: medians of {', '.join(texts)}; {quotient:.2f}x"
