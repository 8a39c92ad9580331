"""Retries: whether a request may be sent again after an error.

A request is sent again only if the server cannot have processed it, or if it only reads. Four
cases are safe:

- The server refused the stream, or its GOAWAY excludes it (RFC 9113, sections 6.8 and 8.7).
- The same, and it processed other streams of the connection. Then each attempt makes progress, so
  that their number has no limit.
- A reused connection was lost, and the peer's kernel acknowledged no byte of the request.
- A reused connection was lost, and the request is idempotent. Servers close idle connections, which
  may happen just as a request is being sent.

A new connection that is lost is no idle connection: the server fails, and the caller is told.
"""

from __future__ import annotations

from ..errors import ConnectionFailed, StreamRefused, StreamUnprocessed

#: How many failed attempts are repeated, not counting those that made progress.
MAX_RETRIES = 3


def may_resend(
    error: BaseException,
    *,
    retries: int,
    reused: bool = False,
    idempotent: bool = False,
    unacknowledged: bool = False,
) -> bool:
    """Return True if a request may be sent again.

    Args:
        error: how the last attempt ended.
        retries: failed attempts before it, as `counts` counts them.
        reused: the connection had carried a request before.
        idempotent: the request only reads.
        unacknowledged: the peer's kernel has acknowledged no byte of the request.
    """
    if isinstance(error, StreamUnprocessed):
        return True
    if retries >= MAX_RETRIES:
        return False
    if isinstance(error, StreamRefused):
        return True
    return isinstance(error, ConnectionFailed) and reused and (idempotent or unacknowledged)


def counts(error: BaseException) -> bool:
    """Return True if an attempt that ended with this error counts against `MAX_RETRIES`."""
    return not isinstance(error, StreamUnprocessed)
