"""HTTP/1.1, client side, as a state machine without I/O.

One `Http1` is one connection and carries one exchange at a time. A driver calls `start`, sends
`data_to_send()`, reads into `get_buffer()`, reports with `buffer_updated(n)` or
`eof_received()`, and stops when `response` is set:

    IDLE --start--> HEAD --> LENGTH | CHUNKED | UNTIL_EOF --> IDLE, or CLOSED
                     ^ |
                     +-+ 1xx

Three things make it fast. A body of known length is received right into its final memory. Parsed
heads are kept as templates by their bytes, as they hardly differ from call to call. Nothing is
copied on the way out: the data to send is a list of the caller's buffers. Who does not need the
bodies of successful responses says so; one whose head equals the last one's is then not parsed.

It is strict where leniency lets a response be read in two ways (RFC 9112, section 11.2), see also
`http1_head`. Everything that a peer could make grow has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from ..datatypes import Buffer
from ..errors import ConnectionFailed, ProtocolError
from .coding import MAX_CONTENT, Compressed
from .http1_head import HEADER, Head, Headers, head_template, parse_head, refuse_non_http

#: Bytes received at once while the length of the rest is unknown.
RECEIVE_SIZE = 16 * 1024
MAX_HEAD_SIZE = 64 * 1024
MAX_INTERIM_RESPONSES = 20
_ALIGNMENT = 16
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\Z")
_MAX_CHUNK_LINE = 4096
_NOTHING = memoryview(b"")
_NO_PARTS = bytearray()  # stands in where nothing is collected


class Response(NamedTuple):
    """A response. Header names are in lower case; `body` is as it came."""

    status: int
    headers: Headers
    body: memoryview | Compressed

    def content(self) -> memoryview:
        """The body without its content coding.

        Raises:
            ProtocolError: it can't be decompressed, or is too large then.
        """
        body = self.body
        return body.content() if isinstance(body, Compressed) else body


class _State(Enum):
    IDLE = auto()
    HEAD = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_EOF = auto()
    CLOSED = auto()


# Enum members are slow to look up; these are looked at for every byte that arrives.
_IDLE, _HEAD, _LENGTH, _CHUNKED, _UNTIL_EOF, _CLOSED = _State


class Http1:
    """One connection's client side.

    Args:
        max_body: largest body accepted, in bytes.
        max_content: largest content of a compressed body, in bytes.
        offset_header: name, in lower case, of the header that tells at which offset of the body
            the tensors begin; their memory is aligned there.

    Attributes:
        response: the last response, once it is whole.
        keep_bodies: whether the bodies of all responses are wanted; if not, the body of one with
            status 200 may be empty.
    """

    __slots__ = (
        "_body", "_buffer", "_chunk_left", "_end", "_head", "_interim", "_known_head",
        "_known_response", "_known_size", "_max_body", "_max_content", "_offset_header", "_out",
        "_parts", "_received", "_searched", "_start", "_state", "_view", "keep_bodies",
        "response",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_body: int = 2**31 - 1,
        max_content: int = MAX_CONTENT,
        offset_header: str = "",
    ) -> None:
        self._max_body = max_body
        self._max_content = max_content
        self._offset_header = offset_header
        self._buffer = bytearray(RECEIVE_SIZE)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # the part of the buffer that is received and not yet read
        self._searched = 0  # bytes of it where no end of a head or line begins
        self._state = _IDLE
        self._head = Head(0, Headers(), None, False, True, 0)
        self._body = _NOTHING
        self._received = 0
        self._parts = _NO_PARTS
        self._chunk_left = 0
        self._interim = 0
        self._out: list[Buffer] = []
        self.response: Response | None = None
        self.keep_bodies = True
        # Of the last response that was received at once: its head, its size, and what it gives
        # without its body.
        self._known_head = b""
        self._known_size = 0
        self._known_response: Response | None = None

    @property
    def reusable(self) -> bool:
        """True if the connection can carry another exchange."""
        return self._state is _IDLE

    @property
    def pending(self) -> bool:
        """True if there is something to send."""
        return bool(self._out)

    def data_to_send(self) -> list[Buffer]:
        """Return what is to be sent now; all of it has to be sent."""
        out, self._out = self._out, []
        return out

    @property
    def response_begun(self) -> bool:
        """True if the head of the response was received."""
        return self._state in (_LENGTH, _CHUNKED, _UNTIL_EOF)

    @property
    def length_known(self) -> bool:
        """True if the peer will fill all of what `get_buffer` returns."""
        return self._state is _LENGTH

    @property
    def collected(self) -> bytearray:
        """The received part of a body of unknown length, for those who read events in it."""
        return self._parts

    def start(self, head: bytes, body: Iterable[Buffer] = ()) -> None:
        """Begin an exchange: queue a head (of `encode_head`) and the body's buffers."""
        if self._state is not _IDLE:
            raise RuntimeError(f"an exchange can't begin in state {self._state.name}")
        self._state = _HEAD
        self._interim = 0
        self.response = None
        self._out = [head, *body]

    def mark_unusable(self) -> None:
        """Allow no further exchange on the connection, although the response is complete."""
        self._state = _CLOSED

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Return the memory for the next received bytes."""
        if self._state is _LENGTH:
            return self._body[self._received :]
        if self._start == self._end:
            self._start = self._end = 0
            return self._view
        if self._end == len(self._buffer):
            self._make_room()
        return self._view[self._end :]

    def _make_room(self) -> None:
        if self._start:
            rest = self._buffer[self._start : self._end]
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        else:
            # A new object: views of the old one may still be held by the event loop.
            self._buffer = self._buffer + bytes(len(self._buffer))
            self._view = memoryview(self._buffer)

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes that were received into the buffer.

        Raises:
            ProtocolError: they are not HTTP, or more than the bounds allow.
        """
        if (
            count == self._known_size
            and self._state is _HEAD
            and not self._end
            and self._buffer.startswith(self._known_head)
        ):
            self.response = self._known_response
            self._state = _IDLE
            return
        try:
            if self._state is _LENGTH:
                self._received += count
                if self._received == len(self._body):
                    self._finish(self._body)
                return
            self._end += count
            if self._state is _HEAD:
                self._read_heads()
            if self._state is not _IDLE or self._start < self._end:
                self._advance()
        except ProtocolError:
            self._state = _CLOSED
            raise

    def _advance(self) -> None:
        if self._state is _CHUNKED:
            self._read_chunks()
        elif self._state is _UNTIL_EOF:
            self._collect(self._end - self._start)
        elif self._start < self._end and self._state in (_IDLE, _CLOSED):
            # Nothing was asked for. What follows a response is a fault or an attack; before the
            # first request another protocol speaks.
            if self._head.status == 0:
                refuse_non_http(self._view[self._start : self._end])
            self._state = _CLOSED
            self._start = self._end

    def eof_received(self) -> None:
        """Handle the end of what the peer sends.

        Raises:
            ConnectionFailed: a response was due, or not yet whole.
        """
        state, self._state = self._state, _CLOSED
        if state is _UNTIL_EOF:
            self._finish(memoryview(self._parts))
        elif state is _HEAD:
            received = self._end - self._start
            raise ConnectionFailed(
                f"the server closed the connection inside the answer's head, after {received} bytes"
                if received
                else "the server closed the connection without an answer"
            )
        elif state is _LENGTH:
            raise ConnectionFailed(
                f"the server closed the connection after {self._received} "
                f"of the answer's {len(self._body)} bytes"
            )
        elif state is _CHUNKED:
            raise ConnectionFailed(
                f"the server closed the connection after {len(self._parts)} bytes of an answer "
                "of unknown length"
            )

    # Heads

    def _read_heads(self) -> None:
        while self._state is _HEAD:
            end = self._buffer.find(b"\r\n\r\n", self._start + self._searched, self._end)
            if end < 0:
                self._searched = max(0, self._end - self._start - 3)
                if self._end - self._start > MAX_HEAD_SIZE:
                    raise ProtocolError(f"the answer's head exceeds {MAX_HEAD_SIZE} bytes")
                refuse_non_http(self._view[self._start : self._end])
                return
            if end - self._start > MAX_HEAD_SIZE:
                raise ProtocolError(f"the answer's head exceeds {MAX_HEAD_SIZE} bytes")
            data = bytes(memoryview(self._buffer)[self._start : end])
            self._start, self._searched = end + 4, 0
            parse = head_template if len(data) <= 1024 else parse_head
            head = self._head = parse(data, self._offset_header)
            if head.status < 200:
                self._count_interim(head.status)
            elif head.length is not None:
                self._begin_length(head.length, head.offset)
            else:
                self._parts = bytearray()
                self._chunk_left = -1
                self._state = _CHUNKED if head.chunked else _UNTIL_EOF

    def _count_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or self._interim > MAX_INTERIM_RESPONSES:
            raise ProtocolError(f"unexpected interim answer {status}")

    def _begin_length(self, length: int, offset: int) -> None:
        if length > self._max_body:
            raise ProtocolError(f"the answer's {length} bytes exceed the limit {self._max_body}")
        # Uninitialised memory, where a bytearray would first be filled with zeros. It begins on a
        # 16-byte border, as malloc's does on every 64-bit platform, and so, skipping a few bytes,
        # does what lies at the offset.
        skip = -offset % _ALIGNMENT
        try:
            body = np.empty(skip + length, np.uint8).data[skip:]
        except MemoryError as error:
            raise ProtocolError(f"no memory for the answer's {length} bytes") from error
        at_hand = min(length, self._end - self._start)
        body[:at_hand] = memoryview(self._buffer)[self._start : self._start + at_hand]
        self._start += at_hand
        if at_hand == length:
            self._finish(body)
            if not self.keep_bodies and self._state is _IDLE and self._head.status == 200:
                self._remember(length)
        else:
            self._body, self._received, self._state = body, at_hand, _LENGTH

    def _remember(self, length: int) -> None:
        """Keep what tells that the next response differs from this one in its body only."""
        self._known_head = bytes(self._view[: self._end - length])
        self._known_size = self._end
        self._known_response = Response(200, self._head.headers, _NOTHING)

    # Bodies of unknown length

    def _collect(self, count: int) -> None:
        """Move received bytes to the body."""
        if len(self._parts) + count > self._max_body:
            raise ProtocolError(f"the answer exceeds the limit of {self._max_body} bytes")
        self._parts += memoryview(self._buffer)[self._start : self._start + count]
        self._start += count

    def _read_chunks(self) -> None:
        """Read what is there of `size CRLF data CRLF ... 0 CRLF trailers CRLF`.

        `_chunk_left` counts what is missing of the data and its CRLF; -1 means that a size line
        is next, -2 that the trailers are.
        """
        while self._state is _CHUNKED:
            if self._chunk_left > 2:
                available = min(self._chunk_left - 2, self._end - self._start)
                self._collect(available)
                self._chunk_left -= available
                if self._chunk_left > 2:
                    return
            if self._chunk_left > 0:
                if self._end - self._start < 2:
                    return
                if self._buffer[self._start : self._start + 2] != b"\r\n":
                    raise ProtocolError("a chunk of the answer is longer than it says")
                self._start += 2
                self._chunk_left = -1
            line = self._line()
            if line is None:
                return
            if self._chunk_left == -2:
                if not line:
                    self._finish(memoryview(self._parts))
                elif not HEADER.match(line):
                    raise ProtocolError(f"the answer has an invalid trailer {line!r:.80}")
                continue
            match = _CHUNK.match(line)
            if match is None:
                raise ProtocolError(f"the answer has an invalid chunk size {line!r:.80}")
            size = int(match[1], 16)
            self._chunk_left = size + 2 if size else -2
            self._interim = 0  # from here on it counts trailers

    def _line(self) -> bytes | None:
        """The next line without its end, or None when it is not all there."""
        end = self._buffer.find(b"\r\n", self._start + self._searched, self._end)
        if (self._end if end < 0 else end) - self._start > _MAX_CHUNK_LINE:
            raise ProtocolError(f"a line of the answer exceeds {_MAX_CHUNK_LINE} bytes")
        if end < 0:
            self._searched = max(0, self._end - self._start - 1)
            return None
        if self._chunk_left == -2:
            self._interim += 1
            if self._interim > MAX_INTERIM_RESPONSES:
                raise ProtocolError("the answer has too many trailers")
        line = bytes(self._buffer[self._start : end])
        self._start, self._searched = end + 2, 0
        return line

    # The end

    def _finish(self, body: memoryview) -> None:
        head = self._head
        sent: memoryview | Compressed = body
        if "content-encoding" in head.headers and len(body):
            coding = head.headers["content-encoding"].strip().lower()
            if coding != "identity":
                sent = Compressed(body, coding, self._max_content)
        self.response = Response(head.status, head.headers, sent)
        self._body = _NOTHING
        self._parts = _NO_PARTS
        extra = self._start != self._end
        if self._state is _CLOSED or extra or not head.keep_alive:
            self._state = _CLOSED
        else:
            self._state = _IDLE
