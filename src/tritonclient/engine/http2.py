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

Everything that a hostile peer could make grow has a bound.

Source: RFC 9113.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..datatypes import Buffer
from ..errors import (
    ConnectionFailed,
    InferenceServerException,
    ProtocolError,
    StreamRefused,
    StreamUnprocessed,
)
from .coding import MAX_CONTENT
from .header_block import NO_TABLE, decode
from .http2_frames import (
    ACK,
    CANCEL,
    NO_ERROR,
    OPENING,
    SETTINGS,
    CallFrames,
    check_beginning,
    cut_block,
    pack_frame,
)
from .http2_responses import FastResponses
from .message_stream import DataOffset
from .rpc_outcome import Outcome
from .rpc_stream import RpcStream

_LAST_STREAM = 2**31 - 1
_LAST_FRAMED = _LAST_STREAM - 2


class Http2(FastResponses):
    """One connection's client side.

    One class in four files: `Sending`, `Receiving`, `FastResponses` and this one share their
    attributes. They are not composed of objects, since a call reads and writes the windows, the
    streams and the buffer about 40 times, and each time would take one more attribute look-up.

    Args:
        max_message: largest message accepted, in bytes; more than a flow control window can hold,
            2 GiB, never is.
        max_content: largest content of a compressed message, in bytes.
    """

    __slots__ = ("_next_id",)

    def __init__(self, *, max_message: int = 2**31 - 1, max_content: int = MAX_CONTENT) -> None:
        super().__init__(max_message, max_content, OPENING)
        self._next_id = 1

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

    # Calls

    def start(
        self,
        block: bytes,
        payload: Sequence[Buffer] = (),
        *,
        end: bool = True,
        single: bool = True,
        data_offset: DataOffset | None = None,
    ) -> RpcStream:
        """Begin a call.

        Args:
            block: its header block.
            payload: messages with their prefixes (see `rpc_stream.frame_message`).
            end: that no more messages will be sent.
            single: that one message is the whole response.
            data_offset: tells where in a large message the memory should be aligned.

        Raises:
            StreamRefused: the connection takes no more calls.
        """
        if not self.reusable:
            raise self._failure or StreamRefused(f"the server is going away: {self.goaway_message}")
        stream_id = self._next_id
        self._next_id += 2
        if self._next_id >= _LAST_STREAM:
            self.reusable = False
        stream = RpcStream(stream_id, self, data_offset, single)
        self.streams[stream_id] = stream
        self.response = None
        self._idle_frames = self.pings = 0
        if stream_id == 1:
            # Whatever size of the table the server allows, now or later, ours is not larger.
            block = NO_TABLE + block
        self._control += cut_block(stream_id, block, self._max_frame)
        self.send(stream, payload, end=end)
        return stream

    def start_framed(
        self, frames: CallFrames, payload: Sequence[Buffer], data_offset: DataOffset | None = None
    ) -> RpcStream:
        """Begin a call whose messages are all there; a third of the work of `start`, if it fits.

        Args:
            frames: for its header block and the size of the payload.
            payload, data_offset: see `start`.

        Raises:
            StreamRefused: the connection takes no more calls.
        """
        block, size, fit, before, between = frames
        stream_id = self._next_id
        # The first call and the last one are special.
        if (
            not fit
            or size > self._window
            or size > self._stream_window
            or not 1 < stream_id < _LAST_FRAMED
            or not self.reusable
        ):
            return self.start(block, payload, data_offset=data_offset)
        self._next_id = stream_id + 2
        stream = RpcStream(stream_id, self, data_offset, True)
        stream.sent_end = True
        stream.granted = -size
        self.streams[stream_id] = stream
        self.response = None
        self._idle_frames = self.pings = 0
        self._window -= size
        id = stream_id.to_bytes(4, "big")
        self._control.append(b"".join((before, id, between, id, *payload)))
        return stream

    def cancel_all(self) -> bool:
        """Cancel all calls and send a liveness probe; True if the connection can be used again."""
        for stream in list(self.streams.values()):
            self.cancel(stream, Outcome(1, "the call was cancelled", None, {}, {}))
            self.send_liveness_probe()
        return self.reusable

    def send_liveness_probe(self) -> None:
        """Send empty SETTINGS, which the peer must acknowledge if it still answers.

        Servers count pings against a client, but not SETTINGS.
        """
        if not self.unverified:
            self.unverified = True
            self.unacknowledged += 1
            self._control.append(pack_frame(SETTINGS, 0, 0))

    def mark_unusable(self) -> None:
        """Allow no further call on the connection; those in progress fail."""
        self.fail(ConnectionFailed("the connection was given up"))

    def _known(self, stream_id: int) -> RpcStream | None:
        """The stream of this id, or None when it is over."""
        if not stream_id & 1 or stream_id >= self._next_id:
            raise ProtocolError(f"the server speaks of stream {stream_id}, which there is not")
        return self.streams.get(stream_id)

    # What comes

    def eof_received(self) -> None:
        """Handle the end of what the peer sends.

        Raises:
            ConnectionFailed: calls were in work.
        """
        reason = f": {self.goaway_message}" if self.goaway_message else ""
        if self._first and self._start == self._end:
            reason = " before it said anything; is this a port for gRPC, with TLS or without?"
        busy = bool(self.streams)
        text = f"the server closed the connection{reason}"
        self.fail(ConnectionFailed(text))
        if busy:
            # The calls keep theirs. The traceback of this one refers to them, which would be a
            # circle.
            raise ConnectionFailed(text)

    def _refuse_others(self) -> None:
        """Refuse what can't be the first frame, at once: the port may speak another protocol."""
        check_beginning(bytes(self._buffer[self._start : min(self._end, self._start + 40)]))

    def _check_first(self, flags: int) -> None:
        self._refuse_others()
        if flags & ACK:
            raise ProtocolError("the answer is not HTTP/2: it does not begin with settings")
        self._first = False
        self.max_streams = math.inf

    def _check_block(self, stream_id: int) -> None:
        self._known(stream_id)

    def _ended(self, stream: RpcStream) -> None:
        self._guarded(stream, stream.ended_without_trailers)
        self._finished(stream)

    def _refuse_rest(self, stream: RpcStream, error: InferenceServerException) -> None:
        self.cancel(stream, error)

    def _reset_finished(self, stream: RpcStream) -> None:
        self._left_over += max(0, stream.window)
        self._reset(stream.id, CANCEL)
        self._forget(stream)

    def _finished(self, stream: RpcStream) -> None:
        """Forget a stream that the peer has ended."""
        if stream.id in self.streams:
            if not stream.sent_end:
                self._reset(stream.id, NO_ERROR)  # answered before all was sent
            self._forget(stream)

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

    def _goaway_received(self, stream_id: int, payload: bytes) -> int:
        last = super()._goaway_received(stream_id, payload)
        for stream in list(self.streams.values()):
            if stream.id > last:
                kind = StreamUnprocessed if last else StreamRefused
                self._end_stream(stream, kind(f"the server is going away: {self.goaway_message}"))
        return last
