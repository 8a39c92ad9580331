"""The standard gRPC health service.

Like Triton's, it accepts any service name and reports the readiness of the server.

Source: gRPC documentation, "GRPC Health Checking Protocol".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from .... import messages as m
from ....codec import messages_pb
from ....errors import InferenceServerException, Internal, Unavailable
from ...core import InferenceServer
from .call import Call
from .compression import decompressed

SERVICE = "grpc.health.v1.Health"
#: Seconds between checks of a watched status.
_WATCH_INTERVAL = 0.5


class Health:
    """The health service; for use on one event loop."""

    def __init__(self, server: InferenceServer) -> None:
        self._server = server
        self._closing = asyncio.Event()

    def handlers(self) -> dict[str, Callable[[Call], None]]:
        """Return the handlers of the service's methods, by path."""
        return {f"/{SERVICE}/Check": self._check, f"/{SERVICE}/Watch": self._watch}

    def close(self) -> None:
        """End all watches."""
        self._closing.set()

    def _check(self, call: Call) -> None:
        call.expect_message(partial(self._answer, call))

    def _answer(self, call: Call) -> None:
        if _is_valid(call):
            call.respond((self._status(),))

    def _watch(self, call: Call) -> None:
        call.expect_message(partial(self._begin_watch, call))

    def _begin_watch(self, call: Call) -> None:
        if _is_valid(call):
            call.serve(self._serve_watch)

    async def _serve_watch(self, call: Call) -> None:
        sent = None
        while not self._closing.is_set():
            status = self._status()
            if status != sent:
                await call.write((status,))
                sent = status
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _WATCH_INTERVAL)
        call.end(Unavailable("the server is shutting down"))

    def _status(self) -> bytes:
        response = messages_pb.message(f"{SERVICE.rpartition('.')[0]}.HealthCheckResponse")
        ready = self._server.handle(m.IsServerReady())
        status: bytes = response(
            status=response.SERVING if ready else response.NOT_SERVING
        ).SerializeToString()
        return status


def _is_valid(call: Call) -> bool:
    """Return True if the request is a health check request; otherwise end the call."""
    from google.protobuf.message import DecodeError

    try:
        message = bytes(decompressed(call.take()))
        messages_pb.message("grpc.health.v1.HealthCheckRequest").FromString(message)
    except DecodeError:
        call.abort(Internal("Unable to parse request"))
    except InferenceServerException as error:
        call.abort(error)
    else:
        return True
    return False
