"""Errors of connections: what an I/O error means for the call that met it."""

from __future__ import annotations

from typing import Any

from ..errors import ConnectionFailed, ConnectionRefused, InferenceServerException
from ..messages import Request


def lost(error: object, goaway_message: str = "") -> ConnectionFailed:
    """Return the error for a connection that broke off.

    Args:
        error: what the system reported, or "closed".
        goaway_message: the server's reason for closing it, if it sent one.
    """
    if goaway_message:
        return ConnectionFailed(f"the server closed the connection: {goaway_message}")
    return ConnectionFailed(f"the connection was lost: {error}")


def lost_while_sending(error: object) -> ConnectionFailed:
    """Return the error for a connection that broke off before the request was sent."""
    return ConnectionFailed(f"the connection was lost while sending: {error}")


def insecure(reason: object) -> ConnectionFailed:
    """Return the error for a TLS handshake that failed."""
    plain = getattr(reason, "reason", None) == "WRONG_VERSION_NUMBER"
    hint = "; is this a port without TLS?" if plain else ""
    return ConnectionFailed(f"the TLS handshake failed: {reason}{hint}")


def unreachable(error: Exception) -> ConnectionFailed:
    """Return the error for a server that can't be connected to."""
    kind = ConnectionRefused if isinstance(error, ConnectionRefusedError) else ConnectionFailed
    failed = kind(f"can't connect: {error}")
    failed.errno = getattr(error, "errno", None)
    return failed


def client_closed(url: str) -> RuntimeError:
    """Return the error for a call of a client that its program has closed."""
    return RuntimeError(
        f"the client is closed and sends nothing to {url}; make a new one, or call it before "
        "close() and inside of its `with` block"
    )


def locate(error: InferenceServerException, url: str, request: Request[Any]) -> None:
    """Set the attributes of an error that name its server, model and request."""
    error.endpoint = url
    error.model = getattr(request, "model", "")
    error.request_id = getattr(request, "id", "")
