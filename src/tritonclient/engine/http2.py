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
trailers-only answers. The connection's own window is opened all the way at once, so that one slow
stream does not hold up the others; the streams' windows bound the memory.

Large messages are received right into their memory: while a DATA frame is under way,
`get_buffer()` is a part of the message. Everything that a hostile peer could make grow has a bound.

Source: RFC 9113.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..datatypes import Buffer
from ..errors import (
    CallLeftOver,
    CallRefused,
    ConnectionFailed,
    InferenceServerException,
    ProtocolError,
    ResourceExhausted,
)
from .header_block import MAX_BLOCK_SIZE, NO_TABLE, decode
from .rpc_stream import (
    PREFIX,
    WINDOW,
    MessageTooLarge,
    Outcome,
    Place,
    RpcStream,
    plain_outcome,
    reset_error,
)

#: Bytes received at once outside of large messages.
RECEIVE_SIZE = 32 * 1024
#: Frames without any progress (PING, SETTINGS, empty DATA ...) that are put up with in a row.
MAX_IDLE_FRAMES = 10_000
#: Bytes of answers to such frames that may wait for a peer that does not read.
MAX_PENDING_CONTROL = 64 * 1024
_MAX_CONTINUATIONS = 64
#: What is left of a frame is received right into the message from this size on.
_DIRECT_SIZE = 16 * 1024

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">LBL")  # length and type, flags, stream
_SETTING = struct.Struct(">HL")
_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS = 0, 1, 2, 3, 4
_PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 5, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _MAX_CONCURRENT_STREAMS = 1, 2, 3
_INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE, _MAX_HEADER_LIST_SIZE = 4, 5, 6
_ANSWER_ENDS = _END_HEADERS | _END_STREAM
_NO_ERROR, _CANCEL = 0, 8
_LARGEST_WINDOW = 2**31 - 1
_LAST_STREAM = 2**31 - 1
_DEFAULT_WINDOW = 65535
#: How a frame begins that opens the connection's window.
_OPENS_WINDOW = _FRAME.pack(4 << 8 | _WINDOW_UPDATE, 0, 0)
_OUR_SETTINGS = {
    _HEADER_TABLE_SIZE: 0,
    _ENABLE_PUSH: 0,
    _INITIAL_WINDOW_SIZE: WINDOW,
    _MAX_FRAME_SIZE: 2**24 - 1,
    _MAX_HEADER_LIST_SIZE: MAX_BLOCK_SIZE,
}


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


