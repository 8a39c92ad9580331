"""The HTTP listener: uvicorn on the event loop of the server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeAlias, cast

from ...core import InferenceServer
from ...extras import optional_import
from ...loop import ServerLoop
from ..forwarding import HeaderForwarding
from ..limits import MIN_RECEIVE_RATE, RECEIVE_TIMEOUT, Limits
from ..sockets import ListeningSocket, listen
from .application import NAMES_AS_SENT, HttpApplication
from .joined_writes import JoinedWrites
from .progress import Progress

with optional_import("uvicorn and httptools"):
    import httptools  # noqa: F401  # uvicorn imports it later, with a worse error
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = logging.getLogger("tritonclient.server.http")

#: Seconds until an idle connection is closed. Triton keeps them forever, as do client pools.
_KEEP_ALIVE = 3600
#: Largest request line and headers together, in bytes; Triton's bound.
_MAX_HEAD = 64 << 10
#: Seconds for sending the responses of cancelled requests.
_CANCEL_GRACE = 0.5
#: Seconds between checks of uvicorn whether all requests are finished.
_UVICORN_POLL = 0.1

Path: TypeAlias = "str | os.PathLike[str]"


class HttpListener:
    """Serves HTTP between `start()` and `stop()`.

    Args:
        host: address to listen on; it is bound when this is created.
        port: port to listen on; 0 for a free port.
        certificate: files with a certificate and its key, to serve https.
        limits: bounds of requests.
        exit_timeout: seconds that running requests have to end.
        forwarding: the headers that become parameters of inference requests.
        loop: serves the connections.

    Raises:
        OSError: the address is not available.
    """

    def __init__(
        self,
        host: str,
        port: int,
        certificate: tuple[Path | None, Path | None],
        limits: Limits,
        exit_timeout: int,
        forwarding: HeaderForwarding,
        loop: ServerLoop,
    ) -> None:
        self._forwarding = forwarding
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._certificate = certificate
        self._limits = limits
        self._exit_timeout = exit_timeout
        self._application: HttpApplication | None = None
        self._server: _UvicornServer | None = None
        self._failure: BaseException | None = None
        self._loop = loop
        self._serving: Future[None] | None = None

    def start(self, server: InferenceServer) -> None:
        """Start serving; return when the socket listens.

        Raises:
            OSError: a certificate cannot be read.
        """
        application = HttpApplication(
            server,
            max_input_size=self._limits.max_input_size,
            max_requests=self._limits.max_requests,
            forwarding=self._forwarding,
        )
        self._application = application
        certfile, keyfile = self._certificate
        config = uvicorn.Config(
            application,
            http=self._protocol(),
            ws="none",
            loop="asyncio",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_certfile=certfile and str(certfile),
            ssl_keyfile=keyfile and str(keyfile),
        )
        config.load()
        self._server = _UvicornServer(config, self._exit_timeout)
        self._serving = self._loop.submit(self._serve(self._server))
        self._server.listening.wait()
        if self._failure is not None:
            raise self._failure

    def _protocol(self) -> type[_Protocol]:
        kind: type[_Protocol] = _NamesAsSent if self._forwarding else _Protocol

        class Protocol(kind):  # type: ignore[misc, valid-type]
            receive_timeout = self._limits.receive_timeout
            min_receive_rate = self._limits.min_receive_rate

        return Protocol

    def begin_shutdown(self) -> None:
        """Begin a graceful shutdown, without waiting for it."""
        if self._server is not None:
            self._server.begin_shutdown()

    def stop(self) -> None:
        """Finish running requests and close all connections."""
        self.begin_shutdown()
        if self._serving is not None:
            self._serving.result()
        self._socket.close()
        if self._application is not None:
            self._application.close()

    def abandon(self) -> None:
        """Close the socket; for a forked child, which has no serving thread."""
        self._socket.close()

    async def _serve(self, server: _UvicornServer) -> None:
        try:
            await server.serve(sockets=[self._socket])
        except BaseException as error:  # uvicorn raises SystemExit when it cannot start
            _log.debug("the HTTP server failed", exc_info=True)
            self._failure = error
        finally:
            server.listening.set()


class _Protocol(HttpToolsProtocol):
    """The protocol, with bounds on request heads and on the time for a half-sent request.

    The parser would keep any number of bytes of a head, and wait forever for the rest.
    """

    receive_timeout = RECEIVE_TIMEOUT
    min_receive_rate = MIN_RECEIVE_RATE

    _head_open = False
    _head_received = 0
    _head_size = 0
    _incomplete = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._progress = Progress(self.receive_timeout, self.min_receive_rate)
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._incomplete = True
        self._progress.begin(self.loop.time())
        if self._timer is None:
            self._timer = self.loop.call_later(self.receive_timeout, self._check_progress)
        self._head_open = True
        self._head_received = self._head_size = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size <= _MAX_HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_open = False
        if self._head_size > _MAX_HEAD:
            raise ValueError("the head is too large")  # ends the parsing
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._incomplete = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def _check_progress(self) -> None:
        """Refuse a request that comes too slowly; one timer serves a connection."""
        self._timer = None
        if not self._incomplete or self.transport.is_closing():
            return
        now = self.loop.time()
        left = self._progress.left(now)
        if left > 0 or self.flow.read_paused:  # by this side, which has too much to do
            delay = left if left > 0 else self.receive_timeout
            self._timer = self.loop.call_later(delay, self._check_progress)
            return
        self._refuse("408 Request Timeout", self._progress.reason(now))

    def _refuse(self, status: str, text: str) -> None:
        body = json.dumps({"error": text}).encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        in_head = self._head_open
        if in_head:
            self._head_received += len(data)
        super().data_received(data)
        self._progress.received(len(data), self.loop.time())
        if in_head and self._head_open and self._head_received > _MAX_HEAD:
            self._head_size = self._head_received
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
            return
        if self._head_size <= _MAX_HEAD:
            super().send_400_response(msg)
            return
        self._refuse(
            "431 Request Header Fields Too Large",
            f"the request line and headers are larger than {_MAX_HEAD} bytes; send less",
        )


class _NamesAsSent(_Protocol):
    """The protocol, which also keeps the names of headers as they were sent."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {NAMES_AS_SENT: {"names": []}}

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        extensions = self.scope.get("extensions") or {}
        names: Any = extensions[NAMES_AS_SENT]["names"]
        names.append(name.decode("latin-1"))


