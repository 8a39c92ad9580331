"""One gRPC call as a server has it: a request's messages in, a response's messages out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from urllib.parse import quote

from .header_block import encode
from .message_stream import Connection, MessageStream
from .request_head import RequestHead
from .spare_memory import SpareMemory

#: Bytes that may wait to be sent before those who send should wait.
ROOM = 256 * 1024
_CONTENT_TYPE = ("content-type", "application/grpc")
#: The characters of a status message that are sent as they are (PROTOCOL-HTTP2, Percent-Encoded).
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class ServedStream(MessageStream):
    """One call of a server.

    Attributes:
        head: the request's headers.
        half_closed: whether the client has sent all of the request.
        begun: whether the response's headers are sent.
        responded: whether the whole response is sent.
        size: bytes of messages that came, and of the rest of the frame under way.
        on_room: called once when less than `ROOM` bytes wait to be sent.
    """

    _peer = "the client"
    _whole = "the request"

    half_closed = False
    begun = False
    responded = False
    size = 0
    on_room: Callable[[], None] | None = None
    # What had come at the last check, and at the first check of the part that must come.
    _came = _base = 0
    _intervals = 0

    def __init__(
        self,
        id: int,
        connection: Connection,
        head: RequestHead,
        spare: SpareMemory,
    ) -> None:
        super().__init__(id, connection, None, False)
        self.head = head
        self._spare = spare

    def _memory(self, size: int) -> memoryview:
        return self._spare.take(size)

    @property
    def coding(self) -> str:
        """The coding of compressed messages."""
        return self.head.coding

    @property
    def awaits_more(self) -> bool:
        """True if a part of the request must come before anything can be done.

        A client may wait in the middle of a message until those before it are taken.
        """
        if self.single:
            return not self.half_closed
        return self.half_sent and not self.messages

    @property
    def half_sent(self) -> bool:
        """True if a message has begun and not ended."""
        return self._message is not None or bool(self._prefix)

    @property
    def has_room(self) -> bool:
        """True if more may be given to be sent, or the call is over."""
        return self.out_size < ROOM or self.result is not None

    def window_used(self, size: int) -> None:
        """Count what the client sent against its window."""
        self.size += self.coming
        super().window_used(size)

    def check_progress(self, interval: float, rate: float) -> str:
        """Return why the request comes too slowly, "" if it does not.

        A part that must come has one interval to begin, and then the rate to keep.

        Args:
            interval: seconds since the last call of this.
            rate: least bytes per second.
        """
        came, last = self.size - self.coming, self._came
        self._came = came
        if not self.awaits_more:
            self._intervals = 0
            return ""
        self._intervals += 1
        if self._intervals == 1:
            self._base = came
            return ""
        if came == last:
            return f"nothing of the request came for {interval:g} s; send it again"
        size, seconds = came - self._base, interval * (self._intervals - 1)
        if size >= rate * (seconds - interval):
            return ""
        return (
            f"the request came too slowly: {size} bytes in {seconds:g} s; send it again, with "
            f"{rate:g} bytes per second or more"
        )


@cache
def first_block(coding: str) -> bytes:
    """Return the header block before the messages of a response.

    Args:
        coding: of those that are compressed; "identity" if none is.
    """
    fields = [(":status", "200"), _CONTENT_TYPE]
    if coding != "identity":
        fields.append(("grpc-encoding", coding))
    return encode([*fields, ("grpc-accept-encoding", "identity, deflate, gzip")])


def last_block(code: int, message: str, *, alone: bool) -> bytes:
    """Return the header block behind the messages of a response.

    Args:
        code: the gRPC status.
        message: what went wrong, "" for nothing.
        alone: that it is the whole response.
    """
    fields = [(":status", "200"), _CONTENT_TYPE] if alone else []
    fields.append(("grpc-status", str(code)))
    if message:
        fields.append(("grpc-message", _encoded(message)))
    return encode(fields)


def _encoded(message: str) -> str:
    text = quote(message, safe=_PLAIN, encoding="utf-8", errors="replace")
    # Spaces at the ends of a header's value are no part of it.
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else 0
    return "%20" * before + inner + "%20" * (len(text) - len(inner) - before)
