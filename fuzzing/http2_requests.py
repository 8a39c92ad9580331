"""A connection of HTTP/2 with a client that means harm, in the view of a server.

An input is a script of frames and of what handlers do between them, or in the middle of one.
Whatever is received, it must mean the same in one piece as byte by byte, raise nothing but
ProtocolError, and hold no more memory than the engine says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

import hpack
from tests.engine.test_http2_server_rules import BROKEN, MALFORMED
from tests.support.peers import h2client
from tests.support.peers import h2peer as h2

from fuzzing import Choices
from fuzzing.http2_frames import make_frame
from tritonclient.engine.coding import compress
from tritonclient.engine.header_block import MAX_BLOCK_SIZE
from tritonclient.engine.http2_receiving import RECEIVE_SIZE
from tritonclient.engine.http2_sending import MAX_PENDING_CONTROL
from tritonclient.engine.message_stream import WINDOW
from tritonclient.errors import ProtocolError

_MAX_MESSAGE = 1 << 18
_MAX_STREAMS = 4
_QUOTED = re.compile(rb"it begins with .*", re.DOTALL)

#: What is received, or what a handler does: one of the actions and its argument.
Step: TypeAlias = "bytes | tuple[str, int]"
ACTIONS = ("respond", "write", "end_call", "abort", "take", "go_away", "ping", "fetch")
_STREAMS = (0, 1, 3, 5, 7, 9, 11, 2, 2**31 + 1)
_PIECES = (
    b"",
    h2client.POST,
    h2.message(b"hello"),
    h2client.block(("grpc-timeout", "1S"), ("grpc-encoding", "gzip")),
    b"\x20",
    b"\x3f\xe1\x1f",
    b"\x40\x01a\x01b",
    b"\xbe",
    h2.message(compress([b"hello"], "gzip"), 1),
)


def check(data: bytes) -> None:
    choices = Choices(data)
    size = 2 + choices.number()
    steps: list[Step] = [] if size & 1 else [h2client.OPENING]
    while choices and len(steps) < 100:
        kind = choices.below(3 * len(ACTIONS))
        if kind < len(ACTIONS):
            steps.append((ACTIONS[kind], choices.number()))
            continue
        if kind == len(ACTIONS):
            wire = choices.take(choices.number())
        else:
            wire = make_frame(choices, _STREAMS, _PIECES)
        where = choices.number()
        last = steps[-1] if steps else None
        if kind == len(ACTIONS) + 1:  # in the middle of the frame
            action = (ACTIONS[choices.below(len(ACTIONS))], choices.number())
            steps += [wire[:where], action, wire[where:]]
        elif isinstance(last, bytes) and where < 128:  # received together with the one before
            steps[-1] = last + wire
        else:
            steps.append(wire)
    compare(steps, size)


def compare(steps: list[Step], size: int) -> None:
    """Play the steps in one piece, byte by byte, and in pieces of a size."""
    whole = Connection(1 << 20).play(steps)
    for each in (1, size):
        other = Connection(each).play(steps)
        assert other == whole, f"{other} in pieces of {each}, {whole} in one"


class Connection:
    """One connection, driven by steps; what comes is given to the engine in pieces of a size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._end = h2client.ServerEnd(
            max_message=_MAX_MESSAGE, max_streams=_MAX_STREAMS, take=False, greeted=False
        )
        self._engine = self._end.engine
        self._seen: list[object] = []
        self._decoder = hpack.Decoder()

    def play(self, steps: list[Step]) -> list[object]:
        """Return the outcome, which must not depend on how the bytes were split."""
        for step in steps:
            if isinstance(step, bytes):
                self._receive(step)
            else:
                getattr(self, f"_{step[0]}")(step[1])
            self._check_bounds()
        self._fetch(0)
        self._engine.fail(ProtocolError("the end"))
        assert not self._engine.streams
        assert not self._engine.sending
        assert not self._engine._blocked
        for call in self._end.calls.values():
            assert call.stream.result is not None
            self._seen.append((call.stream.id, str(call.stream.result), call.events.count("end")))
        return self._seen

    def _receive(self, wire: bytes) -> None:
        position = 0
        try:
            while position < len(wire):
                # Byte by byte would take too long for what is large.
                size = self._size if position < 300 else 1000 * self._size
                self._end.feed(wire[position : position + size])
                position += size
        except ProtocolError:
            assert self._engine.failed
            assert self._engine.going_away
            assert not self._engine.streams

    def _fetch(self, choice: int) -> None:
        """Take what is to be sent, as a client would read it."""
        limit = 1 << choice if 0 < choice < 30 else 1 << 30
        for kind, flags, stream, payload in h2.frames(h2.sent(self._engine, limit)):
            if kind == h2.HEADERS:
                self._seen.append((stream, flags, self._decoder.decode(payload)))
            elif kind == h2.GOAWAY:
                self._seen.append((kind, _QUOTED.sub(b"", payload)))
            # The windows are opened when something is needed, which is when it is not there yet.
            elif kind != h2.WINDOW_UPDATE:
                self._seen.append((kind, flags, stream, payload))

    def _call(self, choice: int) -> h2client.Served | None:
        calls = list(self._end.calls.values())
        return calls[choice % len(calls)] if calls else None

    def _respond(self, choice: int) -> None:
        if (call := self._call(choice)) is not None and not call.stream.out_ends:
            self._engine.respond(call.stream, [bytes(choice), b"answer"])

    def _write(self, choice: int) -> None:
        if (call := self._call(choice)) is not None and not call.stream.out_ends:
            self._engine.send_message(call.stream, [bytes(500 * choice)])

    def _end_call(self, choice: int) -> None:
        if (call := self._call(choice)) is not None:
            self._engine.end(call.stream, choice % 17, "why")

    def _abort(self, choice: int) -> None:
        if (call := self._call(choice)) is not None:
            self._engine.abort(call.stream, choice % 17, "why not")

    def _take(self, choice: int) -> None:
        call = self._call(choice)
        while call is not None and call.stream.messages:
            try:
                self._seen.append((call.stream.id, bytes(call.stream.take())))
            except ProtocolError as error:
                self._seen.append((call.stream.id, str(error)))

    def _go_away(self, choice: int) -> None:
        if choice < 30:
            self._engine.go_away()

    def _ping(self, choice: int) -> None:
        self._engine.ping()

    def _check_bounds(self) -> None:
        engine = self._engine
        assert len(engine._buffer) <= 2 * (MAX_BLOCK_SIZE + RECEIVE_SIZE)
        assert len(engine._header_block or b"") <= MAX_BLOCK_SIZE
        assert engine._control_size <= MAX_PENDING_CONTROL
        assert len(engine.streams) <= _MAX_STREAMS
        assert {*engine.sending, *engine._blocked} <= {*engine.streams}
        assert not {*engine.sending} & {*engine._blocked}
        for call in self._end.calls.values():
            stream = call.stream
            assert (stream.result is None) == (engine.streams.get(stream.id) is stream)
            assert sum(h2client.size_of(each) for each in stream.messages) <= WINDOW + _MAX_MESSAGE
            assert stream.window <= WINDOW + _MAX_MESSAGE


