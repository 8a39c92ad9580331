"""Outgoing half of an HTTP/2 connection: streams, flow control, control frames.

`Sending` is the base of `http2.Http2`: it knows the calls in work, and begins, feeds and ends them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..datatypes import Buffer
from ..errors import (
    ConnectionFailed,
    InferenceServerException,
    ProtocolError,
    StreamRefused,
    StreamUnprocessed,
)
from .header_block import NO_TABLE
from .http2_frames import (
    ACK,
    CANCEL,
    DATA,
    DEFAULT_FRAME,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    FRAME,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_WINDOW,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    OPENING,
    PING,
    RST_STREAM,
    SETTING,
    SETTINGS,
    CallFrames,
    cut_block,
    pack_frame,
    pack_window_update,
)
from .rpc_outcome import Outcome, reset_error
from .rpc_stream import DataOffset, RpcStream

#: Frames without any progress (PING, SETTINGS, empty DATA ...) that are put up with in a row.
MAX_IDLE_FRAMES = 10_000
#: Bytes of replies to such frames that may wait for a peer that does not read.
MAX_PENDING_CONTROL = 64 * 1024
_LAST_STREAM = 2**31 - 1


class Sending:
    """Outgoing half of an HTTP/2 connection; see `Http2` for the attributes."""

    __slots__ = (
        "_control", "_control_size", "_failure", "_idle_frames", "_left_over", "_max_content",
        "_max_frame", "_max_message", "_next_id", "_sending", "_stream_window", "_window",
        "goaway_message", "max_streams", "ping_pending", "pings", "response", "reusable",
        "streams", "unacknowledged", "unverified",
    )  # fmt: skip

    def __init__(self, max_message: int, max_content: int) -> None:
        self._max_content = max_content
        self._max_message = min(max_message, LARGEST_WINDOW)
        self.streams: dict[int, RpcStream] = {}
        self.response: RpcStream | None = None
        self.ping_pending = False
        self.pings = 0
        self.unverified = False
        self.reusable = True
        self._next_id = 1
        self._failure: InferenceServerException | None = None
        self.goaway_message = ""
        self._idle_frames = 0
        self.unacknowledged = 1  # SETTINGS frames of ours, OPENING's being the first
        self._left_over = 0  # what the peer may still send on calls that we ended
        # What the peer allows.
        self.max_streams: float = 0
        self._max_frame = DEFAULT_FRAME
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        # What is to be sent.
        self._control: list[Buffer] = [OPENING]
        self._control_size = 0  # of replies to the peer's frames
        self._sending: dict[int, RpcStream] = {}

    # What drivers ask

    @property
    def pending(self) -> bool:
        """True if something may be sent now."""
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
        stream = RpcStream(
            stream_id,
            self._stream_window,
            self._max_message,
            self._max_content,
            self._grant,
            data_offset,
            single,
        )
        self.streams[stream_id] = stream
        self.response = None
        self._idle_frames = self.pings = 0
        if stream_id == 1:
            # Whatever size of the table the server allows, now or later, ours is not larger.
            block = NO_TABLE + block
        length, size = len(block), sum(map(len, payload))
        largest = self._max_frame
        fits = size <= largest and size <= self._window and size <= self._stream_window
        if end and fits and length <= largest:
            # Small enough to go as it is, without waiting for its turn.
            head = FRAME.pack(length << 8 | HEADERS, END_HEADERS, stream_id)
            data = FRAME.pack(size << 8 | DATA, END_STREAM, stream_id)
            self._control.append(b"".join((head, block, data, *payload)))
            self._window -= size
            stream.send_window -= size
            stream.sent_end = True
        else:
            self._control += cut_block(stream_id, block, self._max_frame)
            self.send(stream, payload, end=end)
        return stream

    def start_framed(self, call: CallFrames) -> RpcStream:
        """Begin a call of which one message is the whole response; half the work of `start`.

        Raises:
            StreamRefused: the connection takes no more calls.
        """
        block, payload, size, largest, before, between, after = call
        stream_id = self._next_id
        fits = size <= self._window and size <= self._stream_window and largest <= DEFAULT_FRAME
        # The first call and the last one are special.
        if not fits or stream_id == 1 or stream_id >= _LAST_STREAM - 2 or not self.reusable:
            return self.start(block, payload)
        self._next_id = stream_id + 2
        stream = RpcStream(
            stream_id,
            self._stream_window - size,
            self._max_message,
            self._max_content,
            self._grant,
            None,
            True,
        )
        stream.sent_end = True
        self.streams[stream_id] = stream
        self.response = None
        self._idle_frames = self.pings = 0
        self._window -= size
        id = stream_id.to_bytes(4, "big")
        self._control.append(b"".join((before, id, between, id, after)))
        return stream

    def send(self, stream: RpcStream, payload: Sequence[Buffer], *, end: bool = False) -> None:
        """Send more messages on a call; harmless when it is over."""
        if stream.result is None:
            stream.push(payload, end=end)
            if stream.out_size or end:
                self._sending[stream.id] = stream

    def cancel(
        self, stream: RpcStream, result: InferenceServerException | Outcome, code: int = CANCEL
    ) -> None:
        """End a call from our side; harmless when it is over."""
        if self.streams.get(stream.id) is stream:
            self._left_over += max(0, stream.window)
            self._reset(stream.id, code)
            self._end_stream(stream, result)

    def cancel_all(self) -> bool:
        """Cancel all calls and send a liveness probe; True if the connection can be used again."""
        for stream in list(self.streams.values()):
            self.cancel(stream, Outcome(1, "the call was cancelled", None, {}, {}))
            self.send_liveness_probe()
        return self.reusable

    def ping(self) -> None:
        """Send a ping, which the peer has to answer."""
        self.ping_pending = True
        self.pings += 1
        self._control.append(pack_frame(PING, 0, 0, b"\0\0\0\0\0\0\0\1"))

    def send_liveness_probe(self) -> None:
        """Send empty SETTINGS, which the peer must acknowledge if it still answers.

        Servers count pings against a client, but not SETTINGS.
        """
        if not self.unverified:
            self.unverified = True
            self.unacknowledged += 1
            self._control.append(pack_frame(SETTINGS, 0, 0))

    def fail(self, error: InferenceServerException) -> None:
        """End all calls: the connection is of no further use."""
        self.reusable = False
        if self._failure is None:
            self._failure = error
        for stream in list(self.streams.values()):
            self._end_stream(stream, error)

    def mark_unusable(self) -> None:
        """Allow no further call on the connection; those in progress fail."""
        self.fail(ConnectionFailed("the connection was given up"))

    def _end_stream(self, stream: RpcStream, result: Outcome | InferenceServerException) -> None:
        stream.finish(result)
        self._forget(stream)

    def _forget(self, stream: RpcStream) -> None:
        self.streams.pop(stream.id, None)
        self._sending.pop(stream.id, None)
        self.response = stream

    def _known(self, stream_id: int) -> RpcStream | None:
        """The stream of this id, or None when it is over."""
        if not stream_id & 1 or stream_id >= self._next_id:
            raise ProtocolError(f"the server speaks of stream {stream_id}, which there is not")
        return self.streams.get(stream_id)

    # Sending

    def data_to_send(self, limit: int = LARGEST_WINDOW) -> list[Buffer]:
        """Return what is to be sent now, with about `limit` bytes of messages at most."""
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
            flags = END_STREAM if stream.sent_end else 0
            out.append(FRAME.pack(size << 8 | DATA, flags, stream.id))
            out += stream.cut(size)
            stream.send_window -= size
            self._window -= size
            limit -= size
            if size:
                self._idle_frames = self.pings = 0
            if size == left:
                del self._sending[stream.id]
                return begin - limit

    def _reply(self, frame: bytes) -> None:
        """Send a frame that answers one of the peer's."""
        self._control_size += len(frame)
        if self._control_size > MAX_PENDING_CONTROL:
            raise ProtocolError("the server sends without reading what it is answered")
        self._control.append(frame)

    def _grant(self, stream_id: int, increment: int) -> None:
        self._control.append(pack_window_update(stream_id, increment))

    def _reset(self, stream_id: int, code: int) -> None:
        # Not a response that the peer could ask for again and again: a call is reset once.
        self._control.append(pack_frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big")))

    # The peer's frames that regulate it

    def _idle(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise ProtocolError(f"the server sent {MAX_IDLE_FRAMES} frames that say nothing")

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
        if not increment or window > LARGEST_WINDOW:
            raise ProtocolError(f"the server opens a window by {increment} bytes")

    def _ping_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8 or stream_id:
            raise ProtocolError("the server sent an invalid PING frame")
        if flags & ACK and self.ping_pending:
            self.ping_pending = False
            return
        self._idle()
        if not flags & ACK:
            self._reply(pack_frame(PING, ACK, 0, payload))

    def _settings_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) % 6 or stream_id or (flags & ACK and payload):
            raise ProtocolError("the server sent an invalid SETTINGS frame")
        self._idle()
        if flags & ACK:
            # Each acknowledges one frame, in their order.
            self.unacknowledged = max(0, self.unacknowledged - 1)
            self.unverified = self.unverified and self.unacknowledged > 0
            return
        values: dict[int, int] = {}
        for name, value in SETTING.iter_unpack(payload):
            _check_setting(name, value)
            values[name] = value
        # Only the last value of each counts: the windows of all calls have to follow.
        self._stream_window_received(values.get(INITIAL_WINDOW_SIZE, self._stream_window))
        self._max_frame = values.get(MAX_FRAME_SIZE, self._max_frame)
        self.max_streams = values.get(MAX_CONCURRENT_STREAMS, self.max_streams)
        self._reply(pack_frame(SETTINGS, ACK, 0))

    def _stream_window_received(self, value: int) -> None:
        change, self._stream_window = value - self._stream_window, value
        if not change:
            return
        for stream in self.streams.values():
            stream.send_window += change
            if stream.send_window > LARGEST_WINDOW:
                raise ProtocolError("the server opens a window too far")

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError("the server sent a RST_STREAM frame of a wrong size")
        stream = self._known(stream_id)
        if stream is None:
            self._idle()
        else:
            self._end_stream(stream, reset_error(int.from_bytes(payload, "big")))

    def _goaway_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) < 8 or stream_id:
            raise ProtocolError("the server sent an invalid GOAWAY frame")
        self._idle()
        last, code = struct.unpack_from(">LL", payload)
        last &= 0x7FFFFFFF
        text = payload[8:200].decode("utf-8", "replace")
        self.goaway_message = text or f"error code {code}"
        self.reusable = False
        for stream in list(self.streams.values()):
            if stream.id > last:
                kind = StreamUnprocessed if last else StreamRefused
                self._end_stream(stream, kind(f"the server is going away: {self.goaway_message}"))


def _check_setting(name: int, value: int) -> None:
    if name == INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
        raise ProtocolError(f"the server sets an initial window of {value} bytes")
    if name == MAX_FRAME_SIZE and not 16384 <= value < 2**24:
        raise ProtocolError(f"the server sets a frame size of {value} bytes")
