"""What comes after a call has failed: another form of its tensors, or a hint for its error."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from ..errors import DeadlineExceeded, InferenceServerException
from ..messages import GetServerMetadata
from ..transport.call import Call
from .flows import Flow
from .infer_calls import InferArguments, InferCalls
from .refusals import explain


def recover(
    error: InferenceServerException,
    call: Call[Any],
    arguments: InferArguments | None,
    calls: InferCalls,
    hints: dict[Any, str],
    end: float | None,
    clock: Callable[[], float] = monotonic,
) -> Flow[Any]:
    """Return the response of a failed call after all, or raise its error with a hint.

    Args:
        arguments: those that `calls` made an inference from.
        hints: of earlier errors.
        end: the time by which the call must have ended, None for no limit.

    Raises:
        InferenceServerException: the call has failed.
    """
    options = arguments[-1] if arguments else {}
    refusal = ""
    binary = calls.binary
    if getattr(call.request, "binary", False) and binary.may_matter(error, options):
        if not binary.known:
            try:
                binary.learn((yield GetServerMetadata(), _left(end, clock)))
            except InferenceServerException:
                binary.learn(None)
        request = calls.request_in_json(call, arguments) if binary.lacking else None
        if request is not None:
            try:
                response = yield request, _left(end, clock)
            except InferenceServerException as second:
                refusal, error = str(error), second
            else:
                binary.sent = False
                return response
    yield from explain(error, _left(end, clock), hints)
    if refusal:
        also = f"as binary data it was refused with: {refusal:.300}"
        error.hint = f"{error.hint}; {also}" if error.hint else also
    raise error


def time_left(
    error: InferenceServerException, seconds: float | None, started: float
) -> float | None:
    """Return the seconds that are left for the hint of an error; 0 where the time is over."""
    if isinstance(error, DeadlineExceeded):
        return 0.0
    return None if seconds is None else seconds - (monotonic() - started)


def stream_time_left(
    timeout: float | None, response_timeout: float | None, started: float
) -> float | None:
    """Return the seconds that are left for the hint of a stream's error.

    Args:
        timeout: seconds for the whole stream, None for no limit.
        response_timeout: seconds for each response, None for no limit.
    """
    if timeout is None:
        return response_timeout
    left = timeout - (monotonic() - started)
    return left if response_timeout is None else min(left, response_timeout)


def _left(end: float | None, clock: Callable[[], float]) -> float | None:
    return None if end is None else max(end - clock(), 1e-6)
