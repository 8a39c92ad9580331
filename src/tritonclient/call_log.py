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
        status = outcome if isinstance(outcome, str) else _status(outcome)
        record(logger, url, request, status, monotonic() - started)


def _status(error: InferenceServerException) -> str:
    return error.status() or type(error).__name__


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


class StreamRecord:
    """The record of a stream of inferences, which is written once, at its end.

    Attributes:
        model, id: of the responses, where all have the same.
    """

    log_name = "StreamInfer"
    model: str | None = None
    id: str | None = None

    def __init__(self, url: str) -> None:
        self._url = url
        self._started = monotonic()
        self._refusal = ""  # not the error itself, whose traceback refers to the stream
        self._written = False

    def received(self, model: str, id: str, refusal: InferenceServerException | None) -> None:
        """Note a response, or the refusal of a request."""
        self.model = model if self.model in (None, model) else ""
        self.id = id if self.id in (None, id) else ""
        if refusal is not None:
            self._refusal = _status(refusal)

    def end(self, outcome: InferenceServerException | str = "OK") -> None:
        """Write the record, unless it is written.

        Args:
            outcome: the error that the stream ended with, or its status; where the server has
                refused a request, the last refusal is logged in place of OK.
        """
        if not self._written:
            self._written = True
            refused = self._refusal if outcome == "OK" else ""
            record_end(self._url, self, self._started, refused or outcome)
