"""HTTP/2, client side, as a state machine without I/O; it carries gRPC calls and nothing else.

One `Http2` stands for one connection with any number of calls on it, each an `RpcStream`. A driver
sends what `data_to_send` gives, reads into `get_buffer()`, and reports with `buffer_updated(n)` or
`eof_received()`:

    start(block, payload) -> RpcStream      HEADERS and DATA wait to be sent
    data_to_send() -> buffers               as much as both flow control windows let through
    buffer_updated(n)                       messages and results appear on the streams

It is small because its one purpose leaves much out: no priorities, no push, no dynamic header
table (see `header_block`). What is left is done in full: settings and changes of them under way,
both windows in both directions, CONTINUATION, padding, PING, GOAWAY, RST_STREAM, interim and
trailers-only responses. The connection's own window is opened all the way at once, so that one slow
stream does not hold up the others; the streams' windows bound the memory.

Large messages are received right into their memory: while a DATA frame is under way,
`get_buffer()` is a part of the message. Everything that a hostile peer could make grow has a bound.

Source: RFC 9113.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import ConnectionFailed, ProtocolError, ResourceExhausted
from .coding import MAX_CONTENT
from .header_block import MAX_BLOCK_SIZE, decode
from .http2_frames import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    NO_ERROR,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    check_beginning,
    pack_window_update,
)
from .http2_responses import RECEIVE_SIZE, FastResponses
from .rpc_stream import MessageTooLarge, RpcStream

_MAX_CONTINUATIONS = 64
#: What is left of a frame is received right into the message from this size on.
_DIRECT_SIZE = 16 * 1024


class Http2(FastResponses):
    """One connection's client side.

    One class in three files: `Sending`, `FastResponses` and this one share their attributes. They
    are not composed of objects, since a call reads and writes the windows, the streams and the
    buffer about 40 times, and each time would take one more attribute look-up.

    Args:
        max_message: largest message accepted, in bytes; more than a flow control window can hold,
            2 GiB, never is.
        max_content: largest content of a compressed message, in bytes.

    Attributes:
        response: the call that ended last, for drivers that make one call at a time.
        streams: the calls in work, by stream id.
        max_streams: how many the server allows at a time; 0 until it has told its settings.
        ping_pending: whether a ping of ours is unanswered.
        pings: pings that were sent since a call last sent anything.
        unverified: whether the response to `send_liveness_probe` has not come yet.
        unacknowledged: frames of settings of ours that the peer has not acknowledged yet.
        goaway_message: why the peer takes no more calls, if it said so.
        length_known: whether the peer will fill all of what `get_buffer` gave last.
        reusable: whether the connection can carry another call.
    """

    __slots__ = (
        "_data_ends",
        "_data_left",
        "_data_stream",
        "_first",
        "_header_ends",
        "_header_stream",
        "_pad_left",
        "length_known",
    )

    def __init__(self, *, max_message: int = 2**31 - 1, max_content: int = MAX_CONTENT) -> None:
        super().__init__(max_message, max_content)
        self._first = True
        # The DATA frame under way.
        self._data_stream: RpcStream | None = None
        self._data_left = self._pad_left = 0
        self._data_ends = False
        self.length_known = False
        # Of the header block under way.
        self._header_stream = 0
        self._header_ends = False

    @property
    def greeted(self) -> bool:
        """True if the peer's first SETTINGS were received."""
        return not self._first

    @property
    def response_begun(self) -> bool:
        """True if the response to a call has begun."""
        return any(stream.fields is not None for stream in self.streams.values())

    @property
    def unsent(self) -> bool:
        """True if a part of a call waits until the peer reads more."""
        return any(stream.out_size for stream in self.streams.values())

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

    def eof_received(self) -> None:
        """Handle the end of what the peer sends.

        Raises:
            ConnectionFailed: calls were in work.
        """
        reason = f": {self.goaway_message}" if self.goaway_message else ""
        if self._first and self._start == self._end:
            reason = " before it said anything; is this a port for gRPC, with TLS or without?"
        busy = bool(self.streams)
        error = ConnectionFailed(f"the server closed the connection{reason}")
        self.fail(error)
        if busy:
            raise error

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
                raise ProtocolError(f"the server sent a frame of type {kind} with {length} bytes")
            if available < 9 + length:
                return
            begin = self._start + 9
            payload = bytes(self._view[begin : begin + length])
            self._start = begin + length
            self._frame_received(kind, flags, stream_id, payload)

    def _refuse_others(self) -> None:
        """Refuse what can't be the first frame, at once: the port may speak another protocol."""
        check_beginning(bytes(self._buffer[self._start : min(self._end, self._start + 40)]))

    def _check_first(self, flags: int) -> None:
        self._refuse_others()
        if flags & ACK:
            raise ProtocolError("the answer is not HTTP/2: it does not begin with settings")
        self._first = False
        self.max_streams = math.inf

    def _frame_received(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._header_block is not None and (
            kind != CONTINUATION or stream_id != self._header_stream
        ):
            raise ProtocolError("the server interrupts a header block")
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
            raise ProtocolError("the server pushes, which we forbade")
        else:  # PRIORITY, and types that we don't know
            self._idle()

    # DATA

    def _begin_data(self, length: int, flags: int, stream_id: int) -> None:
        if self._header_block is not None:
            raise ProtocolError("the server interrupts a header block")
        position = self._start + 9
        padding = 0
        if flags & PADDED:
            padding = self._buffer[position] + 1
            position += 1
            if padding > length:
                raise ProtocolError("the server sent a frame with more padding than bytes")
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
                raise ProtocolError("the server goes on sending on calls that are over")
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
            self._guarded(stream, stream.ended_without_trailers)
            self._finished(stream)

    def _guarded(self, stream: RpcStream, receive: Callable[..., None], *arguments: Any) -> None:
        """Pass data to a stream; its errors end the stream, not the connection."""
        try:
            receive(*arguments)
        except MessageTooLarge as error:
            size, limit = error.args
            text = f"Received message larger than max ({size} vs. {limit})"
            self.cancel(stream, ResourceExhausted(text, "StatusCode.RESOURCE_EXHAUSTED"))
        except ProtocolError as error:
            self.cancel(stream, error)

    def _stop_finished(self, stream: RpcStream) -> None:
        """Reset a stream whose result was told before the peer ended it."""
        if stream.result is not None and stream.id in self.streams:
            self._left_over += max(0, stream.window)
            self._reset(stream.id, CANCEL)
            self._forget(stream)

    def _finished(self, stream: RpcStream) -> None:
        """Forget a stream that the peer has ended."""
        if stream.id in self.streams:
            if not stream.sent_end:
                self._reset(stream.id, NO_ERROR)  # answered before all was sent
            self._forget(stream)

    # Header blocks

    def _headers_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        begin, end = 0, len(payload)
        if flags & PADDED:
            if not payload:
                raise ProtocolError("the server sent a frame without its padding")
            begin, end = 1, end - payload[0]
        if flags & HAS_PRIORITY:
            begin += 5
        if begin > end:
            raise ProtocolError("the server sent a frame with more padding than bytes")
        block = payload[begin:end] if flags & (PADDED | HAS_PRIORITY) else payload
        ends = bool(flags & END_STREAM)
        if flags & END_HEADERS:
            self._block_received(stream_id, block, ends)
        else:
            self._known(stream_id)
            self._header_block, self._header_stream = bytearray(block), stream_id
            self._header_ends = ends
            self._idle_frames = 0
            self._template = None  # what interrupts the block is not to be read as a response

    def _continuation_received(self, flags: int, payload: bytes) -> None:
        if self._header_block is None:
            raise ProtocolError("the server continues a header block that it did not begin")
        self._header_block += payload
        self._idle_frames += 1
        if len(self._header_block) > MAX_BLOCK_SIZE or self._idle_frames > _MAX_CONTINUATIONS:
            raise ProtocolError(f"the answer's header block exceeds {MAX_BLOCK_SIZE} bytes")
        if flags & END_HEADERS:
            block, self._header_block = bytes(self._header_block), None
            self._block_received(self._header_stream, block, self._header_ends)

    def _block_received(self, stream_id: int, block: bytes, ends: bool) -> None:
        stream = self._known(stream_id)
        if stream is None:
            self._idle()
            return
        fields = decode(block)
        if (fields.http_status or 200) < 200:
            self._idle()
        else:
            self._idle_frames = 0
        try:
            stream.headers_received(fields, end=ends)
        except ProtocolError as error:
            self.cancel(stream, error)
            return
        if stream.result is not None:
            self._finished(stream)
