"""The words of errors about deadlines: the same for all transports."""

from __future__ import annotations

from ..errors import DeadlineExceeded

CONNECTING = "while connecting"
HANDSHAKE = "during the TLS handshake"
SENDING = "while sending the request"
WAITING = "while waiting for the answer"
RECEIVING = "while receiving the answer"
DECOMPRESSING = "while decompressing the answer"

_PASSED = "the deadline passed "
#: How gRPC implementations say that a call's deadline has passed.
_GENERIC = ("deadline exceeded", "")


def late(phase: str = WAITING) -> DeadlineExceeded:
    """Return the error for a deadline that passed in this phase of a call."""
    return DeadlineExceeded(_PASSED + phase)


def name_seconds(error: DeadlineExceeded, seconds: float | None) -> None:
    """Let an error say how many seconds the call had."""
    text = str(error.message() or "")
    if seconds is None:
        return
    if text.startswith(_PASSED):
        phase = text.removeprefix(_PASSED)
    elif text.lower() in _GENERIC:  # the server, or grpcio, was quicker to say so
        phase = WAITING
    else:
        return
    error.reword(f"the deadline of {seconds:g} s passed {phase}")
