"""A client of raw HTTP/2 frames, and what a server must not keep of its connections."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import hpack
from scripts.record_vectors.rpc_recorder import encode

from tests.server.frontends.grpc.support import fp32
from tests.support.peers import h2client, h2peer
from tests.support.waiting import eventually
from tritonclient.codec import rpc
from tritonclient.engine.http2_server import Http2Server
from tritonclient.engine.served_stream import ServedStream
from tritonclient.server import Server
from tritonclient.server.frontends.grpc.call import Call
from tritonclient.server.frontends.grpc.connection import GrpcConnection
from tritonclient.server.frontends.grpc.stream import StreamCall

INFER, STREAM_INFER, READY = (
    f"/{rpc.SERVICE}/{method}" for method in ("ModelInfer", "ModelStreamInfer", "ServerReady")
)
WATCH = "/grpc.health.v1.Health/Watch"
CANCEL = 8


def infer_message(model: str = "echo", values: object = (1.0,)) -> bytes:
    """A request for inference, with its prefix."""
    return h2peer.message(encode("ModelInferRequest", fp32(model, values)))


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class RawClient:
    """A connection to a server, over which frames are sent as they are.

    Args:
        opening: what is sent first.
        receive_buffer: size of the socket's buffer, 0 for the usual.
    """

    def __init__(
        self, server: Server, opening: bytes = h2client.OPENING, receive_buffer: int = 0
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.grpc_port))
        self._received = b""
        self._decoder = hpack.Decoder()
        self._next = 1
        self._ended: dict[int, tuple[int, str]] = {}
        self.send(opening)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *wires: bytes) -> None:
        self.socket.sendall(b"".join(wires))

    def begin(
        self, path: str = INFER, *more: tuple[str, str], data: bytes = b"", flags: int = 0
    ) -> int:
        """Send the headers of a call, and some of its data at once; return the stream's id."""
        stream, self._next = self._next, self._next + 2
        head = h2client.head(stream, *more, fields=h2client.without(path=path))
        self.send(head + (h2peer.data(data, stream, flags) if data else b""))
        return stream

    def call(self, path: str = INFER, *more: tuple[str, str], data: bytes = b"") -> int:
        """Send a whole request; return the stream's id."""
        return self.begin(path, *more, data=data or infer_message(), flags=h2peer.END_STREAM)

    def frames(self) -> Iterator[Frame]:
        """The frames that come, until the server closes the connection."""
        while True:
            while len(self._received) >= 9:
                end = 9 + int.from_bytes(self._received[:3], "big")
                if len(self._received) < end:
                    break
                (found,) = h2peer.frames(self._received[:end])
                self._received = self._received[end:]
                yield Frame(*found)
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionError:
                return
            if not piece:
                return
            self._received += piece

    def until(self, condition: Callable[[Frame], bool]) -> Frame:
        """Return the first frame for which a condition holds."""
        for frame in self.frames():
            if condition(frame):
                return frame
        raise AssertionError("the server closed the connection")

    def status(self, stream: int) -> tuple[int, str]:
        """Wait for the end of a call; return its status and message.

        The status of a call that was reset is the error code, below 0.
        """
        while stream not in self._ended:
            found = self.until(lambda frame: frame.kind in (h2peer.HEADERS, h2peer.RST_STREAM))
            if found.kind == h2peer.RST_STREAM:
                reset = -int.from_bytes(found.payload, "big"), ""
                self._ended.setdefault(found.stream, reset)
                continue
            fields = dict(self._decoder.decode(found.payload))
            if found.flags & h2peer.END_STREAM:
                ended = int(fields["grpc-status"]), fields.get("grpc-message", "")
                self._ended[found.stream] = ended
        return self._ended[stream]

    def closed(self) -> list[Frame]:
        """Wait until the server closes the connection; return what came before."""
        return list(self.frames())

    def goaway(self) -> tuple[int, str]:
        """Wait until the server closes the connection; return code and text of its GOAWAY."""
        (last,) = [each for each in self.closed() if each.kind == h2peer.GOAWAY][-1:]
        return int.from_bytes(last.payload[4:8], "big"), last.payload[8:].decode()


_KINDS = (GrpcConnection, Http2Server, ServedStream, Call, StreamCall)


def _kept(server: Server) -> dict[str, int]:
    """What there is for connections and calls, by kind."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, _KINDS)]
    counts = {kind.__name__: sum(isinstance(each, kind) for each in found) for kind in _KINDS}
    assert server._loop is not None
    loop = server._loop.events
    counts["tasks"] = len(asyncio.all_tasks(loop))
    timers = [each for each in list(getattr(loop, "_scheduled", ())) if not each.cancelled()]
    counts["timers"] = len(timers)
    if os.path.isdir("/proc/self/fd"):
        counts["descriptors"] = len(os.listdir("/proc/self/fd"))
    return counts


@contextmanager
def nothing_left(server: Server) -> Iterator[None]:
    """Fail if connections of the block leave anything behind, or the server no longer serves."""
    serves(server)
    before = _kept(server)
    yield
    after = dict[str, int]()

    def is_gone() -> bool:
        after.update(_kept(server))
        return all(after[kind] <= count for kind, count in before.items())

    try:
        eventually(is_gone)
    except AssertionError:
        raise AssertionError(f"{after} is left, where {before} was before") from None
    serves(server)


def serves(server: Server) -> None:
    """Fail if a server does not answer."""
    with RawClient(server) as client:
        assert client.status(client.call()) == (0, "")
    assert server._grpc is not None
    connections = server._grpc._connections
    eventually(lambda: not connections)
