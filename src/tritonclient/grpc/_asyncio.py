"""The transport on asyncio, for the asyncio client and for `async_infer`."""

from __future__ import annotations

from ..transport.aio.transport import Transport
from ._channel import Route


def make_transport(route: Route) -> Transport:
    """The transport of a client."""
    settings, tls, grpcio = route
    if grpcio is None:
        return Transport(settings, tls=tls)
    from ..transport.grpcio.aio import AsyncGrpcioTransport

    # It has the same methods.
    return AsyncGrpcioTransport(settings, grpcio, tls=tls)  # type: ignore[return-value]
