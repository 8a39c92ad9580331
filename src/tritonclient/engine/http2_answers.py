"""Small answers of HTTP/2 read in one go: headers, one message and trailers in one piece.

`Answers` lies between `http2_sending.Sending` and `http2.Http2`, which reads all else by frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from .http2_frames import (
    END_HEADERS,
    END_STREAM,
    FRAME,
    HEADERS,
    LARGEST_WINDOW,
    WINDOW_UPDATE,
)
from .http2_sending import Sending
from .rpc_stream import PREFIX, PREFIX_SIZE, Outcome, plain_outcome

#: Bytes received at once outside of large messages.
RECEIVE_SIZE = 32 * 1024
#: The header blocks of an answer that is read in one go, whose meaning is remembered.
_LARGEST_BLOCKS = 2048
_ANSWER_ENDS = END_HEADERS | END_STREAM
#: How a frame begins that opens the connection's window.
_OPENS_WINDOW = FRAME.pack(4 << 8 | WINDOW_UPDATE, 0, 0)
#: Such a frame: its beginning, and by how much it opens the window.
_UPDATE = struct.Struct(f">{FRAME.size}sL")
_UPDATE_SIZE = _UPDATE.size


class _Pattern(NamedTuple):
    """What a small answer looked like: headers, one message, trailers.

    Attributes:
        size: of all of it.
        message, last: where the message begins and ends.
        split: takes all but the message apart, from a position in a buffer on.
        fixed: what is the same in all such answers, which is all but the stream's id.
    """

    size: int
    message: int
    last: int
    split: Callable[[bytearray, int], tuple[Any, ...]]
    fixed: tuple[bytes, ...]
    outcome: Outcome


class Answers(Sending):
    """What is received and not yet read, and how a whole answer is taken from it."""

    __slots__ = ("_buffer", "_consumed", "_end", "_header_block", "_pattern", "_start", "_view")

    def __init__(self, max_message: int, max_content: int) -> None:
        super().__init__(max_message, max_content)
        # What is received and not yet read: buffer[start:end].
        self._buffer = bytearray(RECEIVE_SIZE)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._pattern: _Pattern | None = None
        self._consumed = 0  # of the connection's own window
        # The header block under way, while CONTINUATION frames are due.
        self._header_block: bytearray | None = None

    def _like_the_last(self, pattern: _Pattern) -> bool:
        """Read a whole answer that differs from the last one in its message only."""
        size, message, last, split, fixed, outcome = pattern
        buffer, start = self._buffer, self._start
        stop = start + size
        if stop > self._end:
            return False
        begin, stream_id, middle, second, prefix, trailers, third, end = split(buffer, start)
        if (begin, middle, prefix, trailers, end) != fixed:
            return False
        if stream_id != second or stream_id != third:
            return False
        if not self._answered(stream_id, buffer[start + message : start + last], outcome, stop):
            return False
        if self._end - stop == _UPDATE_SIZE:
            # What often comes right behind, for what we sent.
            frame, increment = _UPDATE.unpack_from(buffer, stop)
            window = self._window + increment
            if frame == _OPENS_WINDOW and self._window < window <= LARGEST_WINDOW:
                self._window = window
                self._start += _UPDATE_SIZE
        return True

    def _whole_answer(self, length: int, stream_id: int) -> bool:
        """Read headers, one message and trailers in one go; False if they are not all there.

        This is how small answers come, and a third of the work of reading them frame by frame.
        """
        buffer, end = self._buffer, self._end
        block = self._start + 9
        data = block + length
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
        if stop > end or compressed or message_size != size - PREFIX_SIZE:
            return False
        if length + stop - last > _LARGEST_BLOCKS:
            return False
        outcome = plain_outcome(bytes(buffer[block:data]), bytes(buffer[last + 9 : stop]))
        message, start = data + 9 + PREFIX_SIZE, self._start
        if outcome is None or not self._answered(stream_id, buffer[message:last], outcome, stop):
            return False
        split = struct.Struct(
            f">5s L {length + 5}s L {PREFIX_SIZE}s {message_size}x 5s L {stop - last - 9}s"
        ).unpack_from
        begin, _, middle, _, prefix, trailers, _, end = split(buffer, start)
        fixed = (begin, middle, prefix, trailers, end)
        self._pattern = _Pattern(stop - start, message - start, last - start, split, fixed, outcome)
        return True

    def _answered(self, stream_id: int, message: bytearray, outcome: Outcome, stop: int) -> bool:
        """Take a whole answer that ends at a position; False if it is to be read by frames."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.sent_end or stream.fields is not None:
            return False
        if len(message) > self._max_message:
            return False
        self._start = stop
        self._idle_frames = 0
        self._consumed += PREFIX_SIZE + len(message)
        if self._consumed >= LARGEST_WINDOW // 2:
            self._use_window(0)
        del self.streams[stream_id]
        self.response = stream
        stream.messages.append(message)
        stream.result = outcome
        stream.ended()
        return True

    def _use_window(self, length: int) -> None:
        self._consumed += length
        if self._consumed >= LARGEST_WINDOW // 2:
            self._grant(0, self._consumed)
            self._consumed = 0
