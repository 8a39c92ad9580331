"""Outgoing half of an HTTP/2 connection: streams, flow control, control frames.

`Sending` is the base of both sides, `http2.Http2` (client) and `http2_server.Http2Server`: it knows
the calls in work, and feeds and ends them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from ..datatypes import Buffer
from ..errors import InferenceServerException, ProtocolError
from .http2_frames import (
    ACK,
    CANCEL,
    DATA,
    DEFAULT_FRAME,
    DEFAULT_WINDOW,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME,
    FRAME_SIZE_ERROR,
    INITIAL_WINDOW_SIZE,
    LARGEST_WINDOW,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PING,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTING,
    SETTINGS,
    cut_block,
    pack_frame,
    pack_window_update,
)
from .message_stream import MessageStream
from .rpc_outcome import Outcome, reset_error

S = TypeVar("S", bound=MessageStream)

#: Frames without any progress (PING, SETTINGS, empty DATA ...) that are put up with in a row.
MAX_IDLE_FRAMES = 10_000
#: Bytes of replies to such frames that may wait for a peer that does not read.
MAX_PENDING_CONTROL = 64 * 1024


class Sending(ABC, Generic[S]):
    """Outgoing half of an HTTP/2 connection.

    Args:
        max_message: largest message accepted, in bytes; more than a flow control window can hold,
            2 GiB, never is.
        max_content: largest content of a compressed message, in bytes.
        opening: what this side sends first.

    Attributes:
        response: the call that ended last, for drivers that make one call at a time.
        streams: the calls in work, by stream id.
        sending: those of which something is to be sent, unless their own windows are shut.
        max_streams: how many calls the peer allows at a time; 0 until its SETTINGS came.
        ping_pending: whether a ping of ours is unanswered.
        pings: pings that were sent since a call last sent anything.
        unverified: whether the response to a liveness probe has not come yet.
        unacknowledged: frames of settings of ours that the peer has not acknowledged yet.
        goaway_message: why the peer takes no more calls, if it said so.
        reusable: whether the connection can carry another call.
    """

    #: What errors call the peer, and what it sends.
    _peer = "the server"
    _whole = "the answer"

    __slots__ = (
        "_blocked", "_control", "_control_size", "_error_code", "_failure", "_idle_frames",
        "_left_over", "_max_frame", "_most_granted", "_stream_window", "_window",
        "goaway_message", "max_content", "max_message", "max_streams", "ping_pending", "pings",
        "response", "reusable", "sending", "streams", "unacknowledged", "unverified",
    )  # fmt: skip

    def __init__(self, max_message: int, max_content: int, opening: bytes) -> None:
        self.max_content = max_content
        self.max_message = min(max_message, LARGEST_WINDOW)
        self.streams: dict[int, S] = {}
        self.response: S | None = None
        self.ping_pending = False
        self.pings = 0
        self.unverified = False
        self.reusable = True
        self._failure: InferenceServerException | None = None
        self._error_code = PROTOCOL_ERROR  # of the GOAWAY frame that follows a failure
        self.goaway_message = ""
        self._idle_frames = 0
        self.unacknowledged = 1  # SETTINGS frames of ours, the opening's being the first
        self._left_over = 0  # what the peer may still send on calls that we ended
        # What the peer allows.
        self.max_streams: float = 0
        self._max_frame = DEFAULT_FRAME
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        # What is to be sent.
        self._control: list[Buffer] = [opening]
        self._control_size = 0  # of replies to the peer's frames
        self.sending: dict[int, S] = {}
        self._blocked: dict[int, S] = {}  # what their own windows do not let be sent
        self._most_granted = 0  # of all streams, at least

    @abstractmethod
    def _known(self, stream_id: int) -> S | None:
        """Return the stream of this id, or None when it is over; ProtocolError if it never was."""

    # What drivers ask

    @property
    def failed(self) -> bool:
        """True if the connection is of no further use."""
        return self._failure is not None

    @property
    def pending(self) -> bool:
        """True if something may be sent now."""
        if self._control or not self.sending:
            return bool(self._control)
        # Where there is nothing left but the end, no window is needed.
        return self._window > 0 or not all(each.out_size for each in self.sending.values())

    # Calls

    def send(self, stream: S, payload: Sequence[Buffer], *, end: bool = False) -> None:
        """Send more messages on a call; harmless when it is over."""
        if stream.result is None:
            stream.push(payload, end=end)
            if (stream.out_size or end) and stream.id not in self._blocked:
                self.sending[stream.id] = stream

    def cancel(
        self, stream: S, result: InferenceServerException | Outcome, code: int = CANCEL
    ) -> None:
        """End a call from our side; harmless when it is over."""
        if self.streams.get(stream.id) is stream:
            self._left_over += max(0, stream.window)
            self._reset(stream.id, code)
            self._end_stream(stream, result)

    def ping(self) -> None:
        """Send a ping, which the peer has to answer."""
        self.ping_pending = True
        self.pings += 1
        self._control.append(pack_frame(PING, 0, 0, b"\0\0\0\0\0\0\0\1"))

    def fail(self, error: InferenceServerException) -> None:
        """End all calls: the connection is of no further use."""
        self.reusable = False
        if self._failure is None:
            self._failure = error
        for stream in list(self.streams.values()):
            self._end_stream(stream, error)

    def _broken(self, text: str, code: int = PROTOCOL_ERROR) -> ProtocolError:
        """Return the error for what the peer may not do; GOAWAY will have this code."""
        self._error_code = code
        return ProtocolError(f"{self._peer} {text}")

    def _end_stream(self, stream: S, result: Outcome | InferenceServerException) -> None:
        stream.finish(result)
        self._forget(stream)

    def _forget(self, stream: S) -> None:
        self.streams.pop(stream.id, None)
        self.sending.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        self.response = stream

    # Sending

    def data_to_send(self, limit: int = LARGEST_WINDOW) -> list[Buffer]:
        """Return what is to be sent now, with about `limit` bytes of messages at most."""
        out, self._control, self._control_size = self._control, [], 0
        for stream in list(self.sending.values()) if self.sending else ():
            if limit > 0 and (self._window > 0 or not stream.out_size):
                limit -= self._cut_frames(stream, limit, out)
        return out

    def _cut_frames(self, stream: S, limit: int, out: list[Buffer]) -> int:
        """Add frames of a call; how much of its messages they hold."""
        begin = limit
        while True:
            left = stream.out_size
            room = self._stream_window + stream.granted
            size = min(left, limit, self._max_frame, self._window, room)
            if size < left and size <= 0:
                # Behind the others, which come first next time.
                del self.sending[stream.id]
                waiting = self.sending if room > 0 else self._blocked
                waiting[stream.id] = stream
                return begin - limit
            stream.sent_end = stream.out_ends and size == left
            trailers = stream.trailers if stream.sent_end else b""
            if size or not trailers:
                flags = END_STREAM if stream.sent_end and not trailers else 0
                out.append(FRAME.pack(size << 8 | DATA, flags, stream.id))
                out += stream.cut(size)
            if trailers:
                out += cut_block(stream.id, trailers, self._max_frame, end=True)
            stream.granted -= size
            self._window -= size
            limit -= size
            if size:
                self._idle_frames = self.pings = 0
            if size == left:
                del self.sending[stream.id]
                if stream.sent_end:
                    self._all_sent(stream)
                return begin - limit

    def _all_sent(self, stream: S) -> None:
        """Note that the last frame of a stream is sent."""

    def _reply(self, frame: bytes) -> None:
        """Send a frame that answers one of the peer's."""
        self._control_size += len(frame)
        if self._control_size > MAX_PENDING_CONTROL:
            raise self._broken("sends without reading what it is answered")
        self._control.append(frame)

    def grant(self, stream_id: int, increment: int) -> None:
        """Allow the peer to send more: on a stream, or with the id 0 on the connection."""
        self._control.append(pack_window_update(stream_id, increment))

    def _reset(self, stream_id: int, code: int) -> None:
        # Not a response that the peer could ask for again and again: a call is reset once.
        self._control.append(pack_frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big")))

    # The peer's frames that regulate it

    def _idle(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise self._broken(f"sent {MAX_IDLE_FRAMES} frames that say nothing")

    def _window_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise self._broken("sent a WINDOW_UPDATE frame of a wrong size", FRAME_SIZE_ERROR)
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        self._idle()
        if stream_id == 0:
            self._window += increment
            window = self._window
        else:
            stream = self._known(stream_id)
            if stream is None:
                return
            stream.granted += increment
            self._most_granted = max(self._most_granted, stream.granted)
            window = self._stream_window + stream.granted
            if window >= 0 and self._blocked.pop(stream_id, None) is not None:
                self.sending[stream_id] = stream
        if not increment or window > LARGEST_WINDOW:
            code = FLOW_CONTROL_ERROR if increment else PROTOCOL_ERROR
            raise self._broken(f"opens a window by {increment} bytes", code)

    def _ping_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8 or stream_id:
            raise self._broken("sent an invalid PING frame", _code_for(stream_id))
        if flags & ACK and self.ping_pending:
            self.ping_pending = False
            return
        self._idle()
        if not flags & ACK:
            self._reply(pack_frame(PING, ACK, 0, payload))

    def _settings_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) % 6 or stream_id or (flags & ACK and payload):
            raise self._broken("sent an invalid SETTINGS frame", _code_for(stream_id))
        self._idle()
        if flags & ACK:
            # Each acknowledges one frame, in their order.
            self.unacknowledged = max(0, self.unacknowledged - 1)
            self.unverified = self.unverified and self.unacknowledged > 0
            return
        values: dict[int, int] = {}
        for name, value in SETTING.iter_unpack(payload):
            self._check_setting(name, value)
            values[name] = value
        # Only the last value of each counts: the windows of all calls have to follow.
        self._stream_window_received(values.get(INITIAL_WINDOW_SIZE, self._stream_window))
        self._max_frame = values.get(MAX_FRAME_SIZE, self._max_frame)
        self.max_streams = values.get(MAX_CONCURRENT_STREAMS, self.max_streams)
        self._reply(pack_frame(SETTINGS, ACK, 0))

    def _stream_window_received(self, value: int) -> None:
        # The streams are looked at only if there is something to be seen, since the peer may have
        # many and change its mind all the time.
        if value + self._most_granted > LARGEST_WINDOW:
            self._most_granted = max((each.granted for each in self.streams.values()), default=0)
            if value + self._most_granted > LARGEST_WINDOW:
                raise self._broken("opens a window too far", FLOW_CONTROL_ERROR)
        if value > self._stream_window and self._blocked:
            self.sending |= self._blocked
            self._blocked = {}
        self._stream_window = value

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise self._broken("sent a RST_STREAM frame of a wrong size", FRAME_SIZE_ERROR)
        stream = self._known(stream_id)
        if stream is None:
            self._idle()
        else:
            self._end_stream(stream, reset_error(int.from_bytes(payload, "big")))

    def _goaway_received(self, stream_id: int, payload: bytes) -> int:
        """Read a GOAWAY frame; return the last stream that the peer takes."""
        if len(payload) < 8 or stream_id:
            raise self._broken("sent an invalid GOAWAY frame", _code_for(stream_id))
        self._idle()
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        text = payload[8:200].decode("utf-8", "replace")
        self.goaway_message = text or f"error code {code}"
        self.reusable = False
        return last

    def _check_setting(self, name: int, value: int) -> None:
        if name == INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
            raise self._broken(f"sets an initial window of {value} bytes", FLOW_CONTROL_ERROR)
        if name == MAX_FRAME_SIZE and not 16384 <= value < 2**24:
            raise self._broken(f"sets a frame size of {value} bytes")


def _code_for(stream_id: int) -> int:
    """Return the error code for a frame of the connection that is invalid on this stream."""
    return PROTOCOL_ERROR if stream_id else FRAME_SIZE_ERROR
