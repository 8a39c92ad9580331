"""Records of calls, for programs that log at debug level: one record for each call."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from .errors import InferenceServerException

_logger: Any = None
_DEBUG = 10


def recording() -> Any:
    """Return the logger "tritonclient" if it takes records of debug level, otherwise None.

    A program that logs has imported logging, which takes longer than all of a blocking client.
    """
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return None
        # Once: an exception of a signal handler in it would leave logging's own lock held.
        _logger = logging.getLogger("tritonclient")
    return _logger if _logger.isEnabledFor(_DEBUG) else None


def record_end(
    url: str, request: Any, started: float, outcome: InferenceServerException | str = "OK"
) -> None:
    """Write the record of a call that ended now, if such records are taken.

    Args:
        started: when the call began, by the monotonic clock.
        outcome: the error that it ended with, or its status.
    """
    if (logger := recording()) is not None:
        if not isinstance(outcome, str):
            outcome = outcome.status() or type(outcome).__name__
        record(logger, url, request, outcome, monotonic() - started)


def record(logger: Any, url: str, request: Any, status: str, seconds: float) -> None:
    """Write the record of a call: server, request, model, id, status, duration."""
    model, id = getattr(request, "model", ""), getattr(request, "id", "")
    logger.debug(
        "%s %s%s%s: %s in %.1f ms",
        url,
        getattr(request, "log_name", "") or type(request).__name__,
        f" model {model!r}" if model else "",
        f" id {id!r}" if id else "",
        status,
        1000 * seconds,
    )
