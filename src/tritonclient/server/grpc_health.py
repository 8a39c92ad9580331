"""The standard health service of gRPC, for those who look after servers without knowing them.

Like Triton's it takes any name of a service, and answers for the server as a whole.

Source: gRPC documentation, "GRPC Health Checking Protocol".
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from .. import messages as m
from ..codec import messages_pb
from .core import InferenceServer
from .extras import optional_import

with optional_import("grpcio"):
    import grpc

SERVICE = "grpc.health.v1.Health"
#: Seconds between looks whether a status that is watched has changed.
_LOOK = 0.5


class Health:
    """Tells whether the server is ready. To be used on one event loop."""

    def __init__(self, server: InferenceServer) -> None:
        self._server = server
        self._closing = asyncio.Event()

    def handlers(self) -> dict[str, Any]:
        """The handlers of the service's procedures, by path."""
        return {
            f"/{SERVICE}/Check": grpc.unary_unary_rpc_method_handler(self._check),
            f"/{SERVICE}/Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }

    def close(self) -> None:
        """End all watches."""
        self._closing.set()

    async def _check(self, message: bytes, context: Any) -> bytes:
        await _parse(message, context)
        return self._status()

    async def _watch(self, message: bytes, context: Any) -> None:
        await _parse(message, context)
        told = None
        while not self._closing.is_set():
            status = self._status()
            if status != told:
                await context.write(status)
                told = status
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _LOOK)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")

    def _status(self) -> bytes:
        answer = messages_pb.message(f"{SERVICE.rpartition('.')[0]}.HealthCheckResponse")
        ready = self._server.handle(m.IsServerReady())
        status: bytes = answer(
            status=answer.SERVING if ready else answer.NOT_SERVING
        ).SerializeToString()
        return status


async def _parse(message: bytes, context: Any) -> None:
    """Refuse what is no request; which service it asks for does not matter."""
    from google.protobuf.message import DecodeError

    try:
        messages_pb.message("grpc.health.v1.HealthCheckRequest").FromString(message)
    except DecodeError:
        await context.abort(grpc.StatusCode.INTERNAL, "Unable to parse request")