class _UvicornServer(uvicorn.Server):
    """A uvicorn server with an event for "listening", and a shutdown without polling."""

    def __init__(self, config: uvicorn.Config, exit_timeout: int) -> None:
        super().__init__(config)
        self._exit_timeout = exit_timeout
        self.listening = threading.Event()
        self._shutdown_begun: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin_shutdown(self) -> None:
        """Begin a graceful shutdown; from any thread."""
        if self._loop is not None and self._shutdown_begun is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._shutdown_begun.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._shutdown_begun = asyncio.Event()
        await super().startup(sockets=sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        assert self._shutdown_begun is not None
        await self._shutdown_begun.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listening = [each for each in sockets or () if isinstance(each, ListeningSocket)]
        for each in listening:
            each.stop_accepting()
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(super().shutdown(sockets=sockets))
        await asyncio.wait([ending], timeout=self._exit_timeout + _UVICORN_POLL)
        if not ending.done():
            await self._cancel_requests()
        # Connections whose requests did not end in time, or whose clients do not read.
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await ending
        for each in listening:
            each.shut_down_accepted()

    async def _cancel_requests(self) -> None:
        # uvicorn would log each cancelled request with a traceback.
        self.force_exit = True
        requests = set(self.server_state.tasks)
        if not requests:
            return
        _log.warning(
            "cancelled %d request(s) that took longer than the exit timeout of %d s",
            len(requests),
            self._exit_timeout,
        )
        for request in requests:
            request.cancel()
        await asyncio.wait(requests, timeout=_CANCEL_GRACE)
