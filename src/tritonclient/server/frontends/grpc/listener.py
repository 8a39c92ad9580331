"""The gRPC listener: grpcio's asyncio server on the event loop of the server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from ...core import InferenceServer
from ...extras import optional_import
from ...loop import ServerLoop
from ..certificates import check_certificate
from ..forwarding import HeaderForwarding
from ..sockets import listen
from .options import COMPRESSION_LEVELS, GrpcOptions
from .service import GrpcService

with optional_import("grpcio"):
    import grpc
    import grpc.aio

T = TypeVar("T")

#: Listeners with an open socket.
_listeners: set[GrpcListener] = set()
#: True if this process was forked while there were any: grpcio does not survive a fork.
_inherited = False

_log = logging.getLogger("tritonclient.server.grpc")

#: Seconds for sending the status of cancelled calls.
_CANCEL_GRACE = 0.5


def check_usable() -> None:
    """Raise RuntimeError in a process forked from one that serves gRPC."""
    if _inherited:
        raise RuntimeError("gRPC can't be served in a process forked from one that serves it")


def _after_fork() -> None:
    global _inherited
    _inherited = _inherited or bool(_listeners)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class GrpcListener:
    """Serves gRPC between `start()` and `stop()`; the address is bound when this is created.

    Args:
        port: port to listen on; 0 for a free port.
        options: completed options.
        exit_timeout: seconds that running calls have to end.
        max_requests: calls that may run; a stream is one. Further ones are refused.
        loop: serves the connections.

    Raises:
        OSError: the address is not available, or a certificate cannot be read.
        RuntimeError: this process was forked from one that serves gRPC.
    """

    def __init__(
        self,
        port: int,
        options: GrpcOptions,
        exit_timeout: int,
        max_requests: int,
        loop: ServerLoop,
    ) -> None:
        check_usable()
        self._max_requests = max_requests
        host = options.host or "0.0.0.0"
        self._exit_timeout = exit_timeout
        self._forwarding = HeaderForwarding(options.forwarded_headers)
        self._credentials = _credentials(options)
        if port and not options.reuse_port:
            # grpcio's error gives less detail and also appears on stderr.
            listen(host, port).close()
        self._server: Any = None
        self._service: GrpcService | None = None
        self._stopping: Future[None] | None = None
        self._loop = loop
        _listeners.add(self)
        loop.call(loop.events.set_exception_handler, _handle_exception)
        try:
            self.port = loop.run(self._bind(host, port, _arguments(options)))
        except BaseException:
            self._end()
            raise

    def start(self, server: InferenceServer) -> None:
        """Start serving."""
        self._loop.run(self._serve(server))

    def begin_shutdown(self) -> None:
        """Begin a graceful shutdown, without waiting for it."""
        if self._stopping is None:
            self._stopping = self._loop.submit(self._stop())

    def stop(self) -> None:
        """Finish running calls and close all connections."""
        self.begin_shutdown()
        assert self._stopping is not None
        try:
            self._stopping.result()
        finally:
            self._end()

    def abandon(self) -> None:
        """Do nothing: grpcio cannot be used in a forked child."""

    def _end(self) -> None:
        _listeners.discard(self)
        self._server = None  # grpcio ends its thread with its last server

    # On its event loop

    async def _bind(self, host: str, port: int, arguments: list[tuple[str, int | str]]) -> int:
        self._server = grpc.aio.server(
            options=arguments, maximum_concurrent_rpcs=self._max_requests
        )
        try:
            address = f"[{host}]" if ":" in host else socket.gethostbyname(host)
            if self._credentials is None:
                return int(self._server.add_insecure_port(f"{address}:{port}"))
            return int(self._server.add_secure_port(f"{address}:{port}", self._credentials))
        except (OSError, RuntimeError) as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise OSError(f"can't listen at {where}: {error}") from error

    async def _serve(self, server: InferenceServer) -> None:
        service = GrpcService(server, self._forwarding)
        self._server.add_generic_rpc_handlers((service,))
        await self._server.start()
        self._service = service

    async def _stop(self) -> None:
        service = self._service
        if service is None:
            await self._server.start()  # otherwise grpcio keeps the port
            await self._server.stop(None)
            return
        service.begin_shutdown()
        stopping = asyncio.ensure_future(self._server.stop(self._exit_timeout + _CANCEL_GRACE))
        await asyncio.wait([stopping], timeout=self._exit_timeout)
        if not stopping.done() and (count := service.cancel()):
            _log.warning(
                "cancelled %d call(s) that took longer than the exit timeout of %d s",
                count,
                self._exit_timeout,
            )
        await stopping
        # Threads that still execute need the loop to notice the cancellation.
        await asyncio.to_thread(service.close)


def _arguments(options: GrpcOptions) -> list[tuple[str, int | str]]:
    """Return the channel arguments of grpcio's server."""
    return [
        # Triton's limit. It holds after decompression as well, where a small message can be huge.
        ("grpc.max_receive_message_length", 2**31 - 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(options.reuse_port)),
        ("grpc.default_compression_level", COMPRESSION_LEVELS.index(options.compression_level)),
        *options.channel_arguments.items(),
    ]


def _credentials(options: GrpcOptions) -> grpc.ServerCredentials | None:
    if options.certfile is None or options.keyfile is None:
        return None
    # grpcio does not report a bad certificate.
    check_certificate(options.certfile, options.keyfile, options.client_ca_file)
    authorities = None
    if options.client_ca_file is not None:
        authorities = Path(options.client_ca_file).read_bytes()
    pair = Path(options.keyfile).read_bytes(), Path(options.certfile).read_bytes()
    return grpc.ssl_server_credentials(
        [pair], root_certificates=authorities, require_client_auth=authorities is not None
    )


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Before 1.80, grpcio wakes all event loops for data that only one of them can read.
    if not isinstance(context.get("exception"), BlockingIOError):
        loop.default_exception_handler(context)
