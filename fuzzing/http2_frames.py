"""A connection of HTTP/2 with frames from a server that means harm, and calls that come and go.

An input is a script of frames and of what a driver does between them, or in the middle of one.
Whatever is received, it must mean the same in one piece as byte by byte, and hold no more memory
than the engine says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from tests import h2peer as h2

from fuzzing import Choices
from tritonclient.engine.coding import compress
from tritonclient.engine.header_block import MAX_BLOCK_SIZE, NO_TABLE, encode
from tritonclient.engine.http2 import MAX_PENDING_CONTROL, RECEIVE_SIZE, Http2
from tritonclient.engine.rpc_stream import WINDOW, Outcome, RpcStream, frame_message
from tritonclient.errors import InferenceServerException, ProtocolError

MAX_MESSAGE = 1 << 18
_REQUEST = encode([(":method", "POST"), (":scheme", "http"), (":path", "/s/m")])
_STREAMS = (0, 1, 3, 5, 7, 9, 2, 2**31 + 1)

#: What is received, or what is done: an action and its argument.
Step: TypeAlias = "bytes | tuple[str, int]"
_ACTIONS = ("start", "send", "cancel", "take", "ping", "probe")


class Connection:
    """One connection, driven by steps; what comes is given to the engine in pieces of a size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._engine = Http2(max_message=MAX_MESSAGE)
        self._calls: list[RpcStream] = []
        self._seen: list[object] = []

    def play(self, steps: list[Step]) -> list[object]:
        """What came of it, which must not depend on the pieces."""
        for step in steps:
            if isinstance(step, bytes):
                self._receive(step)
            else:
                getattr(self, f"_{step[0]}")(step[1])
            wire = h2.sent(self._engine)
            # The windows are opened when something is needed, which is when it is not there yet.
            self._seen += [each for each in h2.frames(wire) if each[0] != h2.WINDOW_UPDATE]
            self._check_bounds()
        self._end()
        return self._seen

    def _receive(self, wire: bytes) -> None:
        try:
            position = 0
            while position < len(wire) and not self._failed:
                # Byte by byte would take too long for what is large.
                size = self._size if position < 300 else 1000 * self._size
                h2.feed(self._engine, wire[position : position + size])
                position += size
        except ProtocolError as error:
            self._seen.append(str(error))
            assert not self._engine.reusable
            assert not self._engine.streams

    @property
    def _failed(self) -> bool:
        return self._engine._failure is not None

    def _start(self, choice: int) -> None:
        payload = frame_message([bytes(choice * 10)])
        end, single = bool(choice & 1), bool(choice & 2)
        try:
            self._calls.append(self._engine.start(_REQUEST, payload, end=end, single=single))
        except InferenceServerException as error:
            self._seen.append(repr(error))

    def _call(self, choice: int) -> RpcStream | None:
        return self._calls[choice % len(self._calls)] if self._calls else None

    def _send(self, choice: int) -> None:
        call = self._call(choice)
        if call is not None and not call.out_ends and not call.sent_end:
            self._engine.send(call, frame_message([bytes(choice)]), end=choice > 200)

    def _cancel(self, choice: int) -> None:
        call = self._call(choice)
        if call is not None:
            self._engine.cancel(call, Outcome(1, "cancelled", None, {}, {}))

    def _take(self, choice: int) -> None:
        call = self._call(choice)
        while call is not None and call.messages:
            try:
                self._seen.append((call.id, bytes(call.take())))
            except ProtocolError as error:
                self._seen.append((call.id, str(error)))
                assert not call.messages

    def _ping(self, choice: int) -> None:
        self._engine.ping()

    def _probe(self, choice: int) -> None:
        self._engine.probe()

    def _check_bounds(self) -> None:
        engine = self._engine
        assert len(engine._buffer) <= 2 * (MAX_BLOCK_SIZE + RECEIVE_SIZE)
        assert len(engine._header_block or b"") <= MAX_BLOCK_SIZE
        assert engine._control_size <= MAX_PENDING_CONTROL
        for call in self._calls:
            assert (call.result is None) == (engine.streams.get(call.id) is call)
            assert sum(map(_size, call.messages)) <= WINDOW + MAX_MESSAGE
            assert len(call._excerpt or b"") <= 2048 + RECEIVE_SIZE
            assert call.window <= WINDOW + MAX_MESSAGE

    def _end(self) -> None:
        try:
            self._engine.eof_received()
        except InferenceServerException as error:
            self._seen.append(str(error))
        assert not self._engine.streams
        assert not self._engine._sending
        for call in self._calls:
            assert isinstance(call.result, Outcome | InferenceServerException)
            self._take(self._calls.index(call))
            self._seen.append((call.id, repr(call.result)))


def _size(message: Any) -> int:
    return len(message if isinstance(message, memoryview | bytes) else message.data)


def compare(steps: list[Step], size: int) -> None:
    """Play the steps in one piece, byte by byte, and in pieces of a size."""
    whole = Connection(1 << 20).play(steps)
    for each in (1, size):
        other = Connection(each).play(steps)
        assert other == whole, f"{other} in pieces of {each}, {whole} in one"


