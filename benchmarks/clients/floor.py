"""The floor: a loop over a blocking socket that sends a request and receives its response.

Nothing is built or decoded. What is read of a response is only where it ends.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import wire
from benchmarks.workloads import Call, Workload

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
    data = b"\0" + len(message).to_bytes(4, "big") + message
    windows = b"\0\4" + WINDOW.to_bytes(4, "big")  # SETTINGS_INITIAL_WINDOW_SIZE
    connection.sendall(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(SETTINGS, 0, 0, windows)
        + _frame(WINDOW_UPDATE, 0, 0, (WINDOW - 0xFFFF).to_bytes(4, "big"))
    )
    stream = -1

    def call() -> bytes:
        nonlocal stream
        stream += 2
        connection.sendall(
            _frame(HEADERS, END_HEADERS, stream, headers) + _frame(DATA, END_STREAM, stream, data)
        )
        got = b""
        at = 0
        while True:
            while len(got) - at >= 9:
                end = at + 9 + int.from_bytes(got[at : at + 3], "big")
                if end > len(got):
                    break
                kind, flags = got[at + 3], got[at + 4]
                if kind == HEADERS and flags & END_STREAM:
                    return got
                if kind == PING and not flags & ACK:
                    connection.sendall(_frame(PING, ACK, 0, got[at + 9 : end]))
                elif kind == SETTINGS and not flags & ACK:
                    connection.sendall(_frame(SETTINGS, ACK, 0, b""))
                elif kind == GOAWAY:
                    raise ConnectionError(f"the server sent GOAWAY: {got[at + 9 : end]!r}")
                at = end
            more = connection.recv(2**16)
            if not more:
                raise ConnectionError("the server closed the connection")
            got += more

    return call


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
