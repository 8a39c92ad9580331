"""Bytes that a server sends where HTTP/2 is expected, with several calls waiting for them.

Whatever is received, it must mean the same in one piece as byte by byte, and hold no more memory
than the engine says. `http2_frames` plays its scripts here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from tests.engine.test_http2_bounds import BROKEN
from tests.support.peers import h2peer as h2

from fuzzing import Choices
from tritonclient.codec.rpc_infer import data_offset
from tritonclient.engine.header_block import MAX_BLOCK_SIZE, encode
from tritonclient.engine.http2 import Http2
from tritonclient.engine.http2_receiving import RECEIVE_SIZE
from tritonclient.engine.http2_sending import MAX_PENDING_CONTROL
from tritonclient.engine.message_stream import WINDOW, frame_message
from tritonclient.engine.rpc_outcome import Outcome
from tritonclient.engine.rpc_stream import RpcStream
from tritonclient.errors import InferenceServerException, ProtocolError

_MAX_MESSAGE = 1 << 18
_QUOTED = re.compile(r"it begins with .*?; (?=is this a port)")
_REQUEST = encode([(":method", "POST"), (":scheme", "http"), (":path", "/s/m")])

#: What is received, or what is done: one of the actions and its argument.
Step: TypeAlias = "bytes | tuple[str, int]"
ACTIONS = ("start", "send", "cancel", "take", "ping", "probe")


def check(data: bytes) -> None:
    choices = Choices(data)
    kinds, size = choices.number(), choices.number()
    steps: list[Step] = [("start", kinds >> 2 * n & 3) for n in range(4)]
    compare([*steps, choices.rest()], 2 + size)


def compare(steps: list[Step], size: int) -> None:
    """Play the steps in one piece, byte by byte, and in pieces of a size."""
    whole = Connection(1 << 20).play(steps)
    for each in (1, size):
        other = Connection(each).play(steps)
        assert other == whole, f"{other} in pieces of {each}, {whole} in one"


def _text(result: object) -> str:
    """Return what is known of a result; errors quote the first bytes, as many as had come."""
    return _QUOTED.sub("quoted; ", repr(result))


class Connection:
    """One connection, driven by steps; what comes is given to the engine in pieces of a size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._engine = Http2(max_message=_MAX_MESSAGE)
        self._calls: list[RpcStream] = []
        self._seen: list[object] = []

    def play(self, steps: list[Step]) -> list[object]:
        """Return the outcome, which must not depend on how the bytes were split."""
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
            self._seen.append(_text(error))
            assert not self._engine.reusable
            assert not self._engine.streams

    @property
    def _failed(self) -> bool:
        return self._engine._failure is not None

    def _start(self, choice: int) -> None:
        payload = frame_message([bytes(choice * 10)])
        end, single = bool(choice & 1), bool(choice & 2)
        try:
            self._calls.append(
                self._engine.start(
                    _REQUEST, payload, end=end, single=single, data_offset=data_offset
                )
            )
        except InferenceServerException as error:
            self._seen.append(_text(error))

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
                self._seen.append((call.id, _text(error)))
                assert not call.messages

    def _ping(self, choice: int) -> None:
        self._engine.ping()

    def _probe(self, choice: int) -> None:
        self._engine.send_liveness_probe()

    def _check_bounds(self) -> None:
        engine = self._engine
        assert len(engine._buffer) <= 2 * (MAX_BLOCK_SIZE + RECEIVE_SIZE)
        assert len(engine._header_block or b"") <= MAX_BLOCK_SIZE
        assert engine._control_size <= MAX_PENDING_CONTROL
        for call in self._calls:
            assert (call.result is None) == (engine.streams.get(call.id) is call)
            assert sum(map(_size, call.messages)) <= WINDOW + _MAX_MESSAGE
            assert len(call._excerpt or b"") <= 2048 + RECEIVE_SIZE
            assert call.window <= WINDOW + _MAX_MESSAGE

    def _end(self) -> None:
        try:
            self._engine.eof_received()
        except InferenceServerException as error:
            self._seen.append(_text(error))
        assert not self._engine.streams
        assert not self._engine.sending
        for call in self._calls:
            assert isinstance(call.result, Outcome | InferenceServerException)
            self._take(self._calls.index(call))
            self._seen.append((call.id, _text(call.result)))


def _size(message: Any) -> int:
    return len(message if isinstance(message, memoryview | bytes | bytearray) else message.data)


def seeds() -> Iterator[bytes]:
    for wire in BROKEN.values():
        yield b"\x3f\x07" + wire[:3000]
    yield b"\x3f\x07" + h2.HELLO + h2.answer() + h2.answer(stream=3) + h2.answer(b"bye", 5)
    details = h2.block(
        ("grpc-status", "3"),
        ("grpc-message", "what %E2%82%AC is this%"),
        ("grpc-status-details-bin", "CAMSAWE"),
    )
    yield b"\x3f\x07" + h2.HELLO + h2.head() + h2.trailers(fields=details)
    yield b"\x3f\x07" + h2.HELLO + h2.trailers(fields=h2.ANSWER + h2.SUCCESS)
