"""The program: reads the command line, runs, and says by its exit code how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from . import exits
from .exits import PerfError, UsageError
from .options.checks import check
from .options.parser import HELP, VERSION, help_text, parse


def main(argv: Sequence[str] | None = None, program: str = "perf_analyzer") -> int:
    """Run perf_analyzer; its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        found = parse(arguments)
        if isinstance(found, str):
            print(help_text(program) if found == HELP else _version(), end="")
            assert found in (HELP, VERSION)
            return exits.SUCCESS
        settings = check(found, _warn)
    except UsageError as error:
        print(f"Error: {error}", file=sys.stderr)
        print(f"Usage: {program} -m MODEL [options]; --help tells all.", file=sys.stderr)
        return exits.USAGE
    try:
        if settings.compare:
            from .report.compare import compare_files

            before, after = settings.compare
            return compare_files(before, after, settings.assertions)
        from .run import run

        return run(settings)
    except PerfError as error:
        print(error, file=sys.stderr)
        return exits.USAGE
    except BrokenPipeError:
        # Whoever read the report has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.INTERRUPTED
    except KeyboardInterrupt:
        return exits.INTERRUPTED


def _warn(text: str) -> None:
    print(f"WARNING: {text}", file=sys.stderr)


def _version() -> str:
    from importlib.metadata import version

    return f"perf_analyzer {version('tritonclient')}\n"


def entry() -> None:
    """The console script."""
    sys.exit(main())
