"""`tritonclient bench`: perf_analyzer, and tools for the files that it writes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

NAME = "bench"
HELP = "measure a server under load (perf_analyzer)"
DESCRIPTION = "Measure a server under load; all options are those of perf_analyzer."
_PROGRAM = "tritonclient bench"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: perf_analyzer reads its own options; see `main`."""


def run(arguments: argparse.Namespace) -> int:
    """Run without options, which says what is missing."""
    return main([])


def main(arguments: Sequence[str]) -> int:
    """Run `bench` with these arguments; its exit code."""
    if arguments and arguments[0] == "merge":
        return _merge(arguments[1:])
    if arguments and arguments[0] == "schema":
        from ..perf.report.summary import schema

        print(json.dumps(schema(), indent=1))
        return 0
    from ..perf.main import main as perf

    return perf(arguments, _PROGRAM)


def _merge(arguments: Sequence[str]) -> int:
    """Add summary files."""
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} merge",
        description="Add summary files of loads that ran at the same time, from several hosts.",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="written by --summary-file")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (standard output)")
    parser.add_argument("--html", metavar="FILE", help="write an HTML report as well")
    chosen = parser.parse_args(arguments)
    from ..perf.report import merge, summary

    try:
        merged = merge.merge_files(chosen.files)
        if chosen.html:
            from ..perf.report.html import write

            write(merged, chosen.html)
        if chosen.output:
            summary.write(merged, chosen.output)
        else:
            print(json.dumps(merged, indent=1))
    except (OSError, ValueError) as error:
        print(f"{_PROGRAM} merge: {error}", file=sys.stderr)
        return 99
    return 0
