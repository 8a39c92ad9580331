"""`python -m benchmarks`: measure this client beside the official one, on a real Triton.

With `--base COMMIT` it is measured beside itself as it was at that commit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.servers.official import VERSION
from tests.support.servers.triton import TRITON_VERSION, Unavailable

from . import perf_analyzer, sides, table
from .cases import CASES, Case, Kind
from .conductor import Conductor, Failed, conductor
from .page import page
from .sides import OFFICIAL, SIDES, Side
from .table import Row

RESULTS = Path(__file__).with_name("RESULTS.md")
SECONDS = 4.0  # per case and client
QUICK_SECONDS = 2.0
NOT_QUICK = {Kind.PEAK_BLOCKING, Kind.PEAK_ASYNCIO}
BASE_SIDES = ("ours", "classic")


def main() -> int:
    """Measure, print, and write RESULTS.md when everything was measured."""
    arguments = _arguments()
    cases = [case for case in CASES if any(name in case.name for name in arguments.case or [""])]
    chosen = [(case, names) for case in cases if (names := _names(case, arguments))]
    if not chosen:
        names = ", ".join(case.name for case in CASES)
        print(f"nothing to measure; there are the cases {names}", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder, conductor() as found:
            base = None
            if arguments.base:
                base = (sides.unpack(arguments.base, Path(folder)), Path(folder))
            return _measure(found, chosen, arguments, base)
    except Unavailable as error:
        print(f"can't measure: {error}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"can't measure: {' '.join(error.cmd)} failed", file=sys.stderr)
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="measure only the budgeted cases, for a shorter time"
    )
    parser.add_argument("--base", metavar="COMMIT", help="compare with this commit")
    parser.add_argument("--seconds", type=float, help=f"per case and client ({SECONDS:g})")
    for name in ("case", "side"):
        parser.add_argument(
            f"--{name}",
            action="append",
            metavar="NAME",
            help=f"only {name}s with this in their name; may be given again",
        )
    return parser.parse_args()


def _names(case: Case, arguments: argparse.Namespace) -> list[str]:
    """Return the sides of a case that are to be measured, beside what they are compared with."""
    return [
        name
        for name, budget in case.budgets.items()
        if not (arguments.quick and (budget is None or case.kind in NOT_QUICK))
        and (name in BASE_SIDES or not arguments.base)
        and any(part in name for part in arguments.side or [""])
    ]


def _measure(
    found: Conductor,
    chosen: Sequence[tuple[Case, list[str]]],
    arguments: argparse.Namespace,
    base: tuple[str, Path] | None,
) -> int:
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    facts = table.machine() | {"time": f"{seconds:g} s per case and client"}
    rows: list[Row] = []
    failed = 0
    for number, (case, names) in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {case.title}", flush=True)
        try:
            measured = _rows(found, case, names, seconds, base, arguments.quick)
        except Failed as error:
            print(f"  failed\n{error}")
            failed += 1
            continue
        rows += measured
        for row in measured:
            print(f"  {table.line(row)}", flush=True)
    latencies = _latencies(found) if perf_analyzer.program() and not base else []
    for text in (table.time_table(rows), table.memory_table(rows)):
        if text:
            print(f"\n{text}")
    if not (failed or base or arguments.quick or arguments.case or arguments.side):
        RESULTS.write_text(page(rows, facts | _versions(found), latencies))
        print("\nwritten to benchmarks/RESULTS.md")
    return 1 if failed else 0


def _rows(
    found: Conductor,
    case: Case,
    names: Sequence[str],
    seconds: float,
    base: tuple[str, Path] | None,
    quick: bool,
) -> list[Row]:
    """Measure the sides of a case beside the official client, or beside themselves at `base`."""
    if base:
        pairs = [(SIDES[name], sides.at(SIDES[name], *base)) for name in names]
        outcome = found.compare(case, [side for pair in pairs for side in pair], seconds)
        return [
            row
            for side, before in pairs
            for row in (Row(outcome, before.name, ""), Row(outcome, side.name, before.name))
        ]
    # A budget in seconds or bytes needs nothing beside it.
    first: list[Side] = [] if quick and case.kind.is_absolute else [SIDES[OFFICIAL]]
    outcome = found.compare(case, [*first, *(SIDES[name] for name in names)], seconds)
    return [
        *(Row(outcome, side.name, "") for side in first),
        *(Row(outcome, name, OFFICIAL if first else "", case.budgets[name]) for name in names),
    ]


def _latencies(found: Conductor) -> list[str]:
    """Return lines on how the latencies compare with those of the official C++ client."""
    print("\nLatency beside perf_analyzer, the official C++ client:")
    lines = []
    try:
        for line in perf_analyzer.compare(found):
            lines.append(line)
            print(line, flush=True)
    except Failed as error:
        print(f"failed\n{error}")
    return lines


def _versions(found: Conductor) -> dict[str, str]:
    facts = {}
    for side in SIDES.values():
        about = found.worker(side).description
        name = about["package"] or "Python's socket"
        facts[side.name] = f"{name}, Python {about['python']}, numpy {about['numpy']}"
    # Both packages have one name; measuring ours against itself would go unnoticed.
    # The version of ours begins with the official one and goes on.
    official = f"tritonclient {VERSION},"
    assert facts[OFFICIAL].startswith(official), facts
    assert not facts["ours"].startswith(official), facts
    facts["server"] = f"Triton {TRITON_VERSION}, Python backend, on the same machine"
    return facts


if __name__ == "__main__":
    sys.exit(main())
