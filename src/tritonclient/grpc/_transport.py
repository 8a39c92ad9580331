"""The transport of the classic blocking client."""

from __future__ import annotations

from ..transport.blocking.transport import Transport
from ._base import CONNECT_TIMEOUT
from ._channel import Route

#: Each call that a thread waits for has a connection of its own.
_MAX_CONNECTIONS = 1024


def open_transport(route: Route) -> Transport:
    """Return this package's own transport, or grpcio's where the route asks for it."""
    settings, tls, grpcio = route
    if grpcio is None:
        return Transport(
            settings, tls=tls, max_connections=_MAX_CONNECTIONS, connect_timeout=CONNECT_TIMEOUT
        )
    from ..transport.grpcio.blocking import GrpcioTransport

    # It has the same methods.
    return GrpcioTransport(settings, grpcio, tls=tls)  # type: ignore[return-value]
