"""`python -m benchmarks`: measure this client beside the official one, on a real Triton.

One run measures both sides, in turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.triton import TRITON_VERSION, Unavailable

from . import perf_analyzer, report
from .cases import CASES, Case
from .children import SIDES, Failed, Laboratory, laboratory
from .measure import Measurement
from .report import Outcome

RESULTS = Path(__file__).with_name("RESULTS.md")
ROUNDS = 5
QUICK_ROUNDS = 2
QUICK_DIVISOR = 5  # of the number of requests per round

_VERSIONS = """
import json, platform, sys
from importlib.metadata import version
json.dump([version("tritonclient"), platform.python_version(), version("numpy")], sys.stdout)
"""


def main() -> int:
    """Measure, print, and write RESULTS.md when everything was measured."""
    arguments = _arguments()
    chosen = [case for case in CASES if any(name in case.name for name in arguments.case or [""])]
    if not chosen:
        names = ", ".join(case.name for case in CASES)
        print(f"no such case; there are {names}", file=sys.stderr)
        return 2
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    try:
        with laboratory() as lab:
            facts = _facts(lab)
            outcomes = _measure(lab, chosen, rounds, QUICK_DIVISOR if arguments.quick else 1)
            latencies = _latencies(lab) if perf_analyzer.program() else []
    except Unavailable as error:
        print(f"there is no real Triton to measure against: {error}", file=sys.stderr)
        return 1
    for text in (*report.tables(outcomes), report.noise(outcomes)):
        if text:
            print(f"\n{text}")
    complete = len(outcomes) == len(CASES)
    if complete and not arguments.quick:
        RESULTS.write_text(report.page(outcomes, facts, rounds, latencies))
        print("written to benchmarks/RESULTS.md")
    return 0 if len(outcomes) == len(chosen) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds of fewer requests")
    parser.add_argument("--rounds", type=int, help=f"rounds per case and side ({ROUNDS})")
    parser.add_argument(
        "--case",
        action="append",
        metavar="NAME",
        help="only cases with this in their name; may be given again",
    )
    return parser.parse_args()


def _measure(lab: Laboratory, cases: Sequence[Case], rounds: int, divisor: int) -> list[Outcome]:
    outcomes = []
    for number, case in enumerate(cases, 1):
        print(f"[{number}/{len(cases)}] {case.name}: ", end="", flush=True)
        try:
            outcome = _rounds(lab, case, rounds, case.scaled(divisor))
        except Failed as error:
            print(f"failed\n{error}")
            continue
        print(report.line(outcome), flush=True)
        outcomes.append(outcome)
    return outcomes


def _rounds(lab: Laboratory, case: Case, rounds: int, count: int) -> Outcome:
    found: dict[str, list[Measurement]] = {side: [] for side in SIDES}
    for number in range(case.rounds(rounds)):
        # Turning the order around keeps a slow drift of the machine from favouring one side.
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            found[side].append(lab.measure(side, case, count))
    return Outcome(case, tuple(found["official"]), tuple(found["ours"]))


def _latencies(lab: Laboratory) -> list[str]:
    """Lines on how the latencies compare with those of the official C++ client."""
    print("\nLatency beside perf_analyzer, the official C++ client:")
    lines = []
    try:
        for latency in perf_analyzer.compare(lab):
            lines.append(perf_analyzer.line(latency))
            print(lines[-1], flush=True)
    except Failed as error:
        print(f"failed\n{error}")
    return lines


def _facts(lab: Laboratory) -> dict[str, str]:
    facts = report.machine()
    for side, name in (("official", "official client"), ("ours", "this client")):
        client, python, numpy = json.loads(lab.run(side, "-I", "-c", _VERSIONS))
        facts[name] = f"tritonclient {client}, Python {python}, numpy {numpy}"
    facts["server"] = f"Triton {TRITON_VERSION}, Python backend, on the same machine"
    return facts


if __name__ == "__main__":
    sys.exit(main())
