"""Incoming half of an HTTP/2 connection: frames, data, header blocks.

`Receiving` is what `http2.Http2` (client) and `http2_server.Http2Server` have in common with
`http2_sending.Sending` below it. Large messages are received right into their memory: while a DATA
frame is under way, `get_buffer()` is a part of the message.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import InferenceServerException, ProtocolError, ResourceExhausted
from .header_block import MAX_BLOCK_SIZE
from .http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    LARGEST_WINDOW,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    pack_window_update,
)
from .http2_sending import Sending
from .message_stream import MessageStream, MessageTooLarge

S = TypeVar("S", bound=MessageStream)

#: Bytes received at once outside of large messages.
RECEIVE_SIZE = 32 * 1024
_MAX_CONTINUATIONS = 64
#: What is left of a frame is received right into the message from this size on.
_DIRECT_SIZE = 16 * 1024


class Receiving(Sending[S]):
    """Incoming half of an HTTP/2 connection; the whole of one with what the two sides add.

    Attributes:
        length_known: whether the peer will fill all of what `get_buffer` gave last.
    """

    __slots__ = (
        "_buffer", "_consumed", "_data_ends", "_data_left", "_data_stream", "_end", "_first",
        "_header_block", "_header_ends", "_header_stream", "_pad_left", "_start", "_template",
        "_view", "length_known",
    )  # fmt: skip

    def __init__(self, max_message: int, max_content: int, opening: bytes) -> None:
        super().__init__(max_message, max_content, opening)
        # What is received and not yet read: buffer[start:end].
        self._buffer = bytearray(RECEIVE_SIZE)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._consumed = 0  # of the connection's own window
        self._first = True
        # The DATA frame under way.
        self._data_stream: S | None = None
        self._data_left = self._pad_left = 0
        self._data_ends = False
        self.length_known = False
        # The header block under way, while CONTINUATION frames are due.
        self._header_block: bytearray | None = None
        self._header_stream = 0
        self._header_ends = False
        self._template: Any = None  # of what is read in one piece

    # What the sides add

    @abstractmethod
    def _match_template(self, template: Any) -> bool:
        """Read a small call that differs from the last one in its message only, if it is one."""

    @abstractmethod
    def _parse_whole(self, length: int, stream_id: int) -> bool:
        """Read a small call at once, if it is there from its header block on."""

    @abstractmethod
    def _refuse_others(self) -> None:
        """Raise ProtocolError if what came first can't be HTTP/2."""

    @abstractmethod
    def _check_first(self, flags: int) -> None:
        """Check the first frame, of which these are the flags; or ProtocolError."""

    @abstractmethod
    def _check_block(self, stream_id: int) -> None:
        """Check that a header block may begin on a stream; or ProtocolError."""

    @abstractmethod
    def _block_received(self, stream_id: int, block: bytes, ends: bool) -> None:
        """Read a whole header block."""

    @abstractmethod
    def _ended(self, stream: S) -> None:
        """Note that the peer ended a stream with DATA."""

    @abstractmethod
    def _refuse_rest(self, stream: S, error: InferenceServerException) -> None:
        """End a call of which the peer sends what it may not."""

    @abstractmethod
    def _reset_finished(self, stream: S) -> None:
        """Reset a stream whose result was known before the peer ended it."""

    # Reading

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Return the memory for the next received bytes."""
        self.length_known = False
        if self._start == self._end:
            self._start = self._end = 0
            if self._data_left >= _DIRECT_SIZE and self._data_stream is not None:
                target = self._data_stream.target
                if target is not None and len(target) >= _DIRECT_SIZE:
                    self.length_known = True
                    return target[: self._data_left]
            return self._view
        if self._end == len(self._buffer):
            self._make_room()
        return self._view[self._end :]

    def _make_room(self) -> None:
        rest = self._buffer[self._start : self._end]
        # A new object, since views of the old one may still be held by the event loop; twice as
        # large for what does not fit, which is at most a frame of headers.
        size = RECEIVE_SIZE if len(rest) < RECEIVE_SIZE // 2 else 2 * len(rest)
        self._buffer = rest + bytes(size - len(rest))
        self._view = memoryview(self._buffer)
        self._start, self._end = 0, len(rest)

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes that were received into the buffer.

        Raises:
            ProtocolError: they are not HTTP/2, or more than the bounds allow.
        """
        try:
            if self.length_known:
                self._direct_received(count)
            else:
                self._end += count
            self._read_frames()
        except ProtocolError as error:
            self.fail(error)
            raise

    def _read_frames(self) -> None:
        while True:
            if self._data_left or self._pad_left:
                if self._start == self._end:
                    return
                self._read_data()
                continue
            available = self._end - self._start
            if available < 9:
                if available and self._first:
                    self._refuse_others()
                return
            template = self._template
            if template is not None and self._match_template(template):
                if self._start == self._end:
                    return
                continue
            word, flags, stream_id = FRAME.unpack_from(self._buffer, self._start)
            length, kind = word >> 8, word & 255
            stream_id &= 0x7FFFFFFF
            if self._first:
                self._check_first(flags)
            if kind == HEADERS and flags == END_HEADERS and self._parse_whole(length, stream_id):
                continue
            if kind == DATA:
                if flags & PADDED and available == 9:
                    return
                self._begin_data(length, flags, stream_id)
                continue
            if length > MAX_BLOCK_SIZE:
                text = f"sent a frame of type {kind} with {length} bytes"
                raise self._broken(text, FRAME_SIZE_ERROR)
            if available < 9 + length:
                return
            begin = self._start + 9
            payload = bytes(self._view[begin : begin + length])
            self._start = begin + length
            self._frame_received(kind, flags, stream_id, payload)

    def _frame_received(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._header_block is not None and (
            kind != CONTINUATION or stream_id != self._header_stream
        ):
            raise self._broken("interrupts a header block")
        if kind == HEADERS:
            self._headers_received(flags, stream_id, payload)
        elif kind == WINDOW_UPDATE:
            self._window_received(stream_id, payload)
        elif kind == PING:
            self._ping_received(flags, stream_id, payload)
        elif kind == SETTINGS:
            self._settings_received(flags, stream_id, payload)
        elif kind == RST_STREAM:
            self._reset_received(stream_id, payload)
        elif kind == GOAWAY:
            self._goaway_received(stream_id, payload)
        elif kind == CONTINUATION:
            self._continuation_received(flags, payload)
        elif kind == PUSH_PROMISE:
            raise self._broken("pushes, which we forbade")
        else:
            if kind == PRIORITY and (not stream_id or len(payload) != 5):
                code = FRAME_SIZE_ERROR if stream_id else PROTOCOL_ERROR
                raise self._broken("sent an invalid PRIORITY frame", code)
            self._idle()  # priorities, and types that we don't know

    # DATA

    def _begin_data(self, length: int, flags: int, stream_id: int) -> None:
        if self._header_block is not None:
            raise self._broken("interrupts a header block")
        position = self._start + 9
        padding = 0
        if flags & PADDED:
            padding = self._buffer[position] + 1
            position += 1
            if padding > length:
                raise self._broken("sent a frame with more padding than bytes")
        self._start = position
        stream = self._known(stream_id)
        if stream is not None:
            stream.coming = length - padding
            self._guarded(stream, stream.window_used, length)
            if padding and stream.result is None:
                # At once, since the window may have been opened for just what a message needs.
                stream.window += padding
                self._reply(pack_window_update(stream_id, padding))
        else:
            self._left_over -= length
            if self._left_over < 0:
                raise self._broken("goes on sending on calls that are over", STREAM_CLOSED)
        self._use_window(length)
        if length == padding or stream is None:
            self._idle()
        else:
            self._idle_frames = 0
        self._data_stream = stream
        self._data_left = length - padding
        self._pad_left = padding - bool(padding)  # the length of the padding has been read
        self._data_ends = bool(flags & END_STREAM)
        if not (self._data_left or self._pad_left):
            self._data_complete()

    def _read_data(self) -> None:
        if self._data_left:
            end = min(self._end, self._start + self._data_left)
            data = self._view[self._start : end]
            self._start = end
            self._data_left -= len(data)
            if self._data_stream is not None and self._data_stream.result is None:
                self._guarded(self._data_stream, self._data_stream.data_received, data)
                self._stop_finished(self._data_stream)
        else:
            skipped = min(self._pad_left, self._end - self._start)
            self._start += skipped
            self._pad_left -= skipped
        if not (self._data_left or self._pad_left):
            self._data_complete()

    def _direct_received(self, count: int) -> None:
        self.length_known = False
        self._data_left -= count
        if self._data_stream is not None and self._data_stream.result is None:
            self._guarded(self._data_stream, self._data_stream.target_filled, count)
        if not (self._data_left or self._pad_left):
            self._data_complete()

    def _data_complete(self) -> None:
        stream, self._data_stream = self._data_stream, None
        if self._data_ends and stream is not None and stream.result is None:
            self._ended(stream)

    def _guarded(self, stream: S, receive: Callable[..., None], *arguments: Any) -> None:
        """Pass data to a stream; its errors end the stream, not the connection."""
        try:
            receive(*arguments)
        except MessageTooLarge as error:
            size, limit = error.args
            text = f"Received message larger than max ({size} vs. {limit})"
            self._refuse_rest(stream, ResourceExhausted(text, "StatusCode.RESOURCE_EXHAUSTED"))
        except ProtocolError as error:
            self._refuse_rest(stream, error)

    def _stop_finished(self, stream: S) -> None:
        if stream.result is not None and stream.id in self.streams:
            self._reset_finished(stream)

    def _use_window(self, length: int) -> None:
        self._consumed += length
        if self._consumed >= LARGEST_WINDOW // 2:
            self.grant(0, self._consumed)
            self._consumed = 0

    # Header blocks

    def _headers_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        begin, end = 0, len(payload)
        if flags & PADDED:
            if not payload:
                raise self._broken("sent a frame without its padding")
            begin, end = 1, end - payload[0]
        if flags & HAS_PRIORITY:
            begin += 5
        if begin > end:
            raise self._broken("sent a frame with more padding than bytes")
        block = payload[begin:end] if flags & (PADDED | HAS_PRIORITY) else payload
        ends = bool(flags & END_STREAM)
        if flags & END_HEADERS:
            self._block_received(stream_id, block, ends)
        else:
            self._check_block(stream_id)
            self._header_block, self._header_stream = bytearray(block), stream_id
            self._header_ends = ends
            self._idle_frames = 0
            self._template = None  # what interrupts the block is not to be read as a response

    def _continuation_received(self, flags: int, payload: bytes) -> None:
        if self._header_block is None:
            raise self._broken("continues a header block that it did not begin")
        self._header_block += payload
        self._idle_frames += 1
        if len(self._header_block) > MAX_BLOCK_SIZE or self._idle_frames > _MAX_CONTINUATIONS:
            raise ProtocolError(f"{self._whole}'s header block exceeds {MAX_BLOCK_SIZE} bytes")
        if flags & END_HEADERS:
            block, self._header_block = bytes(self._header_block), None
            self._block_received(self._header_stream, block, self._header_ends)
