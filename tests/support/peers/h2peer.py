"""The server's end of HTTP/2 for the tests: raw frames, and a gRPC server on the h2 package.

Nothing here does I/O. `Http2Peer` is an oracle, since h2 is another author's: it raises when the
client breaks the protocol, flow control included.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import hpack

from tritonclient.engine.http2 import Http2

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20


# Raw frames


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    size = len(payload)
    return struct.pack(">HBBBL", size >> 8, size & 255, kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; names as h2 has them, in lower case."""
    names = h2.settings.SettingCodes
    pairs = [struct.pack(">HL", names[name.upper()], value) for name, value in values.items()]
    return frame(SETTINGS, 0, 0, b"".join(pairs))


def block(*headers: tuple[str, str]) -> bytes:
    """A header block as hpack writes it for a peer without a dynamic table."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return bytes(encoder.encode(headers))


def message(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BL", flags, len(data)) + data


HELLO = settings()
ANSWER = block((":status", "200"), ("content-type", "application/grpc"))
SUCCESS = block(("grpc-status", "0"))


def head(stream: int = 1, fields: bytes = ANSWER, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, fields)


def trailers(stream: int = 1, fields: bytes = SUCCESS) -> bytes:
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, fields)


def data(payload: bytes, stream: int = 1, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream, payload)


def goaway(last: int, code: int = 0, text: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last, code) + text)


def window_update(increment: int, stream: int = 0) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(code: int, stream: int = 1) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def answer(payload: bytes = b"hello", stream: int = 1) -> bytes:
    """A whole answer with one message."""
    return head(stream) + data(message(payload), stream) + trailers(stream)


# What drivers do


def feed(engine: Http2, received: bytes | bytearray | memoryview) -> None:
    """Give the engine bytes as a driver would: never more than it has room for."""
    view = memoryview(received)
    while view:
        buffer = engine.get_buffer()
        assert len(buffer)
        count = min(len(buffer), len(view))
        buffer[:count] = view[:count]
        engine.buffer_updated(count)
        view = view[count:]


def sent(engine: Http2, limit: int = 2**31 - 1) -> bytes:
    """Return the bytes that the engine has to send."""
    return b"".join(engine.data_to_send(limit))


def frames(wire: bytes) -> list[tuple[int, int, int, bytes]]:
    """Type, flags, stream and payload of each frame that a client sent, its preface left out."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    wire = wire.removeprefix(preface)
    found = []
    while wire:
        high, low, kind, flags, stream = struct.unpack_from(">HBBBL", wire)
        end = 9 + (high << 8 | low)
        assert len(wire) >= end
        found.append((kind, flags, stream, wire[9:end]))
        wire = wire[end:]
    return found


# A server


@dataclass
class ServedCall:
    """A call as the server sees it.

    Attributes:
        received: bytes of the client's messages.
        lacking: how many of them its window still lacks.
        ended: whether the client has ended its side.
        reset: the client's error code, if it gave the call up.
        waiting: what is to be sent: bytes of DATA, and at last the trailers.
        answered: whether the answer's headers are sent.
    """

    headers: dict[str, str]
    received: bytearray = field(default_factory=bytearray)
    lacking: int = 0
    ended: bool = False
    reset: int | None = None
    waiting: deque[bytes | list[tuple[str, str]]] = field(default_factory=deque)
    answered: bool = False


class Http2Peer:
    """A gRPC server's end of one connection; it raises h2's errors when the client errs.

    Args:
        values: settings that hold from the beginning, by their numbers.
    """

    def __init__(self, values: dict[int, int] | None = None) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        if values is not None:
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=values)
            self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.initiate_connection()
        self.calls: dict[int, ServedCall] = {}
        self.events: list[Any] = []
        self.lacking = 0  # of the connection's window
        self._unread = b""
        self._settings: list[dict[int, int]] = [{}]  # sent first and not acknowledged; to be sent

    def change_settings(self, values: dict[int, int]) -> None:
        """Send settings, once those before are acknowledged: h2 takes any acknowledgement for all
        that it has sent.
        """
        self._settings.append(values)
        if len(self._settings) == 1:
            self.h2.update_settings(values)

    def _settings_acknowledged(self) -> None:
        self._settings.pop(0)
        if self._settings:
            self.h2.update_settings(self._settings[0])

    def receive(self, received: bytes) -> None:
        """Take bytes in; frame by frame, since h2 applies new settings only to the next call."""
        self._unread += received
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        while True:
            if self._unread.startswith(b"PRI"):
                end = len(preface)
            else:
                end = 9 + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < max(9, end):
                return
            self._receive(self._unread[:end])
            self._unread = self._unread[end:]

    def _receive(self, whole: bytes) -> None:
        for event in self.h2.receive_data(whole):
            self.events.append(event)
            if isinstance(event, h2.events.SettingsAcknowledged):
                self._settings_acknowledged()
            elif isinstance(event, h2.events.RequestReceived):
                headers = dict(event.headers)
                assert len(headers) == len(event.headers)
                self.calls[event.stream_id] = ServedCall(headers)
            elif isinstance(event, h2.events.DataReceived):
                call = self.calls[event.stream_id]
                call.received += event.data
                call.lacking += event.flow_controlled_length
                self.lacking += event.flow_controlled_length
            elif isinstance(event, h2.events.StreamEnded):
                self.calls[event.stream_id].ended = True
            elif isinstance(event, h2.events.StreamReset):
                self.calls[event.stream_id].reset = event.error_code
                self.calls[event.stream_id].waiting.clear()

    def open_windows(self, most: int = 2**31 - 1) -> None:
        """Open the client's windows for the data that it has sent, up to a number of bytes each."""
        for stream_id, call in self.calls.items():
            increment = min(call.lacking, most)
            if increment and not call.ended and call.reset is None and self._open(stream_id):
                self.h2.increment_flow_control_window(increment, stream_id)
                call.lacking -= increment
        increment = min(self.lacking, most)
        if increment:
            self.h2.increment_flow_control_window(increment)
            self.lacking -= increment

    def _open(self, stream_id: int) -> bool:
        return not self.h2.streams[stream_id].closed if stream_id in self.h2.streams else False

    def begin_answer(self, stream_id: int, *more: tuple[str, str]) -> None:
        fields = [(":status", "200"), ("content-type", "application/grpc"), *more]
        self.h2.send_headers(stream_id, fields)
        self.calls[stream_id].answered = True

    def send(self, stream_id: int, *pieces: bytes) -> None:
        """Send DATA as soon as the windows allow."""
        self.calls[stream_id].waiting += pieces

    def end(self, stream_id: int, *fields: tuple[str, str]) -> None:
        """Send trailers when all data is out."""
        self.calls[stream_id].waiting.append(list(fields or [("grpc-status", "0")]))

    def to_send(self) -> bytes:
        """Send as much of the calls as the windows allow; return the bytes."""
        for stream_id, call in self.calls.items():
            while call.waiting:
                piece = call.waiting[0]
                if isinstance(piece, list):
                    self.h2.send_headers(stream_id, piece, end_stream=True)
                    call.waiting.popleft()
                    break
                room = min(
                    self.h2.local_flow_control_window(stream_id),
                    self.h2.max_outbound_frame_size,
                    len(piece),
                )
                if room <= 0 and piece:
                    break
                self.h2.send_data(stream_id, piece[:room])
                if room == len(piece):
                    call.waiting.popleft()
                else:
                    call.waiting[0] = piece[room:]
        return bytes(self.h2.data_to_send())
