"""HTTP/2, server side, as a state machine without I/O; it carries gRPC calls and nothing else.

One `Http2Server` stands for one connection. A driver sends what `data_to_send` gives, reads into
`get_buffer()`, and reports with `buffer_updated(n)`. A call is given to `on_call` when its headers
have come; its `notify` tells of each message, of the end of the request, and of the call's end.

Source: RFC 9113; gRPC over HTTP/2 (the `PROTOCOL-HTTP2` document).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..datatypes import Buffer
from ..errors import InferenceServerException, ProtocolError, ResourceExhausted
from .header_block import NO_TABLE, encode
from .http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    DATA,
    DEFAULT_FRAME,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FRAME,
    GOAWAY,
    HEADERS,
    LARGEST_WINDOW,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    cut_block,
    pack_frame,
    server_opening,
)
from .http2_receiving import Receiving
from .message_stream import PREFIX, PREFIX_SIZE
from .request_head import REQUIRED, RequestHead, RequestHeads
from .rpc_outcome import Outcome
from .served_stream import ServedStream, first_block, last_block
from .spare_memory import SpareMemory

#: Outcome of a call whose response is sent.
_DONE = Outcome(0, "", None, {}, {})
_TRAILERS = last_block(0, "", alone=False)
#: Statuses of gRPC.
_RESOURCE_EXHAUSTED, _INTERNAL = 8, 13
#: Most bytes of a GOAWAY frame's text.
_TEXT = 200


class Http2Server(Receiving[ServedStream]):
    """One connection's server side.

    Args:
        on_call: gets each call when its headers have come.
        on_ping: called for each ping of the client.
        spare: the memory of large messages.
        max_message: largest message accepted, in bytes.
        max_streams: calls that the client may have in work at a time.

    Attributes:
        going_away: whether GOAWAY was sent: no more calls are taken.
        quiet: whether nothing of a response was sent since the client's last ping.
    """

    __slots__ = (
        "_heads", "_last_id", "_max_calls", "_on_call", "_on_ping", "_preface_due",
        "_spare", "_table_is_off", "_unsent", "going_away", "quiet",
    )  # fmt: skip

    _peer = "the client"
    _whole = "the request"

    def __init__(
        self,
        on_call: Callable[[ServedStream], None],
        on_ping: Callable[[], None],
        spare: SpareMemory,
        *,
        max_message: int,
        max_streams: int,
    ) -> None:
        # A message is decompressed to at most the size that one may have without compression.
        super().__init__(max_message, max_message, server_opening(max_streams))
        self._on_call = on_call
        self._on_ping = on_ping
        self._spare = spare
        self._max_calls = max_streams
        self._heads = RequestHeads()
        self._last_id = 0
        self._preface_due = True
        self._table_is_off = False
        self._unsent = 0  # calls whose end waits to be sent: they run in the view of the client
        self.going_away = False
        self.quiet = True

    @property
    def half_read(self) -> bool:
        """True if the client has begun something that is no part of a call, and not ended it.

        A connection begins with the preface and settings.
        """
        if self._data_left or self._pad_left:
            return self._data_stream is None or self._data_stream.result is not None
        return self._first or self._start < self._end or self._header_block is not None

    # Responses

    def respond(
        self, stream: ServedStream, message: Sequence[Buffer], coding: str | None = None
    ) -> None:
        """Send the only message of a response, and its end; harmless when the call is over.

        Args:
            coding: how the message is compressed, None if it is not.
        """
        if stream.result is not None:
            return
        size = PREFIX_SIZE + sum(map(len, message))
        room = min(self._window, self._stream_window + stream.granted, DEFAULT_FRAME)
        if coding is not None or size > room or stream.begun or not self._table_is_off:
            self.send_message(stream, message, coding)
            self.end(stream)
            return
        id = stream.id.to_bytes(4, "big")
        frame = (*(_HEADERS, id, _HEADER_BLOCK), FRAME.pack(size << 8 | DATA, 0, stream.id))
        prefix = PREFIX.pack(0, size - PREFIX_SIZE)
        self._control.append(b"".join((*frame, prefix, *message, _LAST, id, _TRAILERS)))
        self._window -= size
        self._unsent += 1
        self._idle_frames = self.pings = 0
        self.quiet = False
        self._all_sent(stream)

    def begin_response(self, stream: ServedStream, coding: str | None = None) -> None:
        """Send the headers of a response, if they are not sent; harmless when the call is over."""
        if stream.begun or stream.result is not None:
            return
        stream.begun = True
        self._send_block(stream, first_block(coding or "identity"))

    def send_message(
        self, stream: ServedStream, message: Sequence[Buffer], coding: str | None = None
    ) -> None:
        """Send one of several messages; harmless when the call is over.

        Args:
            coding: how the message is compressed, None if it is not.
        """
        if stream.result is None:
            self.begin_response(stream, coding)
            prefix = PREFIX.pack(coding is not None, sum(map(len, message)))
            self.send(stream, (prefix, *message))

    def end(self, stream: ServedStream, code: int = 0, message: str = "") -> None:
        """End a response with a status, behind its messages; harmless when the call is over."""
        if stream.result is not None or stream.out_ends:
            return
        if stream.begun:
            stream.trailers = last_block(code, message, alone=False)
            self.send(stream, (), end=True)
            return
        self._send_block(stream, last_block(code, message, alone=True), end=True)
        self._all_sent(stream)

    def abort(self, stream: ServedStream, code: int, message: str) -> None:
        """End a call with a status at once, without what waits to be sent.

        It is harmless when the call is over.
        """
        if stream.result is not None:
            return
        block = last_block(code, message, alone=not stream.begun)
        self._send_block(stream, block, end=True)
        if not stream.half_closed:
            self._stop_request(stream)
        self._end_stream(stream, Outcome(code, message, None, {}, {}))

    def _stop_request(self, stream: ServedStream) -> None:
        # It may still send as much before it reads this.
        self._left_over += max(0, stream.window)
        self._reset(stream.id, NO_ERROR)

    def _send_block(self, stream: ServedStream, block: bytes, *, end: bool = False) -> None:
        block = self._without_table(block)
        self._control += cut_block(stream.id, block, self._max_frame, end=end)
        self._unsent += end
        self.quiet = False

    def _without_table(self, block: bytes) -> bytes:
        """Return a header block; the first one switches our dynamic table off."""
        if self._table_is_off:
            return block
        # Whatever size of the table the client allows, now or later, ours is not larger.
        self._table_is_off = True
        return NO_TABLE + block

    def _all_sent(self, stream: ServedStream) -> None:
        stream.responded = True
        stream.finish(_DONE)
        self._forget(stream)
        if not stream.half_closed:
            self._stop_request(stream)

    def _cut_frames(self, stream: ServedStream, limit: int, out: list[Buffer]) -> int:
        size = super()._cut_frames(stream, limit, out)
        if size:
            self.quiet = False
        if stream.on_room is not None and stream.has_room:
            on_room, stream.on_room = stream.on_room, None
            on_room()
        return size

    def _forget(self, stream: ServedStream) -> None:
        self.streams.pop(stream.id, None)
        self.sending.pop(stream.id, None)
        self._blocked.pop(stream.id, None)

    def data_to_send(self, limit: int = LARGEST_WINDOW) -> list[Buffer]:
        """Return what is to be sent now, with about `limit` bytes of messages at most."""
        self._unsent = 0
        return super().data_to_send(limit)

    def go_away(self, code: int = NO_ERROR, text: str = "") -> None:
        """Take no more calls, and tell the client why."""
        self.going_away = True
        payload = self._last_id.to_bytes(4, "big") + code.to_bytes(4, "big")
        self._control.append(pack_frame(GOAWAY, 0, 0, payload + text.encode()[:_TEXT]))

    # What comes

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes that were received into the buffer; drop them after an error.

        Raises:
            ProtocolError: they are not HTTP/2, or more than the bounds allow. GOAWAY is to be
                sent, and all calls are over.
        """
        if self._failure is not None:
            self._start = self._end = 0
            return
        try:
            super().buffer_updated(count)
        except ProtocolError as error:
            self._start = self._end = 0
            self.go_away(self._error_code, error.message() or "")
            raise

    def _read_frames(self) -> None:
        if not self._preface_due or self._read_preface():
            super()._read_frames()

    def _read_preface(self) -> bool:
        """Read what a client sends first; False if it has not all come."""
        begin = bytes(self._buffer[self._start : min(self._end, self._start + len(PREFACE))])
        if not PREFACE.startswith(begin):
            raise self._broken(f"does not speak HTTP/2: it begins with {begin!r}")
        if len(begin) < len(PREFACE):
            return False
        self._start += len(PREFACE)
        self._preface_due = False
        return True

    def _refuse_others(self) -> None:
        pass  # the preface has shown that it is HTTP/2

    def _check_first(self, flags: int) -> None:
        if self._buffer[self._start + 3] != SETTINGS or flags & ACK:
            raise self._broken("does not begin with settings")
        self._first = False

    def _match_template(self, template: Any) -> bool:
        return False

    def _parse_whole(self, length: int, stream_id: int) -> bool:
        return False

    def _known(self, stream_id: int) -> ServedStream | None:
        if not stream_id & 1 or stream_id > self._last_id:
            raise self._broken(f"speaks of stream {stream_id}, which there is not")
        return self.streams.get(stream_id)

    def _check_block(self, stream_id: int) -> None:
        if not stream_id & 1:
            raise self._broken(f"begins stream {stream_id}, which is the server's")

    def _block_received(self, stream_id: int, block: bytes, ends: bool) -> None:
        self._check_block(stream_id)
        try:
            head = self._heads.decode(block)  # in any case, since it may change the table
        except ProtocolError:
            self._error_code = COMPRESSION_ERROR
            raise
        if stream_id <= self._last_id:
            self._trailers_received(stream_id, head, ends)
            return
        self._last_id = stream_id
        if refusal := self._refusal(head, ends):
            self._refuse(stream_id, *refusal, ends)
            return
        self._idle_frames = 0
        stream = ServedStream(stream_id, self, head, self._spare)
        stream.half_closed = ends
        self.streams[stream_id] = stream
        self._on_call(stream)
        if ends and stream.notify is not None:
            stream.notify(stream)

    def _refusal(self, head: RequestHead, ends: bool) -> tuple[bytes, int] | None:
        """Return the header block and error code that refuse a request, None if it is taken."""
        if self.going_away or len(self.streams) + self._unsent >= self._max_calls:
            return b"", REFUSED_STREAM
        if head.fault or head.missing or (ends and head.content_length):
            return b"", PROTOCOL_ERROR
        if head.method != "POST":
            return _METHOD_NOT_ALLOWED, NO_ERROR
        if not head.content_type.startswith("application/grpc"):
            return _UNSUPPORTED_MEDIA_TYPE, NO_ERROR
        return None

    def _refuse(self, stream_id: int, block: bytes, code: int, ends: bool) -> None:
        self._idle()
        if block:
            block = self._without_table(block)
            self._reply(pack_frame(HEADERS, END_HEADERS | END_STREAM, stream_id, block))
        if not ends:
            # It may have sent as much before it reads this.
            self._left_over += ServedStream.window
        if not (block and ends):
            self._reply(pack_frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big")))

    def _trailers_received(self, stream_id: int, head: RequestHead, ends: bool) -> None:
        """Read a second header block of a request, which gRPC has no use for."""
        self._idle()
        stream = self.streams.get(stream_id)
        if stream is None and self._left_over:
            return  # of a call that we ended
        if stream is None or stream.half_closed:
            raise self._broken(f"sends headers on stream {stream_id}, which is over", STREAM_CLOSED)
        if not ends or head.fault or len(head.missing) < len(REQUIRED):
            self._reset_malformed(stream, "the request has headers inside it, or invalid trailers")
        else:
            self._ended(stream)

    def _reset_malformed(self, stream: ServedStream, text: str) -> None:
        self.cancel(stream, ProtocolError(text), PROTOCOL_ERROR)

    def _begin_data(self, length: int, flags: int, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is not None and stream.half_closed:
            text = f"sends more on stream {stream_id}, which it has ended"
            raise self._broken(text, STREAM_CLOSED)
        super()._begin_data(length, flags, stream_id)

    def _ended(self, stream: ServedStream) -> None:
        if stream.half_sent:
            self._refuse_rest(stream, ProtocolError("the request ends inside a message"))
            return
        if stream.head.content_length not in (None, stream.size):
            self._reset_malformed(stream, "the request has not the length that it announced")
            return
        stream.half_closed = True
        if stream.notify is not None:
            stream.notify(stream)

    def _refuse_rest(self, stream: ServedStream, error: InferenceServerException) -> None:
        too_large = isinstance(error, ResourceExhausted)
        code = _RESOURCE_EXHAUSTED if too_large else _INTERNAL
        self.abort(stream, code, error.message() or "")

    def _reset_finished(self, stream: ServedStream) -> None:
        pass  # what ends a call here also forgets it

    def _check_setting(self, name: int, value: int) -> None:
        super()._check_setting(name, value)
        if name == ENABLE_PUSH and value > 1:
            raise self._broken(f"sets pushes to {value}")

    def _ping_received(self, flags: int, stream_id: int, payload: bytes) -> None:
        super()._ping_received(flags, stream_id, payload)
        if not flags & ACK:
            self._on_ping()
            self.quiet = True


_METHOD_NOT_ALLOWED = encode([(":status", "405"), ("allow", "POST")])
_UNSUPPORTED_MEDIA_TYPE = encode([(":status", "415")])
_HEADER_BLOCK = first_block("identity")
#: What lies before the stream's id in the frames of a small response.
_HEADERS = FRAME.pack(len(_HEADER_BLOCK) << 8 | HEADERS, END_HEADERS, 0)[:-4]
_LAST = FRAME.pack(len(_TRAILERS) << 8 | HEADERS, END_HEADERS | END_STREAM, 0)[:-4]
