"""The gRPC listener: accepts connections on the event loop of the server."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future

from ....engine.spare_memory import SpareMemory
from ...core import InferenceServer
from ...extras import optional_import
from ...loop import ServerLoop
from ..certificates import load_certificate
from ..forwarding import HeaderForwarding
from ..limits import Limits
from ..sockets import listen
from .compression import Coder
from .connection import GrpcConnection
from .options import GrpcOptions
from .service import GrpcService
from .settings import settings_from

with optional_import("hpack"):
    import hpack  # noqa: F401  # which the engine needs

_log = logging.getLogger("tritonclient.server.grpc")

#: Seconds for sending the status of cancelled calls.
_CANCEL_GRACE = 0.5
#: Most seconds for the handshake of TLS.
_HANDSHAKE = 60.0
#: Connections that may wait to be accepted.
_BACKLOG = 2048


class GrpcListener:
    """Serves gRPC between `start()` and `stop()`; the address is bound when this is created.

    Args:
        port: port to listen on; 0 for a free port.
        options: completed options.
        exit_timeout: seconds that running calls have to end.
        limits: bounds of requests; a stream is one.
        loop: serves the connections.

    Raises:
        OSError: the address is not available, or a certificate cannot be read.
    """

    def __init__(
        self,
        port: int,
        options: GrpcOptions,
        exit_timeout: int,
        limits: Limits,
        loop: ServerLoop,
    ) -> None:
        self._options = options
        self._exit_timeout = exit_timeout
        self._limits = limits
        self._settings = settings_from(options.channel_arguments)
        self._forwarding = HeaderForwarding(options.forwarded_headers)
        self._context = load_certificate(options.certfile, options.keyfile, options.client_ca_file)
        if self._context is not None:
            self._context.set_alpn_protocols(["h2"])
        self._socket = listen(options.host or "0.0.0.0", port, shared=options.reuse_port)
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._service: GrpcService | None = None
        self._connections: set[GrpcConnection] = set()
        self._spare = SpareMemory()
        self._all_closed: asyncio.Event | None = None
        self._stopping: Future[None] | None = None
        self._loop = loop

    def start(self, server: InferenceServer) -> None:
        """Start serving."""
        self._loop.run(self._serve(server))

    def begin_shutdown(self) -> None:
        """Begin a graceful shutdown, without waiting for it."""
        if self._stopping is None and self._server is not None:
            self._stopping = self._loop.submit(self._stop())

    def stop(self) -> None:
        """Finish running calls and close all connections."""
        self.begin_shutdown()
        if self._stopping is not None:
            self._stopping.result()
        self._socket.close()

    def abandon(self) -> None:
        """Close the socket; for a forked child, which has no serving thread."""
        self._socket.close()

    # On its event loop

    async def _serve(self, server: InferenceServer) -> None:
        coder = Coder(self._options.compression_level)
        self._service = GrpcService(server, self._forwarding, coder, self._limits.max_requests)
        self._all_closed = asyncio.Event()
        handshake = min(self._limits.receive_timeout, _HANDSHAKE)
        self._server = await asyncio.get_running_loop().create_server(
            self._connect,
            sock=self._socket,
            ssl=self._context,
            ssl_handshake_timeout=None if self._context is None else handshake,
            backlog=_BACKLOG,
        )

    def _connect(self) -> GrpcConnection:
        assert self._service is not None
        return GrpcConnection(
            self._service.accept,
            self._settings,
            self._limits,
            self._spare,
            self._connected,
            self._disconnected,
        )

    def _connected(self, connection: GrpcConnection) -> None:
        self._connections.add(connection)
        if self._stopping is not None:
            connection.begin_shutdown()

    def _disconnected(self, connection: GrpcConnection) -> None:
        self._connections.discard(connection)
        if not self._connections and self._all_closed is not None:
            self._all_closed.set()

    async def _stop(self) -> None:
        service, server, all_closed = self._service, self._server, self._all_closed
        assert service is not None
        assert server is not None
        assert all_closed is not None
        self._socket.stop_accepting()
        await asyncio.sleep(0)
        server.close()
        service.begin_shutdown()
        for connection in [*self._connections]:
            connection.begin_shutdown()
        if not await self._closed_within(self._exit_timeout) and (count := service.cancel()):
            _log.warning(
                "cancelled %d call(s) that took longer than the exit timeout of %d s",
                count,
                self._exit_timeout,
            )
        # Connections whose clients do not read stay.
        if not await self._closed_within(_CANCEL_GRACE):
            for connection in [*self._connections]:
                connection.abort()
            await self._closed_within(_CANCEL_GRACE)
        self._socket.shut_down_accepted()
        # Threads that still execute need the loop to notice the cancellation.
        await asyncio.to_thread(service.close)

    async def _closed_within(self, seconds: float) -> bool:
        """Return True when all connections are closed, False if they are not in time."""
        assert self._all_closed is not None
        self._all_closed.clear()
        if not self._connections:
            return True
        try:
            await asyncio.wait_for(self._all_closed.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True
