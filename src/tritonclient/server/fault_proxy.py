"""`FaultProxy`: passes the bytes of connections on, and harms connections when it is asked to."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK = 1 << 16
#: SO_LINGER that makes closing a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class _Connection:
    """A connection of a client, and the one to the server that it is passed on to.

    Attributes:
        remaining: bytes that are still passed to the client before it is closed; None for any.
        rate: bytes per second to the client; 0 for as fast as possible.
    """

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    remaining: int | None = None
    rate: float = 0


class FaultProxy:
    """Listens for clients and passes their bytes on to a server, between `start` and `stop`.

    Args:
        port: port to listen on; 0 for a free port.
        target: address of the server.

    Raises:
        OSError: the port is not available.
    """

    def __init__(self, host: str, port: int, target: tuple[str, int]) -> None:
        self._host = host
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="tritonclient-fault-proxy", daemon=True
        )
        self._listener: asyncio.Server | None = None
        self._connections: dict[str, _Connection] = {}

    def start(self) -> None:
        """Start listening."""
        self._thread.start()
        self._run(self._listen(self._socket))

    def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._thread.ident is not None:
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._socket.close()
        self._loop.close()

    def refuse(self) -> None:
        """Close all connections and refuse new ones, as if no server was there."""
        self._run(self._close_all())

    def accept(self) -> None:
        """Accept connections again, at the same port."""
        self._run(self._listen(socket.create_server((self._host, self.port))))

    # Harms; `peer` is the address of the connection at the server's end

    def drop(self, peer: str) -> None:
        """Close a connection."""
        self._run(self._close(peer, reset=False))

    def reset(self, peer: str) -> None:
        """Reset a connection."""
        self._run(self._close(peer, reset=True))

    def truncate(self, peer: str, size: int) -> None:
        """Close a connection after so many further bytes to the client."""
        self._run(self._limit(peer, remaining=size))

    def drip(self, peer: str, rate: float) -> None:
        """Send so many bytes per second on a connection from now on."""
        self._run(self._limit(peer, rate=rate))

    # On the event loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self, listening: socket.socket) -> None:
        self._socket = listening
        self._listener = await asyncio.start_server(self._serve, sock=listening)

    async def _close_all(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._connections.values()):
            _abort(connection.client)
            _abort(connection.server)

    async def _end(self) -> None:
        await self._close_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _close(self, peer: str, *, reset: bool) -> None:
        connection = self._connections.get(peer)
        if connection is None:  # the client has left
            return
        if reset:
            _abort(connection.client)
        else:
            connection.client.close()
        _abort(connection.server)

    async def _limit(self, peer: str, *, remaining: int | None = None, rate: float = 0) -> None:
        connection = self._connections.get(peer)
        if connection is not None:
            connection.remaining, connection.rate = remaining, rate

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            responses, server = await asyncio.open_connection(*self._target)
        except OSError:
            _abort(client)
            return
        host, port = server.get_extra_info("sockname")[:2]
        connection = _Connection(client, server)
        self._connections[f"{host}:{port}"] = connection
        there = asyncio.ensure_future(_copy(reader, server))
        try:
            # asyncio would log a cancelled task of its server as an error.
            with suppress(asyncio.CancelledError):
                await self._pass_on(responses, connection)
        finally:
            self._connections.pop(f"{host}:{port}", None)
            there.cancel()
            client.close()
            server.close()
            await asyncio.gather(there, return_exceptions=True)

    async def _pass_on(self, responses: asyncio.StreamReader, connection: _Connection) -> None:
        """Pass on what the server sends, as far and as fast as the connection allows."""
        with suppress(OSError):
            while data := await responses.read(_CHUNK):
                while data:
                    size = len(data)
                    if connection.rate:
                        size = max(1, min(size, int(connection.rate / 10)))
                    if connection.remaining is not None:
                        size = min(size, connection.remaining)
                        connection.remaining -= size
                    connection.client.write(data[:size])
                    await connection.client.drain()
                    data = data[size:]
                    if connection.remaining == 0:
                        return
                    if connection.rate:
                        await asyncio.sleep(size / connection.rate)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what the client sends; its end as well."""
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset."""
    connected = writer.get_extra_info("socket")
    if connected is not None:
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
