"""How much load perf_analyzer makes, and how truly: `python -m benchmarks.load`, `make bench-perf`.

Ours and the official C++ program, which the environment variable PERF_ANALYZER names, take turns on
one server: a trivial one ("sink", on the same processors), and a real Triton where there is one.
Without that variable ours runs alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.perf import sink as sinks
from tests.support.servers import triton as real_triton

OURS = [sys.executable, "-c", "from tritonclient.perf.main import entry; entry()"]
DEADLINE = 120.0
WINDOW = "700"


class Run(NamedTuple):
    """A run: requests a second, p50 in microseconds, processor time a request, what was printed."""

    rate: float
    p50: float
    cpu: float
    out: str


def measure(program: list[str], *arguments: str) -> Run | None:
    """Run a program to its end; None if it does not give a result."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        command = [*program, *arguments, "-p", WINDOW, "-s", "1000", "-f", str(table), "-v"]
        before = _children()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            return None
        used = _children() - before
        if not table.exists():
            print(done.stdout[-500:], done.stderr[-500:])
            return None
        with table.open() as file:
            rows = list(csv.DictReader(file))
    if not rows:
        return None
    rate, p50 = float(rows[0]["Inferences/Second"]), float(rows[0]["p50 latency"])
    own = re.search(r"Load generator: ([0-9.]+) usec", done.stdout)
    seconds = 3 * 1.2 * float(WINDOW) / 1000
    return Run(rate, p50, float(own[1]) if own else 1e6 * used / (rate * seconds), done.stdout)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def programs() -> dict[str, list[str]]:
    """By name the programs to compare."""
    official = os.environ.get("PERF_ANALYZER")
    return {"ours": OURS, **({"official": [official]} if official else {})}


def compare(title: str, address: Callable[[str], list[str]], loads: list[int], rounds: int) -> None:
    """Let the programs take turns at each load."""
    print(f"\n{title}")
    print(f"  {'':<24}{'rate/s':>12}{'p50 us':>10}{'CPU us':>10}   (medians of {rounds} turns)")
    for protocol in ("http", "grpc"):
        for load in loads:
            found: dict[str, list[Run]] = {}
            for _ in range(rounds):
                for name, program in programs().items():
                    run = measure(
                        program, *address(protocol), "-i", protocol, "--concurrency-range",
                        str(load),
                    )  # fmt: skip
                    if run is not None:
                        found.setdefault(name, []).append(run)
            for name, runs in found.items():
                rate, p50, cpu = (statistics.median(each[i] for each in runs) for i in range(3))
                spread = f"{min(r.rate for r in runs):,.0f}-{max(r.rate for r in runs):,.0f}"
                print(f"  {protocol} c{load:<4}{name:<15}{rate:>12,.0f}{p50:>10,.0f}{cpu:>10.1f}"
                      f"   {spread}")  # fmt: skip


def rates(sink: sinks.Running) -> None:
    """Ask for rates, and let the server tell what came."""
    print("\nAsked rates, as the server saw them, and the lag that the program tells")
    for rate in (500, 2000, 5000, 10_000):
        before = sink.count()
        run = measure(OURS, "-m", "sink", "-u", sink.http, "--request-rate-range", str(rate), "-a")
        if run is None:
            print(f"  {rate}: no result")
            continue
        arrivals = sink.arrivals()[before:]
        seen = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) * 1e9
        gaps = sorted(b - a for a, b in pairwise(arrivals))
        lag = re.search(r"Schedule lag: .*", run.out)
        print(f"  {rate:>6}/s: {seen:,.2f}/s ({100 * (seen / rate - 1):+.3f}%), median gap "
              f"{gaps[len(gaps) // 2] / 1e3:.0f} us, {lag[0] if lag else ''}")  # fmt: skip


def memory(sink: sinks.Running, seconds: float) -> None:
    """Watch a worker's memory at full load, and how soon it sends."""
    before = sink.count()
    begun = time.monotonic()
    process = subprocess.Popen(
        [*OURS, "-m", "sink", "-u", sink.http, "--concurrency-range", "16", "--duration",
         str(seconds)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while sink.count() == before and process.poll() is None:
        time.sleep(0.005)
    first = time.monotonic() - begun
    print(f"\nStart: the first request came after {first:.2f} s")
    seen = []
    while process.poll() is None:
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            workers = [int(each) for each in file.read().split()]
        sizes = [size for pid in workers if (size := _resident(pid))]
        if sizes:
            seen.append(max(sizes))
        time.sleep(1)
    if seen:
        print(f"Memory of the largest worker: {seen[0]:.1f} MB at first, {seen[-1]:.1f} MB at last,"
              f" {max(seen):.1f} MB at most, over {seconds:g} s")  # fmt: skip


def _resident(pid: int) -> float:
    """Megabytes of a process; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0.0


@contextmanager
def _triton() -> Iterator[real_triton.RunningServer]:
    from tests.twins import build_repository

    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "models")
        build_repository(Path(__file__).parent.parent / "models", repository)
        with real_triton.start(repository) as server:
            yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=float, default=20, help="seconds of the memory check")
    parser.add_argument("--part", choices=("peak", "triton", "rates", "memory"), action="append")
    arguments = parser.parse_args()
    parts = arguments.part or ["peak", "rates", "memory", "triton"]
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with sinks.start() as sink:
        if "peak" in parts:
            compare(
                "Peak against a trivial server on the same processors",
                lambda p: ["-m", "sink", "-u", sink.http if p == "http" else sink.grpc],
                [1, 4, 8, 16],
                arguments.rounds,
            )
        if "rates" in parts:
            rates(sink)
        if "memory" in parts:
            memory(sink, arguments.memory)
    if "triton" in parts and real_triton.unavailable_reason() is None:
        with _triton() as server:
            ports = {"http": server.http_port, "grpc": server.grpc_port}
            compare(
                "Against a real Triton",
                lambda p: ["-m", "simple", "-u", f"127.0.0.1:{ports[p]}"],
                [1, 4],
                arguments.rounds,
            )
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
