"""Exit codes, and the errors that end a run before it begins."""

from __future__ import annotations

SUCCESS = 0
UNSTABLE = 2
NOTHING_MEASURED = 3
TOO_MANY_ERRORS = 4
ASSERTION_FAILED = 5
RATE_NOT_KEPT = 6
USAGE = 99
INTERRUPTED = 130

#: What `--help` says of them.
MEANINGS = {
    SUCCESS: "measured; a latency limit that ended a search counts as success",
    UNSTABLE: "the only or first measurement was not stable (its report is kept)",
    NOTHING_MEASURED: "no request ended in a window",
    TOO_MANY_ERRORS: "more requests failed than --max-error-rate allows",
    ASSERTION_FAILED: "an --assert did not hold, or --compare found a regression",
    RATE_NOT_KEPT: "the asked rate was not kept within --max-lag",
    USAGE: "wrong usage, or the run could not be set up",
    INTERRUPTED: "interrupted (what was measured is reported)",
}


class PerfError(Exception):
    """Something that ends the program with exit code 99 and one line of text."""


class UsageError(PerfError):
    """The command line is wrong."""


class SetupError(PerfError):
    """The run can't begin: the server, the model or the data do not allow it."""
