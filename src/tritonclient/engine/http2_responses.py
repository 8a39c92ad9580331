"""Small responses of HTTP/2 parsed as a whole: headers, one message and trailers in one piece.

`FastResponses` lies between `http2_receiving.Receiving`, which reads frame by frame, and
`http2.Http2`.
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
from .http2_receiving import Receiving
from .message_stream import PREFIX, PREFIX_SIZE
from .rpc_outcome import Outcome, plain_outcome
from .rpc_stream import RpcStream

#: Bytes of the header blocks of a response that is parsed as a whole.
_LARGEST_BLOCKS = 2048
_RESPONSE_ENDS = END_HEADERS | END_STREAM
#: The beginning of a WINDOW_UPDATE frame of the connection.
_OPENS_WINDOW = FRAME.pack(4 << 8 | WINDOW_UPDATE, 0, 0)
#: A WINDOW_UPDATE frame: its beginning and its increment.
_UPDATE = struct.Struct(f">{FRAME.size}sL")
_UPDATE_SIZE = _UPDATE.size


class _ResponseTemplate(NamedTuple):
    """The form of a small response: headers, one message, trailers.

    Attributes:
        size: of the response, in bytes.
        message, last: where the message begins and ends.
        used: bytes that it takes of the windows.
        split: unpacks all but the message, from a position in a buffer on.
        fixed: what is equal in all such responses: all but the message and the stream ids.
    """

    size: int
    message: int
    last: int
    used: int
    split: Callable[[bytearray, int], tuple[Any, ...]]
    fixed: tuple[bytes, ...]
    outcome: Outcome


class FastResponses(Receiving[RpcStream]):
    """The parsing of whole responses in the receive buffer."""

    __slots__ = ()

    _template: _ResponseTemplate | None

    def _match_template(self, template: _ResponseTemplate) -> bool:
        """Read a response that differs from the last one in its message only; False if none is."""
        size, message, last, used, split, fixed, outcome = template
        buffer, start = self._buffer, self._start
        stop = start + size
        if stop > self._end:
            return False
        begin, stream_id, middle, second, prefix, trailers, third, end = split(buffer, start)
        if (begin, middle, prefix, trailers, end) != fixed:
            return False
        if stream_id != second or stream_id != third:
            return False
        stream = self.streams.get(stream_id)
        if stream is None or not stream.sent_end or stream.fields is not None:
            return False
        del self.streams[stream_id]
        self.response = stream
        stream.messages.append(buffer[start + message : start + last])
        stream.result = outcome
        self._start = stop
        self._idle_frames = 0
        self._consumed += used
        if self._consumed >= LARGEST_WINDOW // 2:
            self._use_window(0)
        if self._end - stop == _UPDATE_SIZE:
            # What often comes right behind, for what we sent.
            frame, increment = _UPDATE.unpack_from(buffer, stop)
            window = self._window + increment
            if frame == _OPENS_WINDOW and increment and window <= LARGEST_WINDOW:
                self._window = window
                self._start = self._end
        if stream.notify is not None:
            stream.notify(stream)
        return True

    def _parse_whole(self, length: int, stream_id: int) -> bool:
        """Read headers, one message and trailers at once; False if they are not all there.

        Most small responses are received so. It is a third of the work of reading each frame. The
        form of the response is kept for those that follow.
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
        if word & 255 != HEADERS or flags != _RESPONSE_ENDS or last_stream != stream_id:
            return False
        compressed, message_size = PREFIX.unpack_from(buffer, data + 9)
        if stop > end or compressed or message_size != size - PREFIX_SIZE:
            return False
        if length + stop - last > _LARGEST_BLOCKS or message_size > self.max_message:
            return False
        outcome = plain_outcome(bytes(buffer[block:data]), bytes(buffer[last + 9 : stop]))
        if outcome is None:
            return False
        message, start = data + 9 + PREFIX_SIZE, self._start
        split = struct.Struct(
            f">5s L {length + 5}s L {PREFIX_SIZE}s {message_size}x 5s L {stop - last - 9}s"
        ).unpack_from
        begin, _, middle, _, prefix, trailers, _, end = split(buffer, start)
        fixed = (begin, middle, prefix, trailers, end)
        template = self._template = _ResponseTemplate(
            stop - start, message - start, last - start, size, split, fixed, outcome
        )
        return self._match_template(template)
