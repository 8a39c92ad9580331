"""The transport on asyncio, for the asyncio client and for `async_infer`."""

from __future__ import annotations

from ..transport.aio.grpc_transport import GrpcTransport
from ._channel import Route


def make_transport(route: Route) -> GrpcTransport:
    """The transport of a client."""
    settings, tls, grpcio = route
    if grpcio is None:
        return GrpcTransport(settings, tls=tls)
    from ..transport.grpcio.transport import AsyncGrpcioTransport

    # It has the same methods.
    return AsyncGrpcioTransport(settings, grpcio, tls=tls)  # type: ignore[return-value]
