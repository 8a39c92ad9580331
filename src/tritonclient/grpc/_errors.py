"""Errors with the gRPC status and texts of grpcio, which programs know."""

from __future__ import annotations

from typing import Any, NoReturn

from ..classic.errors import NOT_CONNECTED, as_classic_error
from ..codec.rpc_status import error_of
from ..errors import (
    Cancelled,
    ConnectionFailed,
    ConnectionRefused,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
    ServerError,
)
from ..transport.endpoint import parse_url

#: Statuses of errors that are not the server's.
_STATUSES: tuple[tuple[type[InferenceServerException], str], ...] = (
    (ConnectionFailed, "UNAVAILABLE"),
    (DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (ProtocolError, "INTERNAL"),
)


def get_error_grpc(rpc_error: Any) -> InferenceServerException:
    """Return the exception for a `grpc.RpcError`."""
    if hasattr(rpc_error, "cancelled") and rpc_error.cancelled():
        # Of a call that was cancelled here grpcio knows no more, and would wait for it for ever.
        return get_cancelled_error(rpc_error.details())
    code = rpc_error.code().value[0]
    return as_classic_error(error_of(code, rpc_error.details(), rpc_error.debug_error_string()))


def raise_error_grpc(rpc_error: Any) -> NoReturn:
    """Raise the exception for a `grpc.RpcError`."""
    raise get_error_grpc(rpc_error) from None


def as_grpc_error(error: InferenceServerException) -> InferenceServerException:
    """Return a copy of an error with the status and text of grpcio."""
    text, status = error.message() or "", error.status()
    if isinstance(error, ServerError) or status is not None:
        # The error of one request on a stream has no status.
        return as_classic_error(error, text, status, _details(status, text))
    if isinstance(error, Cancelled):
        return get_cancelled_error()
    status = next(
        (f"StatusCode.{name}" for kind, name in _STATUSES if isinstance(error, kind)), None
    )
    if isinstance(error, DeadlineExceeded):
        text = "Deadline Exceeded"
    elif text.startswith(NOT_CONNECTED):
        reason = _refusal(error) or f"{text} ({error.endpoint})"
        text = f"failed to connect to all addresses; last error: {reason}"
    return as_classic_error(error, text, status, error.debug_details() or _details(status, text))


def _refusal(error: InferenceServerException) -> str | None:
    """Return grpcio's text for a refused connection; None if only the host name is known."""
    if not (isinstance(error, ConnectionRefused) and error.endpoint):
        return None
    endpoint = parse_url(error.endpoint)
    host = "127.0.0.1" if endpoint.host == "localhost" else endpoint.host
    if ":" in host:
        host = f"ipv6:%5B{host}%5D"
    elif host.replace(".", "").isdigit():
        host = f"ipv4:{host}"
    else:
        return None
    return f"UNKNOWN: {host}:{endpoint.port}: Failed to connect to remote host: Connection refused"


def _details(status: str | None, text: str) -> str | None:
    return None if status is None else f"{status.removeprefix('StatusCode.')}:{text}"


def get_cancelled_error(msg: str | None = None) -> InferenceServerException:
    """The error of a call that was cancelled here."""
    text = msg or "Locally cancelled by application!"
    return InferenceServerException(text, "StatusCode.CANCELLED")
