"""Small answers of HTTP/2 read in one go: headers, one message and trailers in one piece.

`Answers` lies between `http2_sending.Sending` and `http2.Http2`, which reads all else by frames.
"""

from __future__ import annotations

from typing import NamedTuple

from .http2_frames import (
    END_HEADERS,
    END_STREAM,
    FRAME,
    HEADERS,
    LARGEST_WINDOW,
    WINDOW_UPDATE,
)
from .http2_sending import Sending
from .rpc_stream import PREFIX, Outcome, RpcStream, plain_outcome

#: Bytes received at once outside of large messages.
RECEIVE_SIZE = 32 * 1024
_ANSWER_ENDS = END_HEADERS | END_STREAM
#: How a frame begins that opens the connection's window.
_OPENS_WINDOW = FRAME.pack(4 << 8 | WINDOW_UPDATE, 0, 0)


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


class Answers(Sending):
    """What is received and not yet read, and how a whole answer is taken from it."""

    __slots__ = ("_buffer", "_consumed", "_end", "_header_block", "_pattern", "_start")

    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        # What is received and not yet read: buffer[start:end].
        self._buffer = bytearray(RECEIVE_SIZE)
        self._start = self._end = 0
        self._pattern: _Pattern | None = None
        self._consumed = 0  # of the connection's own window
        # The header block under way, while CONTINUATION frames are due.
        self._header_block: bytearray | None = None

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
            if self._window < window <= LARGEST_WINDOW:
                self._window = window
                stop += 13
        self._answered(stream, stop, size)
        return True

    def _whole_answer(self, length: int, stream_id: int) -> bool:
        """Read headers, one message and trailers in one go; False if they are not all there.

        This is how small answers come, and a third of the work of reading them frame by frame.
        """
        buffer, end = self._buffer, self._end
        begin = self._start + 9
        data = begin + length
        if data + 23 > end or self._header_block is not None:
            return False
        word, flags, data_stream = FRAME.unpack_from(buffer, data)
        size = word >> 8
        last = data + 9 + size
        if word & 255 or flags or data_stream != stream_id or last + 9 > end:
            return False
        word, flags, last_stream = FRAME.unpack_from(buffer, last)
        stop = last + 9 + (word >> 8)
        if word & 255 != HEADERS or flags != _ANSWER_ENDS or last_stream != stream_id:
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

    def _answered(self, stream: RpcStream, stop: int, size: int) -> None:
        """A whole answer was read, up to a position; it has a DATA frame of a size."""
        self._start = stop
        self._idle_frames = 0
        self._consumed += size
        if self._consumed >= LARGEST_WINDOW // 2:
            self._use_window(0)
        del self.streams[stream.id]
        self.response = stream

    def _use_window(self, length: int) -> None:
        self._consumed += length
        if self._consumed >= LARGEST_WINDOW // 2:
            self._grant(0, self._consumed)
            self._consumed = 0
