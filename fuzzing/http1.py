"""An answer of HTTP/1.1, which must mean the same in whatever pieces it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.data import recordings

from fuzzing import Choices
from tritonclient.engine.http1 import MAX_HEAD_SIZE, Http1
from tritonclient.errors import ConnectionFailed, ProtocolError

_LIMITS = (0, 100, 1 << 16)
_OFFSET = "inference-header-content-length"


def check(data: bytes) -> None:
    choices = Choices(data)
    limit = _LIMITS[choices.below(len(_LIMITS))]
    size = 1 + choices.number()
    wire = choices.rest()
    whole = _received(wire, len(wire), limit)
    for each in (1, size):
        other = _received(wire, each, limit)
        assert other == whole, f"{other} in pieces of {each}, {whole} in one"


def _received(wire: bytes, size: int, limit: int) -> tuple[Any, bool]:
    """The answer in a wire that comes in pieces of a size, or the kind of its fault (the text may
    tell what had come by then); and whether the connection can go on."""
    engine = Http1(max_body=limit, max_content=limit, offset_header=_OFFSET)
    engine.start(b"")
    try:
        for position in range(0, len(wire), size or 1):
            _feed(engine, wire[position : position + size], limit)
        if engine.response is None:
            engine.eof_received()
    except (ProtocolError, ConnectionFailed) as error:
        assert not engine.reusable
        return type(error).__name__, False
    assert engine.response is not None
    try:
        content = engine.response.content()
    except ProtocolError as error:
        return type(error).__name__, engine.reusable
    assert len(content) <= limit
    return engine.response._replace(body=content), engine.reusable


def _feed(engine: Http1, piece: bytes, limit: int) -> None:
    view = memoryview(piece)
    while view:
        buffer = engine.get_buffer()
        count = min(len(buffer), len(view))
        assert count
        buffer[:count] = view[:count]
        engine.buffer_updated(count)
        view = view[count:]
        assert len(engine._buffer) <= 4 * MAX_HEAD_SIZE
        assert len(engine._parts) <= limit


def seeds() -> Iterator[bytes]:
    for subject in recordings.subjects():
        for exchange in recordings.load(subject):
            if len(exchange.response) < 2000:
                yield b"\2\6" + exchange.response
    ok = b"HTTP/1.1 200 OK\r\n"
    chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
    yield b"\2\6" + chunked + b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
    yield b"\2\6" + chunked + b"A \r\n0123456789\r\n0\r\n\r\nmore"
    yield b"\2\6HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end"
    yield b"\2\6HTTP/1.1 100 Continue\r\n\r\n" + ok + b"Content-Length: 2, 2\r\n\r\nhi"
    yield b"\2\6" + ok + b"A: b" + b" " * 2000 + b"c\r\nContent-Length: 1\r\n\r\nd"
    yield b"\2\6" + ok + b"A: b  c   \r\nContent-Length:\t0\t\r\n\r\n"
