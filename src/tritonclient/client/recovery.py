"""What comes after a call has failed: another form of its tensors, or a hint for its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from ..errors import DeadlineExceeded, InferenceServerException
from ..messages import GetServerMetadata
from ..transport.call import Call
from ..transport.deadline import name_seconds
from .binary_tensors import REFUSALS
from .flows import Flow
from .infer_calls import InferArguments, InferCalls
from .refusals import explain, of_loading

#: Statuses with which servers in HTTP refuse a body that they can't read.
_UNREADABLE = ("400", "415", "422", "500")


def recover(
    error: InferenceServerException,
    call: Call[Any],
    arguments: InferArguments | None,
    calls: InferCalls,
    remembered: dict[Any, str],
    seconds: float | None,
    started: float,
    clock: Callable[[], float] = monotonic,
) -> Flow[Any]:
    """Return the response of a failed call after all, or raise its error with a hint.

    Args:
        arguments: those that `calls` made an inference from.
        remembered: hints of earlier errors.
        seconds: that the call has from its beginning, None for no limit.
        started: when it began.

    Raises:
        InferenceServerException: the call has failed.
    """
    end = None if seconds is None else started + seconds
    options = arguments[-1] if arguments else {}
    also = ""
    binary = calls.binary
    if getattr(call.request, "binary", False) and binary.may_matter(error, options):
        if not binary.known:
            try:
                binary.learn((yield GetServerMetadata(), _left(end, clock)))
            except InferenceServerException:
                binary.learn(None)
        if binary.lacking:
            try:
                response = yield calls.request_in_json(call, arguments), _left(end, clock)
            except ValueError as misfit:
                also = f"it names no extension for binary data, and {misfit}"
            except InferenceServerException as second:
                also, error = _also(error, second), second
                if isinstance(error, DeadlineExceeded):
                    name_seconds(error, seconds)
            else:
                binary.sent = False
                return response
    error.hint = of_loading(error, call.request)
    if not error.hint:
        yield from explain(error, _left(end, clock), remembered)
    hints = (error.hint, _of_compression(error, options), also)
    error.hint = "; ".join(filter(None, hints))
    try:
        raise error
    finally:
        del error  # it refers to this frame, which would be a circle


def _also(first: InferenceServerException, second: InferenceServerException) -> str:
    """Return what to say of the refusal of binary data before that of JSON."""
    text = str(first.message()).strip()
    if not isinstance(second, REFUSALS) or text == str(second.message()).strip():
        return ""
    begin = text.splitlines()[0][:200] if text else str(first)
    return f"as binary data it was refused with: {begin}"


def _of_compression(error: InferenceServerException, options: Mapping[str, Any]) -> str:
    coding = options.get("request_compression")
    if not coding or error.hint or error.status() not in _UNREADABLE:
        return ""
    return f"the request was compressed with {coding}, which not every server reads"


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
