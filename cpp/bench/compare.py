"""Measure the C++ clients beside bare loops and perf_analyzer, on a real Triton: in the repository,

    PYTHONPATH=. .venv/bin/python cpp/bench/compare.py CLIENT_BENCH [PERF_ANALYZER] [ROUNDS]

All run by turns, and the least of each number is kept, since other work only adds to it. The
table goes to the standard output.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.servers import triton
from tests.support.servers.twins import build_repository

ROOT = Path(__file__).resolve().parents[2]

CASES = {"128 bytes": (128, 2000), "16 MiB each way": (16 << 20, 30)}
WAYS = {"http": "ours", "curl": "bare curl", "grpc": "ours", "stub": "generated stub"}


def ours(bench: str, way: str, address: str, size: int, calls: int) -> tuple[float, ...]:
    """Wall and processor time of a call in microseconds, and the peak memory in MiB."""
    command = [bench, way, address, str(size), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, processor, peak = map(float, done.stdout.split())
    return wall, processor, peak / 1024


def theirs(program: str, protocol: str, address: str, size: int) -> tuple[float, ...]:
    """The same of perf_analyzer, whose own work is included."""
    model = ["-m", "simple"] if size <= 128 else ["-m", "identity_fp32"]
    shape = [] if size <= 128 else ["--shape", f"INPUT0:{size // 4}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    load = ["--concurrency-range", "1", "-p", "3000", "-r", "3", "-s", "999", "-v"]
    command = [program, *model, *shape, "-u", address, "-i", protocol, "-b", "1", *load]
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    counted = sum(map(int, re.findall(r"Request count: (\d+)", done.stdout)))
    times = re.findall(r"Avg latency: (\d+) usec", done.stdout)
    if not counted or not times:
        raise RuntimeError(done.stdout[-500:] + done.stderr[-500:])
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return min(map(float, times)), spent * 1e6 / counted, after.ru_maxrss / 1024


def main(bench: str, analyzer: str | None = None, rounds: str = "5") -> None:
    best: dict[tuple[str, str], tuple[float, ...]] = {}

    def note(case: str, name: str, numbers: tuple[float, ...]) -> None:
        known = best.get((case, name))
        best[case, name] = tuple(map(min, known, numbers)) if known else numbers

    with contextlib.ExitStack() as stack:
        repository = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "models"
        build_repository(ROOT / "models", repository)
        server = stack.enter_context(triton.start(repository, control_mode="none"))
        addresses = {
            "HTTP": f"127.0.0.1:{server.http_port}",
            "gRPC": f"127.0.0.1:{server.grpc_port}",
        }
        for _ in range(int(rounds)):
            for case, (size, calls) in CASES.items():
                for way, name in WAYS.items():
                    protocol = "gRPC" if way in ("grpc", "stub") else "HTTP"
                    with contextlib.suppress(subprocess.CalledProcessError):
                        numbers = ours(bench, way, addresses[protocol], size, calls)
                        note(case, f"{protocol}, {name}", numbers)
        for case, (size, _) in CASES.items():
            for protocol in addresses if analyzer else ():
                with contextlib.suppress(RuntimeError):
                    numbers = theirs(analyzer, protocol.lower(), addresses[protocol], size)
                    note(case, f"{protocol}, perf_analyzer 2.48", numbers)
        print("| what | way | wall us | processor us | peak MiB |\n|---|---|---|---|---|")
        for (case, name), (wall, processor, peak) in best.items():
            print(f"| {case} | {name} | {wall:.0f} | {processor:.0f} | {peak:.0f} |")
        print()
        for protocol, way in (("HTTP", "http"), ("gRPC", "grpc")):
            rates = []
            for threads in (1, 4, 16):
                command = [bench, way, addresses[protocol], "128", "4000", str(threads)]
                wall = min(
                    float(subprocess.run(command, capture_output=True, text=True).stdout.split()[0])
                    for _ in range(3)
                )
                rates.append(f"{threads}: {1e6 / wall:.0f}")
            print(f"- {protocol}, calls per second by threads on one client: {', '.join(rates)}")
    print(f"\n{os.cpu_count()} cores.", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
