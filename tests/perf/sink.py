"""A trivial server of the v2 protocol that logs when requests arrive, and misbehaves on demand.

It is a program of its own, so that it shares no interpreter with what is tested. It serves one
model, "sink", over HTTP and gRPC; every answer is the same bytes. What it should do besides is told
by POST /control with JSON, and what it has seen by GET /log.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hpack
import numpy as np

from tritonclient import messages as m
from tritonclient.codec import rest, rpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SHAPE = (16,)
DATA = np.arange(16, dtype=np.int32).tobytes()
_ANSWER = m.InferResponse(
    "sink", "1", "", {}, (m.InferTensor("OUTPUT0", "INT32", (1, *SHAPE), DATA),)
)
_METADATA = m.ModelMetadata(
    "sink",
    ("1",),
    "test",
    (m.TensorMetadata("INPUT0", "INT32", (-1, *SHAPE)),),
    (m.TensorMetadata("OUTPUT0", "INT32", (-1, *SHAPE)),),
)
_CONFIG = {
    "name": "sink",
    "max_batch_size": 64,
    "input": [{"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}],
    "output": [{"name": "OUTPUT0", "data_type": "TYPE_INT32", "dims": [16]}],
}


@dataclass
class Behaviour:
    """What the sink does besides answering.

    Attributes:
        stall_at, stall: which request stops everything, and for how many seconds.
        fail_every: which share of requests is refused.
        fail_from, fail_to: or which requests by number.
        exit_at: the request at which the process ends.
        delay: seconds before each answer, of that connection alone.
        crowded: whether the delay is that for each request that is without an answer.
        close_every: after how many answers a connection is closed, without saying so before.
    """

    stall_at: int = 0
    stall: float = 0.0
    fail_every: int = 0
    fail_from: int = 0
    fail_to: int = 0
    exit_at: int = 0
    delay: float = 0.0
    crowded: bool = False
    close_every: int = 0


class Sink:
    """The server; one thread, epoll, canned answers.

    Attributes:
        arrivals: when each request arrived, in nanoseconds of the monotonic clock.
        levels: how many requests were without an answer then, itself included; where answers have
            a delay.
        reported: the counts of requests that were answered to questions for statistics.
    """

    def __init__(self, http: int, grpc: int) -> None:
        self.behaviour = Behaviour()
        self.arrivals = array("q")
        self.levels = array("q")
        self.reported = array("q")
        self.connections = 0
        self.poll = select.epoll()
        self.listeners = {}
        self.peers: dict[int, Peer] = {}
        self.ports = []
        self.late: list[tuple[float, int, Peer, bytes]] = []
        for port, kind in ((http, HttpPeer), (grpc, GrpcPeer)):
            sock = socket.create_server(("127.0.0.1", port), backlog=1024)
            sock.setblocking(False)
            self.listeners[sock.fileno()] = (sock, kind)
            self.poll.register(sock.fileno(), select.EPOLLIN)
            self.ports.append(sock.getsockname()[1])

    def run(self) -> None:
        while True:
            wait = -1.0
            if self.late:
                wait = max(0.0, self.late[0][0] - time.monotonic())
            for fd, _ in self.poll.poll(wait):
                peer = self.peers.get(fd)
                if peer is not None:
                    peer.receive()
                else:
                    self.accept(fd)
            now = time.monotonic()
            while self.late and self.late[0][0] <= now:
                _, _, peer, data = self.late.pop(0)
                peer.send(data)

    def accept(self, fd: int) -> None:
        sock, kind = self.listeners[fd]
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.peers[connection.fileno()] = kind(self, connection)
        self.poll.register(connection.fileno(), select.EPOLLIN)

    def answered(self, request: m.Request[Any]) -> None:
        """Log which counts an answer reports."""
        if isinstance(request, m.GetStatistics):
            self.reported.append(len(self.arrivals))

    def arrived(self) -> bool:
        """Log a request; whether it is to fail."""
        behaviour = self.behaviour
        self.arrivals.append(time.monotonic_ns())
        self.levels.append(len(self.late) + 1)
        number = len(self.arrivals)
        if behaviour.exit_at and number >= behaviour.exit_at:
            raise SystemExit(1)
        if behaviour.stall_at == number:
            time.sleep(behaviour.stall)
        if behaviour.fail_from <= number < behaviour.fail_to:
            return True
        return bool(behaviour.fail_every and number % behaviour.fail_every == 0)


class Peer:
    """A connection."""

    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        self.sink, self.sock = sink, sock
        self.buffer = b""
        self.answers = 0

    def receive(self) -> None:
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.buffer = self.buffer + data if self.buffer else data
        self.read()

    def read(self) -> None:
        raise NotImplementedError

    def answer(self, data: bytes) -> None:
        behaviour = self.sink.behaviour
        if behaviour.delay:
            late = self.sink.late
            delay = behaviour.delay * (len(late) + 1 if behaviour.crowded else 1)
            late.append((time.monotonic() + delay, len(late), self, data))
            late.sort(key=lambda each: each[0])
        else:
            self.send(data)

    def send(self, data: bytes) -> None:
        try:
            sent = self.sock.send(data)
            if sent < len(data):
                self.sock.setblocking(True)
                self.sock.sendall(data[sent:])
                self.sock.setblocking(False)
        except OSError:
            self.close()
            return
        self.answers += 1
        every = self.sink.behaviour.close_every
        if every and self.answers >= every:
            self.close()

    def close(self) -> None:
        if self.sink.peers.pop(self.sock.fileno(), None) is not None:
            self.sink.poll.unregister(self.sock.fileno())
            self.sock.close()


def _http(answer: rest.HttpResponse) -> bytes:
    body = b"".join(answer.body)
    lines = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _statistics(count: int) -> tuple[m.ModelStatistics, ...]:
    each = m.StatisticDuration(count, count * 5000)
    stats = m.InferStatistics(each, m.StatisticDuration(), each, each, each, each)
    return (m.ModelStatistics("sink", "1", 0, count, count, stats),)


class HttpPeer(Peer):
    """A connection of HTTP/1.1."""

    head: bytes = b""
    size = 0
    ok = _http(rest.encode_response(m.Infer("sink", ()), _ANSWER))
    failure = _http(rest.HttpResponse(500, {}, (b'{"error":"the sink refuses"}',)))

    def read(self) -> None:
        while self.buffer:
            # Requests of a client are alike, so the last head tells where this one ends.
            if not (self.head and self.buffer.startswith(self.head)):
                end = self.buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                head = self.buffer[: end + 4]
                self.size = end + 4
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        self.size += int(line[15:])
                if not head.split(b" ", 2)[1].endswith(b"/infer"):
                    if len(self.buffer) < self.size:
                        return
                    body, self.buffer = self.buffer[end + 4 : self.size], self.buffer[self.size :]
                    self.send(self.other(head, body))
                    continue
                self.head = head
            if len(self.buffer) < self.size:
                return
            self.buffer = self.buffer[self.size :]
            self.answer(self.failure if self.sink.arrived() else self.ok)

    def other(self, head: bytes, body: bytes) -> bytes:
        method, path = head.split(b" ", 2)[:2]
        name = path.decode()
        sink = self.sink
        if name == "/control":
            sink.behaviour = Behaviour(**json.loads(body))
            return _http(rest.HttpResponse(200, {}, (str(len(sink.arrivals)).encode(),)))
        if name == "/log":
            log = {
                "arrivals": sink.arrivals.tolist(),
                "levels": sink.levels.tolist(),
                "reported": sink.reported.tolist(),
                "connections": sink.connections,
            }
            return _http(rest.HttpResponse(200, {}, (json.dumps(log).encode(),)))
        if name == "/count":
            return _http(rest.HttpResponse(200, {}, (str(len(sink.arrivals)).encode(),)))
        for request, answer in _others(len(sink.arrivals)):
            encoded = rest.encode_request(request)
            if (encoded.method, encoded.path) == (method.decode(), name):
                sink.answered(request)
                return _http(rest.encode_response(request, answer))
        return _http(rest.HttpResponse(404, {}, (b'{"error":"not found"}',)))


def _others(count: int) -> Iterator[tuple[m.Request[Any], Any]]:
    yield m.IsServerReady(), True
    yield m.IsServerLive(), True
    yield m.GetServerMetadata(), m.ServerMetadata("sink", "1", ("statistics",))
    for version in ("", "1"):
        yield m.GetModelMetadata("sink", version), _METADATA
        yield m.GetModelConfig("sink", version), _CONFIG
        yield m.GetStatistics("sink", version), _statistics(count)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">LBL", len(payload) << 8 | kind, flags, stream) + payload


def _block(*headers: tuple[str, str]) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode([hpack.NeverIndexedHeaderTuple(*each) for each in headers], huffman=False)


_HEADERS = _block((":status", "200"), ("content-type", "application/grpc"))
_TRAILERS = _block(("grpc-status", "0"))
_REFUSED = _block(
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("grpc-status", "13"),
    ("grpc-message", "the sink refuses"),
)
_UNKNOWN = _block((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12"))


def _unary(message: bytes) -> tuple[bytes, bytes, bytes]:
    """An answer in three parts, between which the stream's id stands."""
    data = struct.pack(">BL", 0, len(message)) + message
    return (
        struct.pack(">LB", len(_HEADERS) << 8 | 1, 4),
        _HEADERS + struct.pack(">LB", len(data) << 8, 0),
        data + struct.pack(">LB", len(_TRAILERS) << 8 | 1, 5),
    )


