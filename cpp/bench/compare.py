"""Measure the C++ clients beside bare loops and the official perf_analyzer, on a real Triton:

    PYTHONPATH=. .venv/bin/python cpp/bench/compare.py CLIENT_BENCH [ROUNDS]

in the repository. The environment variable PERF_ANALYZER names the official program, which contains
the official library; its own work is part of its numbers. All run by turns, and each number is the
least of its turns, since other work on the machine only adds to it. The tables go to the standard
output, as they are in RESULTS.md, and each turn to the standard error.
"""

from __future__ import annotations

import csv
import datetime
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

OFFICIAL = "perf_analyzer 2.48"
THREADS = (1, 4, 16)

#: Wall and processor time of a call in microseconds, and the peak of the memory in MiB, which is
#: not known of perf_analyzer.
Numbers = tuple[float, ...]
#: The least numbers by case and name.
Results = dict[tuple[str, str], Numbers]


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


def print_calls(best: Results) -> None:
    """Print the table of single calls, in the order of CASES."""
    print("| what | way | processor us | wall us | peak MiB |\n|---|---|---|---|---|")
    for case in CASES:
        for protocol in ("HTTP", "gRPC"):
            names = [name for of, name in WAYS.values() if of == protocol]
            for name in (*names, OFFICIAL):
                if numbers := best.get((case, f"{protocol}, {name}")):
                    wall, processor, *peak = numbers
                    memory = f"{peak[0]:.0f} |" if peak else "|"
                    times = f"{processor:.0f} | {wall:.0f}"
                    print(f"| {case} | {protocol}, {name} | {times} | {memory}")


def print_threads(best: Results) -> None:
    """Print the calls in a second of several threads; a case that failed has no number."""
    print("\n| threads on one client | HTTP calls/s | gRPC calls/s |\n|---|---|---|")
    for threads in THREADS:
        found = [best.get((f"{threads} threads", protocol)) for protocol in ("HTTP", "gRPC")]
        rates = " | ".join(f"{1e6 / numbers[0]:.0f}" if numbers else "-" for numbers in found)
        print(f"| {threads} | {rates} |")


def main(bench: str, rounds: str = "5") -> None:
    analyzer = os.environ.get("PERF_ANALYZER")
    best: Results = {}
    began = f"{datetime.date.today()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"

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
                        name = f"{protocol}, {OFFICIAL}"
                        note(case, name, theirs, analyzer, protocol, address, size, calls)
            for _ in range(int(rounds)):
                for way in ("http", "grpc"):
                    protocol, _ = WAYS[way]
                    for threads in THREADS:
                        arguments = (bench, way, addresses[protocol], 128, 4000, threads)
                        note(f"{threads} threads", protocol, ours, *arguments)
    print(f"{began} at the start, {os.getloadavg()[0]:.1f} at the end.\n")
    print_calls(best)
    print_threads(best)


if __name__ == "__main__":
    main(*sys.argv[1:])
