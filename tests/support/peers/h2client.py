"""A client's end of HTTP/2 for the tests: raw frames, and a server engine with its calls.

Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.peers import h2peer as h2
from tritonclient.engine.http2_frames import PREFACE
from tritonclient.engine.http2_server import Http2Server
from tritonclient.engine.served_stream import ServedStream
from tritonclient.engine.spare_memory import SpareMemory
from tritonclient.errors import ProtocolError

#: What a client sends first.
OPENING = PREFACE + h2.settings()
FIELDS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/service/method"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)


def block(*headers: tuple[str, str]) -> bytes:
    """A header block that leaves the dynamic table alone, so that blocks may be joined."""
    return b"".join(
        b"\x10" + _text(name.encode("latin-1")) + _text(value.encode()) for name, value in headers
    )


def _text(value: bytes) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value


POST = block(*FIELDS)


def head(
    stream: int = 1, *more: tuple[str, str], fields: bytes = POST, flags: int = h2.END_HEADERS
) -> bytes:
    """The headers of a request.

    Args:
        more: further headers.
    """
    return h2.head(stream, fields + block(*more), flags)


def request(payload: bytes = b"question", stream: int = 1) -> bytes:
    """A whole request with one message."""
    return head(stream) + h2.data(h2.message(payload), stream, h2.END_STREAM)


def without(*names: str, **values: str) -> bytes:
    """A request's header block without some headers, or with other values for them."""
    fields = [(name, values.get(name.strip(":"), value)) for name, value in FIELDS]
    return block(*[each for each in fields if each[0] not in names])


def size_of(message: Any) -> int:
    """The bytes that a message takes which waits to be taken."""
    return len(message if isinstance(message, bytes | memoryview) else message.data)


class Served:
    """A call as the server has it; each message is taken when it comes.

    Attributes:
        events: messages, "end" when all of the request has come, and the result at last.
    """

    def __init__(self, stream: ServedStream, *, take: bool = True) -> None:
        self.stream = stream
        self.events: list[Any] = []
        self._take = take
        stream.notify = self.notify

    def notify(self, stream: ServedStream) -> None:
        stream = self.stream
        while self._take and stream.messages:
            try:
                self.events.append(bytes(stream.take()))
            except ProtocolError as error:
                self.events.append(str(error))
        if stream.half_closed and "end" not in self.events:
            self.events.append("end")
        if stream.result is not None:
            self.events.append(stream.result)


class ServerEnd:
    """An `Http2Server` with the calls that it gave.

    Args:
        take: whether messages are taken as they come.
        on_call: called for each call.
        greeted: whether the preface has come.
    """

    def __init__(
        self,
        *,
        max_message: int = 1 << 20,
        max_streams: int = 100,
        take: bool = True,
        greeted: bool = True,
        on_call: Callable[[Served], None] = lambda call: None,
    ) -> None:
        self.calls: dict[int, Served] = {}
        self.pings = 0
        self._take = take
        self._on_call = on_call
        self.engine = Http2Server(
            self._called,
            self._pinged,
            SpareMemory(),
            max_message=max_message,
            max_streams=max_streams,
        )
        if greeted:
            self.feed(OPENING)
            self.sent()

    def _called(self, stream: ServedStream) -> None:
        call = self.calls[stream.id] = Served(stream, take=self._take)
        self._on_call(call)

    def _pinged(self) -> None:
        self.pings += 1

    def feed(self, wire: bytes, size: int = 1 << 20) -> None:
        """Give bytes to the engine, in pieces of a size."""
        for start in range(0, len(wire), size):
            h2.feed(self.engine, wire[start : start + size])

    def sent(self, limit: int = 2**31 - 1) -> list[tuple[int, int, int, bytes]]:
        """Return the frames that the engine has to send."""
        return h2.frames(h2.sent(self.engine, limit))

    def events(self, stream: int = 1) -> list[Any]:
        """Return what came of a call."""
        return self.calls[stream].events
