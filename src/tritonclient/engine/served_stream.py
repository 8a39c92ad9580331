"""One gRPC call as a server has it: a request's messages in, a response's messages out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from urllib.parse import quote

from .header_block import encode
from .message_stream import MessageStream
from .request_head import RequestHead

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
        on_room: called once when less than `ROOM` bytes wait to be sent.
    """

    _peer = "the client"
    _whole = "the request"

    half_closed = False
    begun = False
    responded = False
    on_room: Callable[[], None] | None = None
    _progress: object = None

    def __init__(
        self,
        id: int,
        head: RequestHead,
        max_message: int,
        grant: Callable[[int, int], None],
    ) -> None:
        # A message is decompressed to at most the size that one may have without compression.
        super().__init__(id, max_message, max_message, grant, None, False)
        self.head = head

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

    def came_on(self) -> bool:
        """Return True if more of the request has come since the last call of this."""
        before, self._progress = self._progress, (self.window, self._received, len(self._prefix))
        return before != self._progress


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
