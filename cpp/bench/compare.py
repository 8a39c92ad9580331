"""Measure the C++ clients beside bare loops and the official perf_analyzer, on a real Triton:

    PYTHONPATH=. .venv/bin/python cpp/bench/compare.py CLIENT_BENCH [ROUNDS]

in the repository. The environment variable PERF_ANALYZER names the official program, which contains
the official library; its own work is part of its numbers. All run by turns, and each number is the
least of its turns, since other work on the machine only adds to it. The table goes to the standard
output, each turn to the standard error.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import triton
from tests.support.servers.twins import build_repository

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300

#: Bytes of the inputs and number of the calls.
CASES = {"128 bytes": (128, 2000), "16 MiB each way": (16 << 20, 10)}
WAYS = {
    "http": ("HTTP", "ours"),
    "curl": ("HTTP", "bare loop of curl"),
    "grpc": ("gRPC", "ours"),
    "stub": ("gRPC", "bare loop of the generated stub"),
}

#: Wall and processor time of a call in microseconds, and the peak of the memory in MiB.
Numbers = tuple[float, ...]


def ours(bench: str, way: str, address: str, size: int, calls: int, threads: int = 1) -> Numbers:
    """Run client_bench in one way."""
    command = [bench, way, address, str(size), str(calls), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])}: {done.stderr.strip()}")
    wall, processor, peak = map(float, done.stdout.split())
    return wall, processor, peak / 1024


def _run_theirs(command: list[str], calls: int) -> tuple[float, float]:
    """The median latency, and the processor time of the whole run in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, "--request-count", str(calls), "-f", str(table)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if not table.exists():
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")
        with table.open() as file:
            (row, *_) = csv.DictReader(file)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(row["p50 latency"]), spent * 1e6


def theirs(program: str, protocol: str, address: str, size: int, calls: int) -> Numbers:
    """Run perf_analyzer twice; what more calls cost is the cost of these calls."""
    model = ["simple"] if size <= 128 else ["identity_fp32", "--shape", f"INPUT0:{size // 4}"]
    command = [program, "-m", *model, "-u", address, "-i", protocol.lower()]
    _, few = _run_theirs(command, calls)
    wall, many = _run_theirs(command, 3 * calls)
    return wall, (many - few) / (2 * calls)


def main(bench: str, rounds: str = "5") -> None:
    analyzer = os.environ.get("PERF_ANALYZER")
    best: dict[tuple[str, str], Numbers] = {}

    def note(case: str, name: str, measure: Callable[..., Numbers], *arguments: object) -> None:
        # The Python backend of Triton ends under overload, and Triton with it.
        kept.restart_if_ended()
        try:
            numbers = measure(*arguments)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{case}, {name}: {error}", file=sys.stderr)
            return
        print(f"{case}, {name}: {numbers}", file=sys.stderr)
        known = best.get((case, name), numbers)
        best[case, name] = tuple(map(min, known, numbers))

    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        build_repository(ROOT / "models", repository)
        with triton.KeptServer(repository, control_mode="none") as kept:
            addresses = {
                "HTTP": f"127.0.0.1:{kept.server.http_port}",
                "gRPC": f"127.0.0.1:{kept.server.grpc_port}",
            }
            for _ in range(int(rounds)):
                for case, (size, calls) in CASES.items():
                    for way, (protocol, name) in WAYS.items():
                        name = f"{protocol}, {name}"
                        note(case, name, ours, bench, way, addresses[protocol], size, calls)
                    for protocol, address in addresses.items() if analyzer else ():
                        name = f"{protocol}, perf_analyzer 2.48"
                        note(case, name, theirs, analyzer, protocol, address, size, calls)
            for _ in range(int(rounds)):
                for way in ("http", "grpc"):
                    protocol, _ = WAYS[way]
                    for threads in (1, 4, 16):
                        arguments = (bench, way, addresses[protocol], 128, 4000, threads)
                        note(f"{threads} threads", protocol, ours, *arguments)
    print("| what | way | wall us | processor us | peak MiB |\n|---|---|---|---|---|")
    for (case, name), numbers in sorted(best.items()):
        if "threads" not in case:
            print(f"| {case} | {name} | {' | '.join(f'{number:.0f}' for number in numbers)} |")
    print("\n| threads on one client | HTTP calls/s | gRPC calls/s |\n|---|---|---|")
    for threads in (1, 4, 16):
        rates = [
            f"{1e6 / best[f'{threads} threads', name][0]:.0f}"
            for name in addresses
            if (f"{threads} threads", name) in best
        ]
        print(f"| {threads} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
