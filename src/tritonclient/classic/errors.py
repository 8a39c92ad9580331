"""Errors as the classic clients raise them."""

from __future__ import annotations

from typing import Any

from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException

#: How the transports begin to say that there never was a connection.
NOT_CONNECTED = ("can't connect", "the TLS handshake failed")


class _Equal(type):
    """Classes that equal `InferenceServerException`, since programs ask for it by `type(error) ==`
    and would take an error of a class below it for a result.
    """

    def __eq__(cls, other: object) -> bool:
        return cls is other or other is InferenceServerException

    __hash__ = type.__hash__

    def __init__(cls, *definition: Any) -> None:
        super().__init__(*definition)
        cls.__name__ = cls.__qualname__ = InferenceServerException.__name__
        cls.__module__ = InferenceServerException.__module__


class _ConnectionFailed(InferenceServerException, ConnectionError, metaclass=_Equal):
    """The server could not be reached, or the connection was lost."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _connection_failed, *super().__reduce__()[1:]


class _DeadlineExceeded(InferenceServerException, TimeoutError, metaclass=_Equal):
    """The response did not come in time."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _deadline_exceeded, *super().__reduce__()[1:]


# What pickle finds by its name.


def _connection_failed(*arguments: Any) -> _ConnectionFailed:
    return _ConnectionFailed(*arguments)


def _deadline_exceeded(*arguments: Any) -> _DeadlineExceeded:
    return _DeadlineExceeded(*arguments)


def as_classic_error(
    error: InferenceServerException,
    text: str | None = None,
    status: str | None = None,
    details: Any = None,
) -> InferenceServerException:
    """An error whose type is `InferenceServerException` to all that programs ask of it.

    It has the text of the given error, or this text, status and details. For a lost connection or
    a deadline it is also a `ConnectionError` or `TimeoutError`.
    """
    if text is None:
        text, status, details = error.message(), error.status(), error.debug_details()
    kind: Any = InferenceServerException
    if isinstance(error, ConnectionFailed):
        kind = _ConnectionFailed
    elif isinstance(error, DeadlineExceeded):
        kind = _DeadlineExceeded
    return copy_error_as(error, kind, text, status, details)


def copy_error_as(
    error: InferenceServerException, kind: Any, text: str | None, status: str | None, details: Any
) -> InferenceServerException:
    """An error of another kind and other words, which happened where and why the given one did."""
    known = kind(
        text,
        status,
        details,
        endpoint=error.endpoint,
        model=error.model,
        request_id=error.request_id,
    )
    if isinstance(error, OSError):
        known.errno = error.errno
    same: InferenceServerException = known
    return same
