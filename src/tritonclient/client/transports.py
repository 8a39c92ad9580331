"""Transports of the clients, chosen by the URL and the arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..transport.endpoint import Security, security
from ..transport.settings import Grpcio, Settings
from .options import check_grpc, check_grpcio

if TYPE_CHECKING:
    from ..transport.blocking.transport import Transport


def blocking_transport(
    settings: Settings, tls: Security, max_connections: int, grpcio: Grpcio | None
) -> Transport:
    """Return the transport of a `Client`."""
    from ..transport.blocking.transport import Transport

    secured = security(tls, settings.endpoint)
    if grpcio is None:
        return Transport(settings, tls=secured, max_connections=max_connections)
    check_grpcio(grpcio, tls, max_connections)
    from ..transport.grpcio.blocking import GrpcioTransport

    # It has the same methods, for calls of its own protocol.
    return GrpcioTransport(check_grpc(settings), grpcio, tls=secured)  # type: ignore[return-value]


def aio_transport(
    settings: Settings, tls: Security, max_connections: int, grpcio: Grpcio | None
) -> Any:
    """Return the transport of an `AsyncClient`."""
    secured = security(tls, settings.endpoint)
    if grpcio is not None:
        check_grpcio(grpcio, tls, max_connections)
        from ..transport.grpcio.aio import AsyncGrpcioTransport

        return AsyncGrpcioTransport(check_grpc(settings), grpcio, tls=secured)
    from ..transport.aio.transport import Transport

    return Transport(settings, tls=secured, max_connections=max_connections)
