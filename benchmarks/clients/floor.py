"""The floor: a loop over a socket that sends a request and receives its response.

Nothing is built or decoded. What is read of a response is only where it ends.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from benchmarks import wire
from benchmarks.workloads import AsyncCall, Call, Workload

DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8  # RFC 9113, 6
END_STREAM = ACK = 1
END_HEADERS = 4
WINDOW = 2**31 - 1


class Floor:
    """A socket; small requests only over gRPC, since flow control is not obeyed."""

    package = ""
    shared = False

    @contextmanager
    def blocking(self, url: str, workload: Workload, prepared: bool) -> Iterator[Call]:
        host, _, port = url.partition("://")[2].rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if url.startswith("http"):
                yield _over_http(connection, host, workload)
            else:
                yield _over_grpc(connection, host, workload)

    @asynccontextmanager
    async def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AsyncIterator[AsyncCall]:
        """All calls share a connection of gRPC on the event loop."""
        host, _, port = url.partition("://")[2].rpartition(":")
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: _GrpcProtocol(loop, host, workload), host, int(port)
        )
        try:
            yield protocol.call
        finally:
            transport.close()


def _over_http(connection: socket.socket, host: str, workload: Workload) -> Call:
    path, headers, body = wire.http_request(workload)
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    buffer = bytearray(2**16 + len(body))
    view = memoryview(buffer)
    # All responses are as long as the first.
    connection.sendall(request)
    received = 0
    while not (end := buffer.find(b"\r\n\r\n", 0, received)) > 0:
        received += _received(connection, view[received:])
    length = re.search(rb"\r\ncontent-length: *(\d+)", bytes(buffer[:end]), re.IGNORECASE)
    assert length is not None, bytes(buffer[:end])
    size = end + 4 + int(length[1])
    while received < size:
        received += _received(connection, view[received:])

    def call() -> memoryview:
        connection.sendall(request)
        received = 0
        while received < size:
            received += _received(connection, view[received:])
        return view[:received]

    return call


def _received(connection: socket.socket, view: memoryview) -> int:
    if not (count := connection.recv_into(view)):
        raise ConnectionError("the server closed the connection")
    return count


def _over_grpc(connection: socket.socket, host: str, workload: Workload) -> Call:
    headers, data = _grpc_request(host, workload)
    connection.sendall(_OPENING)
    stream = -1

    def call() -> bytes:
        nonlocal stream
        stream += 2
        connection.sendall(_call(stream, headers, data))
        frames = b""
        while True:
            if not (more := connection.recv(2**16)):
                raise ConnectionError("the server closed the connection")
            frames += more
            ended, frames, reply = _read(frames)
            if reply:
                connection.sendall(reply)
            if ended:
                return ended[0][1]

    return call


class _GrpcProtocol(asyncio.BufferedProtocol):
    """A connection of gRPC on an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, workload: Workload) -> None:
        self._loop = loop
        self._request = _grpc_request(host, workload)
        self._stream = -1
        self._frames = b""
        self._buffer = bytearray(2**16)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_OPENING)

    async def call(self) -> bytes:
        self._stream += 2
        future = self._waiting[self._stream] = self._loop.create_future()
        self._transport.write(_call(self._stream, *self._request))
        return await future

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        ended, self._frames, reply = _read(self._frames + self._buffer[:nbytes])
        if reply:
            self._transport.write(reply)
        for stream, response in ended:
            self._waiting.pop(stream).set_result(response)


def _grpc_request(host: str, workload: Workload) -> tuple[bytes, bytes]:
    """Return the header block and the data of a call."""
    message = wire.grpc_request(workload)
    headers = b"".join(
        # A literal header field without indexing, new name (RFC 7541, 6.2.2).
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", wire.GRPC_PATH.encode()),
            (b":authority", host.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        )
    )
    return headers, b"\0" + len(message).to_bytes(4, "big") + message


def _call(stream: int, headers: bytes, data: bytes) -> bytes:
    return _frame(HEADERS, END_HEADERS, stream, headers) + _frame(DATA, END_STREAM, stream, data)


def _read(frames: bytes) -> tuple[list[tuple[int, bytes]], bytes, bytes]:
    """Read frames: the streams that end with what came until then, the rest, and a reply."""
    ended = []
    reply = b""
    begin = at = 0
    while len(frames) - at >= 9:
        end = at + 9 + int.from_bytes(frames[at : at + 3], "big")
        if end > len(frames):
            break
        kind, flags = frames[at + 3], frames[at + 4]
        if kind == HEADERS and flags & END_STREAM:
            ended.append((int.from_bytes(frames[at + 5 : at + 9], "big"), frames[begin:end]))
            begin = end
        elif kind == PING and not flags & ACK:
            reply += _frame(PING, ACK, 0, frames[at + 9 : end])
        elif kind == SETTINGS and not flags & ACK:
            reply += _frame(SETTINGS, ACK, 0, b"")
        elif kind == GOAWAY:
            raise ConnectionError(f"the server sent GOAWAY: {frames[at + 9 : end]!r}")
        at = end
    return ended, frames[begin:], reply


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


_OPENING = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + _frame(SETTINGS, 0, 0, b"\0\4" + WINDOW.to_bytes(4, "big"))  # SETTINGS_INITIAL_WINDOW_SIZE
    + _frame(WINDOW_UPDATE, 0, 0, (WINDOW - 0xFFFF).to_bytes(4, "big"))
)