_OK = _unary(b"".join(rpc.encode_response(m.Infer("sink", ()), _ANSWER)))
_STREAMED = b"".join(rpc.rpc_infer.encode_stream_response(m.InferStreamResponse("", _ANSWER)))


class GrpcPeer(Peer):
    """A connection of HTTP/2."""

    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        super().__init__(sink, sock)
        self.decoder = hpack.Decoder()
        self.paths: dict[bytes, str] = {}
        self.calls: dict[int, tuple[str, list[bytes]]] = {}
        self.received = 0
        self.begun = False
        self.pattern: Any = None
        self.pattern_size = 0
        self.block = b""
        # Windows as wide as they can be, so that nobody waits for them.
        self.sock.sendall(
            _frame(4, 0, 0, struct.pack(">HLHL", 4, 2**31 - 1, 3, 1000))
            + _frame(8, 0, 0, struct.pack(">L", 2**31 - 1 - 65535))
        )

    def read(self) -> None:
        buffer = self.buffer
        position = 0
        if not self.begun:
            if len(buffer) < len(PREFACE):
                return
            position, self.begun = len(PREFACE), True
        out: list[bytes] = []
        try:
            self.buffer = buffer[self.frames(buffer, position, out) :]
        finally:  # also when the sink ends here: the calls before this one have their answers
            if self.received > 1 << 28:
                out.append(_frame(8, 0, 0, struct.pack(">L", self.received)))
                self.received = 0
            if out:
                self.answer(b"".join(out))

    def frames(self, buffer: bytes, position: int, out: list[bytes]) -> int:
        """Answer whole frames; where the rest begins."""
        size = len(buffer)
        while size - position >= 9:
            if self.pattern is not None and self.like_the_last(position, out):
                position += self.pattern_size
                continue
            word, flags, stream = struct.unpack_from(">LBL", buffer, position)
            end = position + 9 + (word >> 8)
            if end > size:
                break
            payload, kind = buffer[position + 9 : end], word & 255
            position = end
            if kind == 1:
                if flags & 0x20:
                    payload = payload[5:]
                self.calls[stream] = (self.path(payload), [])
                self.block = payload if flags == 4 else b""
            elif kind == 0:
                self.received += len(payload)
                self.data(stream, flags, payload, out)
            elif kind == 4 and not flags & 1:
                out.append(_frame(4, 1, 0, b""))
            elif kind == 6 and not flags & 1:
                out.append(_frame(6, 1, 0, payload))
        return position

    def like_the_last(self, position: int, out: list[bytes]) -> bool:
        """Answer a call that differs from the last one in its message only."""
        if len(self.buffer) - position < self.pattern_size:
            return False
        split, fixed = self.pattern
        head, stream, block, data, second = split(self.buffer, position)
        if (head, block, data) != fixed or stream != second:
            return False
        self.received += self.pattern_size
        self.infer(stream, out)
        return True

    def infer(self, stream: bytes, out: list[bytes]) -> None:
        if self.sink.arrived():
            out.append(_frame(1, 5, int.from_bytes(stream, "big"), _REFUSED))
        else:
            first, second, third = _OK
            out.append(b"".join((first, stream, second, stream, third, stream, _TRAILERS)))

    def learn(self, block: bytes, size: int) -> None:
        """Remember what a call looked like that adds nothing to the header table."""
        if self.paths.get(block) != "ModelInfer":
            return
        fixed = (
            struct.pack(">LB", len(block) << 8 | 1, 4),
            block,
            struct.pack(">LB", size << 8, 1),
        )
        self.pattern = struct.Struct(f">5s4s{len(block)}s5s4s{size}x").unpack_from, fixed
        self.pattern_size = 18 + len(block) + size

    def path(self, block: bytes) -> str:
        known = self.paths.get(block)
        if known is not None:
            return known
        headers = dict(self.decoder.decode(block))
        found = headers[":path"].rsplit("/", 1)[1]
        if min(block) >= 0x80 or self.decoder.header_table.maxsize == 0:
            self.paths[block] = found  # it adds nothing to the table, so it means this again
        else:
            self.paths.clear()
            self.pattern = None
        return found

    def data(self, stream: int, flags: int, payload: bytes, out: list[bytes]) -> None:
        method, parts = self.calls.get(stream, ("", []))
        if method == "ModelStreamInfer":
            self.streamed(stream, flags, payload, parts, out)
            return
        parts.append(payload)
        if not flags & 1:
            return
        self.calls.pop(stream, None)
        if method == "ModelInfer":
            self.infer(stream.to_bytes(4, "big"), out)
            if len(parts) == 1 and self.block:
                self.learn(self.block, len(payload))
            return
        message = b"".join(parts)[5:]
        try:
            request = rpc.decode_request(method, message)
        except Exception:
            out.append(_frame(1, 5, stream, _UNKNOWN))
            return
        for known, answer in _others(len(self.sink.arrivals)):
            if known == request:
                self.sink.answered(request)
                text = b"".join(rpc.encode_response(request, answer))
                first, second, third = _unary(text)
                id = stream.to_bytes(4, "big")
                out.append(b"".join((first, id, second, id, third, id, _TRAILERS)))
                return
        out.append(_frame(1, 5, stream, _UNKNOWN))

    def streamed(
        self, stream: int, flags: int, payload: bytes, parts: list[bytes], out: list[bytes]
    ) -> None:
        if not parts:
            out.append(_frame(1, 4, stream, _HEADERS))
            parts.append(b"")
        left = parts[0] + payload
        while len(left) >= 5 and len(left) >= 5 + int.from_bytes(left[1:5], "big"):
            left = left[5 + int.from_bytes(left[1:5], "big") :]
            self.sink.arrived()
            out.append(_frame(0, 0, stream, struct.pack(">BL", 0, len(_STREAMED)) + _STREAMED))
        parts[0] = left
        if flags & 1:
            out.append(_frame(1, 5, stream, _TRAILERS))


# For tests


@dataclass
class Running:
    """A sink in a process of its own."""

    process: subprocess.Popen[str]
    http_port: int
    grpc_port: int

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        url = f"http://{self.http}{path}"
        with urllib.request.urlopen(url, body, timeout=30) as answer:
            data: bytes = answer.read()
            return data

    def control(self, **behaviour: Any) -> int:
        """Change what the sink does; how many requests arrived before."""
        return int(self.ask("/control", json.dumps(behaviour).encode()))

    def log(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("/log"))
        return found

    def arrivals(self) -> list[int]:
        found: list[int] = self.log()["arrivals"]
        return found

    def count(self) -> int:
        return int(self.ask("/count"))

    def connections(self) -> int:
        return int(self.log()["connections"])


@contextmanager
def start() -> Iterator[Running]:
    """Run a sink until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.perf.sink"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        http, grpc = map(int, process.stdout.readline().split())
        yield Running(process, http, grpc)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, default=0)
    parser.add_argument("--grpc", type=int, default=0)
    arguments = parser.parse_args()
    sink = Sink(arguments.http, arguments.grpc)
    print(*sink.ports, flush=True)
    sink.run()


if __name__ == "__main__":
    main()