# Scripts are written as `check` reads them.


def _script(kind: int, flags: int, stream: int, *payload: bytes) -> bytes:
    frame = bytes([kind, flags, _STREAMS.index(stream)]) + b"".join(payload)
    return bytes([len(ACTIONS) + 2]) + frame + b"\0\0"


def _raw(wire: bytes) -> bytes:
    return bytes([9, len(wire)]) + wire


def _bytes(wire: bytes) -> bytes:
    return b"".join(
        bytes([len(ACTIONS), len(piece)]) + piece + b"\0"
        for piece in (wire[start : start + 255] for start in range(0, len(wire[:2000]), 255))
    )


def seeds() -> Iterator[bytes]:
    for wire, _ in BROKEN.values():
        yield b"\0" + _bytes(wire)
    for wire in MALFORMED.values():
        yield b"\0" + _bytes(wire)
    yield b"\1" + _bytes(h2client.OPENING + h2client.request())
    head = _script(h2.HEADERS, h2.END_HEADERS, 1, b"\1")
    data = _script(h2.DATA, h2.END_STREAM, 1, b"\2")
    for action in range(len(ACTIONS)):
        yield b"\0" + head + bytes([action, 3]) + data + bytes([action, 200])
    calls = b"".join(
        _script(h2.HEADERS, h2.END_HEADERS, stream, b"\1", b"\6" if stream == 1 else b"\7")
        + _script(h2.DATA, h2.END_STREAM, stream, b"\2\x08")
        for stream in (1, 3, 5, 7)
    )
    yield b"\0" + calls + b"\0\0\0\1\1\xff\1\xff\7\0" + b"\2\0\2\1\2\2\2\3"
    window = _script(h2.WINDOW_UPDATE, 0, 1, _raw(b"\0\0\1\0"))
    for setting in (b"\0\4\0\0\0\1", b"\0\4\0\0\0\0", b"\0\5\0\0\x40\0", b"\0\2\0\0\0\2"):
        yield b"\0" + _script(h2.SETTINGS, 0, 0, _raw(setting)) + calls + b"\1\xff\7\0" + window
    yield b"\0" + head + _script(h2.DATA, 0, 1, b"\x0c\x01\x00\x00\x0b\xff\xff")
    yield b"\0" + head + _script(h2.DATA, h2.PADDED, 1, _raw(b"\2hello\0\0"))
    yield b"\0" + _script(h2.HEADERS, 0, 1, b"\1") + _script(h2.CONTINUATION, 4, 1, b"\3")
    yield b"\0" + head + _script(h2.RST_STREAM, 0, 1, _raw(b"\0\0\0\x08")) + data
    yield b"\0" + head + data + head + _script(h2.HEADERS, 5, 1, b"\6")
    yield b"\0" + head + bytes([len(ACTIONS) + 1]) + data[1:-1] + b"\x0b\3\2" + data
