"""Records of calls, for programs that log at debug level: one record for each call."""

from __future__ import annotations

import sys
from typing import Any

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


def record(logger: Any, url: str, request: Any, status: str, seconds: float) -> None:
    """Write the record of a call: server, request, model, id, status, duration."""
    model, id = getattr(request, "model", ""), getattr(request, "id", "")
    logger.debug(
        "%s %s%s%s: %s in %.1f ms",
        url,
        type(request).__name__,
        f" model {model!r}" if model else "",
        f" id {id!r}" if id else "",
        status,
        1000 * seconds,
    )