def check(data: bytes) -> None:
    choices = Choices(data)
    size = 2 + choices.number()
    steps: list[Step] = [("start", 1), ("start", 3), h2.HELLO]
    while choices and len(steps) < 100:
        kind = choices.below(2 * len(_ACTIONS))
        if kind < len(_ACTIONS):
            steps.append((_ACTIONS[kind], choices.number()))
            continue
        frame = _frame(choices)
        where = choices.number()
        last = steps[-1]
        if kind == len(_ACTIONS):  # in the middle of the frame
            action = (_ACTIONS[choices.below(len(_ACTIONS))], choices.number())
            steps += [frame[:where], action, frame[where:]]
        elif isinstance(last, bytes) and where < 128:  # received together with the one before
            steps[-1] = last + frame
        else:
            steps.append(frame)
    compare(steps, size)


def _frame(choices: Choices) -> bytes:
    kind, flags = choices.below(11), choices.number()
    stream = _STREAMS[choices.below(len(_STREAMS))]
    payload = b""
    while (piece := choices.below(9)) and len(payload) < 1 << 17:
        if piece < len(_PIECES):
            payload += _PIECES[piece]
        elif piece == 5:
            payload += choices.take(choices.number())
        elif piece == 6:
            payload += h2.message(choices.take(choices.number()), choices.below(3))
        elif piece == 7:
            payload += b"\1" * choices.number(2)  # wherever a message begins here, it is too large
        else:
            payload += b"\0" + choices.number(3).to_bytes(4, "big")  # what begins a message
    return h2.frame(kind, flags, stream, payload)


_PIECES = (b"", h2.ANSWER, h2.SUCCESS, h2.message(b"hello"), NO_TABLE + h2.ANSWER)


# Scripts are written as `check` reads them.


def _script(kind: int, flags: int, stream: int, *payload: bytes) -> bytes:
    frame = bytes([kind, flags, _STREAMS.index(stream)]) + b"".join(payload)
    return b"\x0b" + frame + b"\0\0"


def _raw(data: bytes) -> bytes:
    return bytes([5, len(data)]) + data


_HEAD = _script(h2.HEADERS, h2.END_HEADERS, 1, b"\1")
_TRAILERS = _script(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, b"\2")


def seeds() -> Iterator[bytes]:
    data = _script(h2.DATA, 0, 1, b"\3")
    yield b"\0" + _HEAD + data + b"\3\0" + _TRAILERS
    yield b"\0" + _HEAD + data + data
    answers = [
        _script(h2.HEADERS, h2.END_HEADERS, stream, b"\1")
        + _script(h2.DATA, 0, stream, b"\3")
        + _script(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, b"\2")
        for stream in (1, 3, 5, 7)
    ]
    window = _script(h2.WINDOW_UPDATE, 0, 0, _raw(b"\0\0\0\1"))
    yield b"\0" + b"\0\3" * 2 + b"".join(answers) + window
    yield b"\0" + b"\0\3" * 2 + window.join(answers) + window + b"\3\0\3\1"
    large = _script(h2.DATA, 0, 1, b"\x08\x00\xff\xff" + b"\x07\xff\xff")
    yield b"\0" + _HEAD + large + b"\3\0" + _TRAILERS
    yield b"\0" + _HEAD + b"\6" + large[1:-1] + b"\x40\2\0" + _TRAILERS
    packed = compress([b"hello"], "gzip")
    fields = h2.block((":status", "200"), ("content-type", "application/grpc"))
    fields += h2.block(("grpc-encoding", "gzip"))
    yield (
        b"\0"
        + _script(h2.HEADERS, h2.END_HEADERS, 1, _raw(fields))
        + _script(h2.DATA, 0, 1, bytes([6, len(packed)]) + packed + b"\1")
        + _TRAILERS
    )
    yield b"\0" + _script(h2.HEADERS, 0, 1, b"\1") + _script(h2.CONTINUATION, h2.END_HEADERS, 1)
    yield b"\0" + _script(h2.DATA, h2.PADDED, 1, _raw(b"\2hello\0\0"))
    yield b"\0" + _script(h2.RST_STREAM, 0, 1, _raw(b"\0\0\0\7"))
    yield b"\0" + _script(h2.GOAWAY, 0, 0, _raw(b"\0\0\0\1\0\0\0\2bye"))
    yield b"\0" + _script(h2.WINDOW_UPDATE, 0, 0, _raw(b"\0\0\1\0"))
    yield b"\0" + _script(h2.PING, 0, 0, _raw(bytes(8))) + b"\4\0\5\0\1\0"
    for setting in (b"\0\4\0\0\0\1", b"\0\3\0\0\0\1", b"\0\5\0\0\x40\0"):
        yield b"\0" + _script(h2.SETTINGS, 0, 0, _raw(setting)) + b"\0\xff"
    page = h2.block((":status", "502"), ("content-type", "text/html"))
    yield (
        b"\0"
        + _script(h2.HEADERS, h2.END_HEADERS, 1, _raw(page))
        + _script(h2.DATA, h2.END_STREAM, 1, _raw(b"<html>"))
    )
