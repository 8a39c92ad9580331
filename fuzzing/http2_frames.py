"""A connection of HTTP/2 with frames from a server that means harm, and calls that come and go.

An input is a script of frames and of what a driver does between them, or in the middle of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.support.peers import h2peer as h2

from fuzzing import Choices
from fuzzing.http2_bytes import ACTIONS, Step, compare
from tritonclient.engine.coding import compress
from tritonclient.engine.header_block import NO_TABLE

_STREAMS = (0, 1, 3, 5, 7, 9, 2, 2**31 + 1)


def check(data: bytes) -> None:
    choices = Choices(data)
    size = 2 + choices.number()
    steps: list[Step] = [("start", 1), ("start", 3), h2.HELLO]
    while choices and len(steps) < 100:
        kind = choices.below(2 * len(ACTIONS))
        if kind < len(ACTIONS):
            steps.append((ACTIONS[kind], choices.number()))
            continue
        frame = make_frame(choices, _STREAMS, _PIECES)
        where = choices.number()
        last = steps[-1]
        if kind == len(ACTIONS):  # in the middle of the frame
            action = (ACTIONS[choices.below(len(ACTIONS))], choices.number())
            steps += [frame[:where], action, frame[where:]]
        elif isinstance(last, bytes) and where < 128:  # received together with the one before
            steps[-1] = last + frame
        else:
            steps.append(frame)
    compare(steps, size)


def make_frame(choices: Choices, streams: Sequence[int], pieces: Sequence[bytes]) -> bytes:
    """Return a frame on one of the streams, whose payload has some of the pieces in it."""
    kind, flags = choices.below(11), choices.number()
    stream = streams[choices.below(len(streams))]
    payload = b""
    while (piece := choices.below(len(pieces) + 4)) and len(payload) < 1 << 17:
        other = piece - len(pieces)
        if other < 0:
            payload += pieces[piece]
        elif other == 0:
            payload += choices.take(choices.number())
        elif other == 1:
            payload += h2.message(choices.take(choices.number()), choices.below(3))
        elif other == 2:
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
    large = _script(h2.DATA, 0, 1, b"\x08\x01\x00\x00" + b"\x07\xff\xff" + _raw(b"."))
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
