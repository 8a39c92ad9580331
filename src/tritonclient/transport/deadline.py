"""Deadlines of calls, and the texts of the errors about them.

A deadline is a time of the runtime's monotonic clock as a float; infinity is no deadline.
"""

from __future__ import annotations

import math
import re

from ..errors import DeadlineExceeded

# The phases of a call, as errors name them.
CONNECTING = "while connecting"
HANDSHAKE = "during the TLS handshake"
SENDING = "while sending the request"
WAITING = "while waiting for the answer"
RECEIVING = "while receiving the answer"
DECOMPRESSING = "while decompressing the answer"

_PASSED = "the deadline passed "
#: The same with the seconds that one of several requests of a call had.
_NAMED = re.compile(r"the deadline of \S+ s passed ")
#: How gRPC implementations say that a call's deadline has passed.
_GENERIC = ("deadline exceeded", "")


def seconds_left(deadline: float, now: float) -> float | None:
    """Return the seconds until a deadline, at least 0; None if there is no deadline."""
    return None if deadline == math.inf else max(0.0, deadline - now)


def late(phase: str = WAITING) -> DeadlineExceeded:
    """Return the error for a deadline that passed in this phase of a call."""
    return DeadlineExceeded(_PASSED + phase)


def name_seconds(error: DeadlineExceeded, seconds: float | None) -> None:
    """Add to the text of an error how many seconds the call had."""
    text = str(error.message() or "")
    if seconds is None:
        return
    if text.startswith(_PASSED):
        phase = text.removeprefix(_PASSED)
    elif found := _NAMED.match(text):
        phase = text[found.end() :]
    elif text.lower() in _GENERIC:  # the server, or grpcio, reported it first
        phase = WAITING
    else:
        return
    error.reword(f"the deadline of {seconds:g} s passed {phase}")


def looking_up(host: str) -> str:
    """Return the phase of a name lookup."""
    return f"during the name lookup of {host!r}"


def queue_full(path: str) -> str:
    """Return the phase of connecting to a unix socket whose listen queue is full."""
    return f"{CONNECTING}: the queue of {path!r} is full"


def all_busy(connections: int) -> DeadlineExceeded:
    """Return the error for a call that waited for one of its pool's connections."""
    return late(f"while all {connections} connections were busy")


def no_response(timeout: float) -> DeadlineExceeded:
    """Return the error for a stream that received no message for `timeout` seconds."""
    return DeadlineExceeded(f"no response came within {timeout:g} s")


def silent(seconds: float) -> DeadlineExceeded:
    """Return the error for a connection on which no byte moved for some seconds."""
    return DeadlineExceeded(f"nothing came or went for {seconds:g} s")