def _window_update(stream: int, increment: int) -> bytes:
    return _frame(_WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def _opening() -> bytes:
    settings = b"".join([_SETTING.pack(name, value) for name, value in _OUR_SETTINGS.items()])
    window = _window_update(0, _LARGEST_WINDOW - _DEFAULT_WINDOW)
    return _PREFACE + _frame(_SETTINGS, 0, 0, settings) + window


_OPENING = _opening()


class _Pattern(NamedTuple):
    """What a small answer looked like: headers, one message, trailers.

    Attributes:
        message, last, stop: where the message begins, the trailers' frame, and what comes behind.
        size: of the DATA frame.
        head: what comes before the message, around the stream's id in two places.
        tail: what comes behind it, around the id in one.
    """

    message: int
    last: int
    stop: int
    size: int
    head: tuple[bytes, bytes, bytes]
    tail: tuple[bytes, bytes]
    outcome: Outcome


class Http2:
    """One connection's client side.

    Args:
        max_message: largest message accepted, before and after decompression; more than a flow
            control window can hold, 2 GiB, never is.

    Attributes:
        response: the call that ended last, for drivers that make one call at a time.
        streams: the calls in work, by stream id.
        max_streams: how many the server allows at a time; 0 until it has told its settings.
        ping_pending: whether a ping of ours is unanswered.
        pings: pings that were sent since a call last sent anything.
        doubtful: whether nothing has come since `probe`.
        farewell: why the peer takes no more calls, if it said so.
        length_known: whether the peer will fill all of what `get_buffer` gave last.
        reusable: whether the connection can carry another call.
    """

    __slots__ = (
        "_buffer",
        "_consumed",
        "_control",
        "_control_size",
        "_data_ends",
        "_data_left",
        "_data_stream",
        "_end",
        "_failure",
        "_first",
        "_header_block",
        "_header_ends",
        "_header_stream",
        "_idle_frames",
        "_left_over",
        "_max_frame",
        "_max_message",
        "_next_id",
        "_pad_left",
        "_pattern",
        "_sending",
        "_start",
        "_stream_window",
        "_window",
        "doubtful",
        "farewell",
        "length_known",
        "max_streams",
        "ping_pending",
        "pings",
        "response",
        "reusable",
        "streams",
    )

    def __init__(self, *, max_message: int = 2**31 - 1) -> None:
        self._max_message = min(max_message, _LARGEST_WINDOW)
        self.streams: dict[int, RpcStream] = {}
        self.response: RpcStream | None = None
        self.ping_pending = False
        self.pings = 0
        self.doubtful = False
        self.reusable = True
        self._next_id = 1
        self._failure: InferenceServerException | None = None
        self.farewell = ""
        # What the peer allows.
        self.max_streams: float = 0
        self._max_frame = 16384
        self._window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW
        # What is to be sent.
        self._control: list[Buffer] = [_OPENING]
        self._control_size = 0  # of answers to the peer's frames
        self._sending: dict[int, RpcStream] = {}
        # What is received and not yet read: buffer[start:end].
        self._buffer = bytearray(RECEIVE_SIZE)
        self._start = self._end = 0
        self._first = True
        self._idle_frames = 0
        self._pattern: _Pattern | None = None
        self._consumed = 0  # of the connection's own window
        self._left_over = 0  # what the peer may still send on calls that we ended
        # The DATA frame under way.
        self._data_stream: RpcStream | None = None
        self._data_left = self._pad_left = 0
        self._data_ends = False
        self.length_known = False
        # The header block under way, while CONTINUATION frames are due.
        self._header_block: bytearray | None = None
        self._header_stream = 0
        self._header_ends = False

    # What drivers ask

    @property
    def pending(self) -> bool:
        """Whether something may be sent now."""
        if self._control or not self._sending:
            return bool(self._control)
        # Where there is nothing left but the end, no window is needed.
        return self._window > 0 or not all(each.out_size for each in self._sending.values())

    # Calls

    def start(
        self,
        block: bytes,
        payload: Sequence[Buffer] = (),
        *,
        end: bool = True,
        single: bool = True,
        place: Place | None = None,
    ) -> RpcStream:
        """Begin a call.

        Args:
            block: its header block.
            payload: messages with their prefixes (see `rpc_stream.frame_message`).
            end: that no more messages will be sent.
            single: that one message is the whole answer.
            place: tells where in a large message the memory should be aligned.

        Raises:
            CallRefused: the connection takes no more calls.
        """
        if not self.reusable:
            raise self._failure or CallRefused(f"the server is going away: {self.farewell}")
        stream_id = self._next_id
        self._next_id += 2
        if self._next_id >= _LAST_STREAM:
            self.reusable = False
        stream = RpcStream(
            stream_id, self._stream_window, self._max_message, self._grant, place, single
        )
        self.streams[stream_id] = stream
        self.response = None
        self._idle_frames = self.pings = 0
        if stream_id == 1:
            # Whatever size of the table the server allows, now or later, ours is not larger.
            block = NO_TABLE + block
        length, size = len(block), sum(map(len, payload))
        limit = min(self._window, self._stream_window, self._max_frame)
        if end and size <= limit and length <= self._max_frame:
            # Small enough to go as it is, without waiting for its turn.
            head = _FRAME.pack(length << 8 | _HEADERS, _END_HEADERS, stream_id)
            data = _FRAME.pack(size << 8 | _DATA, _END_STREAM, stream_id)
            self._control.append(b"".join((head, block, data, *payload)))
            self._window -= size
            stream.send_window -= size
            stream.sent_end = True
        else:
            self._send_block(stream_id, block)
            self.send(stream, payload, end=end)
        return stream

    def _send_block(self, stream_id: int, block: bytes) -> None:
        pieces = [block[i : i + self._max_frame] for i in range(0, len(block), self._max_frame)]
        for index, piece in enumerate(pieces):
            kind = _CONTINUATION if index else _HEADERS
            last = index == len(pieces) - 1
            self._control.append(_frame(kind, _END_HEADERS if last else 0, stream_id, piece))

    def send(self, stream: RpcStream, payload: Sequence[Buffer], *, end: bool = False) -> None:
        """Send more messages on a call; harmless when it is over."""
        if stream.result is None:
            stream.push(payload, end=end)
            if stream.out_size or end:
                self._sending[stream.id] = stream

    def cancel(
        self, stream: RpcStream, result: InferenceServerException | Outcome, code: int = _CANCEL
    ) -> None:
        """End a call from our side; harmless when it is over."""
        if self.streams.get(stream.id) is stream:
            self._left_over += max(0, stream.window)
            self._reset(stream.id, code)
            self._end_stream(stream, result)

    def cancel_all(self) -> bool:
        """End all calls from our side, and `probe`; whether the connection can go on."""
        for stream in list(self.streams.values()):
            self.cancel(stream, Outcome(1, "the call was cancelled", None, {}, {}))
            self.probe()
        return self.reusable

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.ping_pending = True
        self.pings += 1
        self._control.append(_frame(_PING, 0, 0, b"\0\0\0\0\0\0\0\1"))

    def probe(self) -> None:
        """Ask for a sign of life in a way that servers do not hold against us, as they do pings:
        by settings that change nothing, and have to be acknowledged.
        """
        if not self.doubtful:
            self.doubtful = True
            self._control.append(_frame(_SETTINGS, 0, 0))

    # Sending

    def data_to_send(self, limit: int = _LARGEST_WINDOW) -> list[Buffer]:
        """What to send now, about `limit` bytes of messages at most; it has to be sent whole."""
        out, self._control, self._control_size = self._control, [], 0
        for stream in list(self._sending.values()) if self._sending else ():
            if limit > 0 and (self._window > 0 or not stream.out_size):
                limit -= self._cut_frames(stream, limit, out)
        return out

    def _cut_frames(self, stream: RpcStream, limit: int, out: list[Buffer]) -> int:
        """Add frames of a call; how much of its messages they hold."""
        begin = limit
        while True:
            left = stream.out_size
            size = min(left, limit, self._max_frame, self._window, stream.send_window)
            if size < left and size <= 0:
                # Behind the others, which come first next time.
                del self._sending[stream.id]
                self._sending[stream.id] = stream
                return begin - limit
            stream.sent_end = stream.out_ends and size == left
            flags = _END_STREAM if stream.sent_end else 0
            out.append(_FRAME.pack(size << 8 | _DATA, flags, stream.id))
            out += stream.cut(size)
            stream.send_window -= size
            self._window -= size
            limit -= size
            if size:
                self._idle_frames = self.pings = 0
            if size == left:
                del self._sending[stream.id]
                return begin - limit

    def _answer(self, frame: bytes) -> None:
        """Send a frame that answers one of the peer's."""
        self._control_size += len(frame)
        if self._control_size > MAX_PENDING_CONTROL:
            raise ProtocolError("the server sends without reading what it is answered")
        self._control.append(frame)

    def _grant(self, stream_id: int, increment: int) -> None:
        self._control.append(_window_update(stream_id, increment))

    def _reset(self, stream_id: int, code: int) -> None:
        # Not an answer that the peer could ask for again and again: a call is reset once.
        self._control.append(_frame(_RST_STREAM, 0, stream_id, code.to_bytes(4, "big")))

    # Receiving

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Where the next received bytes go."""
        self.length_known = False
        if self._start == self._end:
            self._start = self._end = 0
            if self._data_left >= _DIRECT_SIZE and self._data_stream is not None:
                target = self._data_stream.target
                if target is not None and len(target) >= _DIRECT_SIZE:
                    self.length_known = True
                    return target[: self._data_left]
        elif self._end == len(self._buffer):
            self._make_room()
        return memoryview(self._buffer)[self._end :]

    def _make_room(self) -> None:
        rest = self._buffer[self._start : self._end]
        # A new object, since views of the old one may still be held by the event loop; twice as
        # large for what does not fit, which is at most a frame of headers.
        size = RECEIVE_SIZE if len(rest) < RECEIVE_SIZE // 2 else 2 * len(rest)
        self._buffer = rest + bytes(size - len(rest))
        self._start, self._end = 0, len(rest)

    def buffer_updated(self, count: int) -> None:
        """Take note that `count` bytes were received into the buffer.

        Raises:
            ProtocolError: they are not HTTP/2, or more than the bounds allow.
        """
        self.doubtful = False
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
        """Take note that the peer has closed its side.

        Raises:
            ConnectionFailed: calls were in work.
        """
        reason = f": {self.farewell}" if self.farewell else ""
        busy = bool(self.streams)
        error = ConnectionFailed(f"the server closed the connection{reason}")
        self.fail(error)
        if busy:
            raise error

    def fail(self, error: InferenceServerException) -> None:
        """End all calls: the connection is of no further use."""
        self.reusable = False
        if self._failure is None:
            self._failure = error
        for stream in list(self.streams.values()):
            self._end_stream(stream, error)

    def abandon(self) -> bool:
        """Give the connection up although a call has ended well; always True."""
        self.fail(ConnectionFailed("the connection was given up"))
        return True

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
                    self._refuse_http1()
                return
            pattern = self._pattern
            if pattern is not None and available >= pattern.stop and self._like_the_last(pattern):
                continue
            word, flags, stream_id = _FRAME.unpack_from(self._buffer, self._start)
            length, kind = word >> 8, word & 255
            stream_id &= 0x7FFFFFFF
            if self._first:
                self._check_first(kind, flags)
            if kind == _HEADERS and flags == _END_HEADERS and self._whole_answer(length, stream_id):
                continue
            if kind == _DATA:
                if flags & _PADDED and available == 9:
                    return
                self._begin_data(length, flags, stream_id)
                continue
            if length > MAX_BLOCK_SIZE:
                raise ProtocolError(f"the server sent a frame of type {kind} with {length} bytes")
            if available < 9 + length:
                return
            begin = self._start + 9
            payload = bytes(memoryview(self._buffer)[begin : begin + length])
            self._start = begin + length
            self._frame_received(kind, flags, stream_id, payload)

    def _like_the_last(self, pattern: _Pattern) -> bool:
        """Read a whole answer that differs from the last one in its message only."""
        buffer, start = self._buffer, self._start
        message, last, stop, size, (first, middle, end), (rest, close), outcome = pattern
        if start:
            message, last, stop = start + message, start + last, start + stop
        stream_id = bytes(buffer[start + 5 : start + 9])
        if buffer[start:message] != first + stream_id + middle + stream_id + end:
            return False
        if buffer[last:stop] != rest + stream_id + close:
            return False
        stream = self.streams.get(int.from_bytes(stream_id, "big"))
        if stream is None or not stream.sent_end:
            return False
        if not stream.answered(memoryview(buffer[message:last]), outcome):
            return False
        if self._end - stop == 13 and buffer[stop : stop + 9] == _OPENS_WINDOW:
            # What often comes right behind, for what we sent.
            window = self._window + int.from_bytes(buffer[stop + 9 : stop + 13], "big")
            if self._window < window <= _LARGEST_WINDOW:
                self._window = window
                stop += 13
        self._answered(stream, stop, size)
        return True

    def _answered(self, stream: RpcStream, stop: int, size: int) -> None:
        """A whole answer was read, up to a position; it has a DATA frame of a size."""
        self._start = stop
        self._idle_frames = 0
        self._consumed += size
        if self._consumed >= _LARGEST_WINDOW // 2:
            self._use_window(0)
        del self.streams[stream.id]
        self.response = stream

    def _whole_answer(self, length: int, stream_id: int) -> bool:
        """Read headers, one message and trailers in one go; False if they are not all there.

        This is how small answers come, and a third of the work of reading them frame by frame.
        """
        buffer, end = self._buffer, self._end
        begin = self._start + 9
        data = begin + length
        if data + 23 > end or self._header_block is not None:
            return False
        word, flags, data_stream = _FRAME.unpack_from(buffer, data)
        size = word >> 8
        last = data + 9 + size
        if word & 255 or flags or data_stream != stream_id or last + 9 > end:
            return False
        word, flags, last_stream = _FRAME.unpack_from(buffer, last)
        stop = last + 9 + (word >> 8)
        if word & 255 != _HEADERS or flags != _ANSWER_ENDS or last_stream != stream_id:
            return False
        compressed, message_size = PREFIX.unpack_from(buffer, data + 9)
        stream = self.streams.get(stream_id)
        if stop > end or compressed or message_size != size - 5 or stream is None:
            return False
        outcome = plain_outcome(bytes(buffer[begin:data]), bytes(buffer[last + 9 : stop]))
        message = memoryview(buffer[data + 14 : last])
        if outcome is None or not stream.sent_end or not stream.answered(message, outcome):
            return False
        start = self._start
        self._pattern = _Pattern(
            data + 14 - start,
            last - start,
            stop - start,
            size,
            (
                bytes(buffer[start : start + 5]),
                bytes(buffer[begin : data + 5]),
                bytes(buffer[data + 9 : data + 14]),
            ),
            (bytes(buffer[last : last + 5]), bytes(buffer[last + 9 : stop])),
            outcome,
        )
        self._answered(stream, stop, size)
        return True

    def _refuse_http1(self) -> None:
        if self._buffer[self._start : min(self._end, self._start + 5)] == b"HTTP/":
            raise ProtocolError("the server answers with HTTP/1; is this its port for HTTP?")

    def _check_first(self, kind: int, flags: int) -> None:
        self._refuse_http1()
        if kind != _SETTINGS or flags & _ACK:
            raise ProtocolError("the answer is not HTTP/2: it does not begin with settings")
        self._first = False
        self.max_streams = math.inf

    def _frame_received(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._header_block is not None and (
            kind != _CONTINUATION or stream_id != self._header_stream
        ):
            raise ProtocolError("the server interrupts a header block")
        if kind == _HEADERS:
            self._headers_received(flags, stream_id, payload)
        elif kind == _WINDOW_UPDATE:
            self._window_received(stream_id, payload)
        elif kind == _PING:
            self._ping_received(flags, stream_id, payload)
        elif kind == _SETTINGS:
            self._settings_received(flags, stream_id, payload)
        elif kind == _RST_STREAM:
            self._reset_received(stream_id, payload)
        elif kind == _GOAWAY:
            self._goaway_received(stream_id, payload)
        elif kind == _CONTINUATION:
            self._continuation_received(flags, payload)
        elif kind == _PUSH_PROMISE:
            raise ProtocolError("the server pushes, which we forbade")
        else:  # PRIORITY, and types that we don't know
            self._idle()

    def _idle(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise ProtocolError(f"the server sent {MAX_IDLE_FRAMES} frames that say nothing")

    # DATA

    def _begin_data(self, length: int, flags: int, stream_id: int) -> None:
        if self._header_block is not None:
            raise ProtocolError("the server interrupts a header block")
        position = self._start + 9
        padding = 0
        if flags & _PADDED:
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
                self._answer(_window_update(stream_id, padding))
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
        self._data_ends = bool(flags & _END_STREAM)
        if not (self._data_left or self._pad_left):
            self._data_complete()

    def _use_window(self, length: int) -> None:
        self._consumed += length
        if self._consumed >= _LARGEST_WINDOW // 2:
            self._grant(0, self._consumed)
            self._consumed = 0

    def _read_data(self) -> None:
        if self._data_left:
            end = min(self._end, self._start + self._data_left)
            data = memoryview(self._buffer)[self._start : end]
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
        """Let a stream receive; its troubles are not those of the connection."""
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
            self._reset(stream.id, _CANCEL)
            self._forget(stream)

    def _finished(self, stream: RpcStream) -> None:
        """Forget a stream that the peer has ended."""
        if stream.id in self.streams:
            if not stream.sent_end:
                self._reset(stream.id, _NO_ERROR)  # answered before all was sent
            self._forget(stream)

    # Streams

    def _known(self, stream_id: int) -> RpcStream | None:
        """The stream of this id, or None when it is over."""
        if not stream_id & 1 or stream_id >= self._next_id:
            raise ProtocolError(f"the server speaks of stream {stream_id}, which there is not")
        return self.streams.get(stream_id)

    def _end_stream(self, stream: RpcStream, result: Outcome | InferenceServerException) -> None:
        stream.finish(result)
        self._forget(stream)

    def _forget(self, stream: RpcStream) -> None:
        self.streams.pop(stream.id, None)
        self._sending.pop(stream.id, None)
        self.response = stream

    def _headers_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        begin, end = 0, len(payload)
        if flags & _PADDED:
            if not payload:
                raise ProtocolError("the server sent a frame without its padding")
            begin, end = 1, end - payload[0]
        if flags & _HAS_PRIORITY:
            begin += 5
        if begin > end:
            raise ProtocolError("the server sent a frame with more padding than bytes")
        block = payload[begin:end] if flags & (_PADDED | _HAS_PRIORITY) else payload
        ends = bool(flags & _END_STREAM)
        if flags & _END_HEADERS:
            self._block_received(stream_id, block, ends)
        else:
            self._known(stream_id)
            self._header_block, self._header_stream = bytearray(block), stream_id
            self._header_ends = ends
            self._idle_frames = 0
            self._pattern = None  # what interrupts the block is not to be read as an answer

    def _continuation_received(self, flags: int, payload: bytes) -> None:
        if self._header_block is None:
            raise ProtocolError("the server continues a header block that it did not begin")
        self._header_block += payload
        self._idle_frames += 1
        if len(self._header_block) > MAX_BLOCK_SIZE or self._idle_frames > _MAX_CONTINUATIONS:
            raise ProtocolError(f"the answer's header block exceeds {MAX_BLOCK_SIZE} bytes")
        if flags & _END_HEADERS:
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

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError("the server sent a RST_STREAM frame of a wrong size")
        stream = self._known(stream_id)
        if stream is None:
            self._idle()
        else:
            self._end_stream(stream, reset_error(int.from_bytes(payload, "big")))

    # The connection

    def _window_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError("the server sent a WINDOW_UPDATE frame of a wrong size")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        self._idle()
        if stream_id == 0:
            self._window += increment
            window = self._window
        else:
            stream = self._known(stream_id)
            if stream is None:
                return
            stream.send_window += increment
            window = stream.send_window
        if not increment or window > _LARGEST_WINDOW:
            raise ProtocolError(f"the server opens a window by {increment} bytes")

    def _ping_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8 or stream_id:
            raise ProtocolError("the server sent an invalid PING frame")
        if flags & _ACK and self.ping_pending:
            self.ping_pending = False
            return
        self._idle()
        if not flags & _ACK:
            self._answer(_frame(_PING, _ACK, 0, payload))

    def _settings_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) % 6 or stream_id or (flags & _ACK and payload):
            raise ProtocolError("the server sent an invalid SETTINGS frame")
        self._idle()
        if flags & _ACK:
            return
        for name, value in _SETTING.iter_unpack(payload):
            self._setting_received(name, value)
        self._answer(_frame(_SETTINGS, _ACK, 0))

    def _setting_received(self, name: int, value: int) -> None:
        if name == _INITIAL_WINDOW_SIZE:
            if value > _LARGEST_WINDOW:
                raise ProtocolError(f"the server sets an initial window of {value} bytes")
            change, self._stream_window = value - self._stream_window, value
            for stream in self.streams.values():
                stream.send_window += change
                if stream.send_window > _LARGEST_WINDOW:
                    raise ProtocolError("the server opens a window too far")
        elif name == _MAX_FRAME_SIZE:
            if not 16384 <= value < 2**24:
                raise ProtocolError(f"the server sets a frame size of {value} bytes")
            self._max_frame = value
        elif name == _MAX_CONCURRENT_STREAMS:
            self.max_streams = value

    def _goaway_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) < 8 or stream_id:
            raise ProtocolError("the server sent an invalid GOAWAY frame")
        self._idle()
        last, code = struct.unpack_from(">LL", payload)
        last &= 0x7FFFFFFF
        text = payload[8:200].decode("utf-8", "replace")
        self.farewell = text or f"error code {code}"
        self.reusable = False
        for stream in list(self.streams.values()):
            if stream.id > last:
                kind = CallLeftOver if last else CallRefused
                self._end_stream(stream, kind(f"the server is going away: {self.farewell}"))
