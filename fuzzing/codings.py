"""Compressed bodies, as client and server read them, against Python's own readers.

The steps in which the client decompresses are made small for the time of a check, so that small
inputs meet every edge of them. An input is a body as it came, or a recipe for one: mutations hardly
ever make several members whose checksums are right.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.data import recordings

from fuzzing import Choices
from tritonclient.engine import coding as client
from tritonclient.errors import InvalidArgument, ProtocolError, ResourceExhausted
from tritonclient.server.frontends.http import compression as server

_LIMITS = (0, 10, 1000, 1 << 16)
#: Bytes of a step, of what is asked of zlib at once and of what it is given, and rounds.
_STEPS = ((1 << 20, 1 << 18, 1 << 14, 64), (64, 16, 8, 4), (16, 16, 16, 16), (100, 7, 1000, 3))
_SIZES = (0, 7, 8, 16, 32, 64, 100, 1000)


def check(data: bytes) -> None:
    choices = Choices(data)
    kind = choices.below(16)
    coding = client.CODINGS[kind & 1]
    limit = _LIMITS[choices.below(len(_LIMITS))]
    body = _made(choices, coding) if kind & 2 else choices.rest()
    with _steps(*_STEPS[kind >> 2]):
        _check_client(body, coding, limit)
    _check_server(body, coding, limit)


@contextmanager
def _steps(step: int, piece: int, slice: int, rounds: int) -> Iterator[None]:
    """Decompress in steps of another size."""
    before = client._STEP, client._PIECE, client._SLICE, client._ROUNDS
    client._STEP, client._PIECE, client._SLICE, client._ROUNDS = step, piece, slice, rounds
    try:
        yield
    finally:
        client._STEP, client._PIECE, client._SLICE, client._ROUNDS = before


def _made(choices: Choices, coding: str) -> bytes:
    """A body of a few members, each of its own size and kind, perhaps cut off or with something
    behind it."""
    members = []
    for _ in range(1 + choices.below(4)):
        size = max(0, _SIZES[choices.below(len(_SIZES))] + choices.number() % 7 - 3)
        text = bytes([choices.number()]) * size
        if choices.below(4) == 0:  # what can't be compressed
            text = b"".join(zlib.crc32(b"%d" % i).to_bytes(4, "big") for i in range(size))[:size]
        level = (1, 9, 0)[choices.below(3)]
        window_bits = 31 if coding == "gzip" else (15, -15)[level == 9]
        writer = zlib.compressobj(level, wbits=window_bits)
        members.append(writer.compress(text) + writer.flush())
    body = b"".join(members if coding == "gzip" else members[:1])
    cut = choices.number()
    return body[: len(body) - cut if cut < 40 else None] + choices.rest()


def _check_client(body: bytes, coding: str, limit: int) -> None:
    expected = _content(body, [gzip.decompress] if coding == "gzip" else [_zlib, _bare])
    compressed = client.Compressed(body, coding, limit)
    held = position = 0
    try:
        while not compressed.step():
            now = compressed._position, len(compressed._content)
            begun_again = now == (0, 0)
            assert begun_again or (now[0] >= position and sum(now) > position + held)
            assert len(compressed._content) <= min(limit, held + client._STEP + client._PIECE)
            position, held = now
    except ProtocolError as error:
        too_large = f"exceeds {limit} bytes" in str(error)
        # gzip also takes nothing for a body, and zeros behind the last member.
        assert expected is None or too_large or not body or body.endswith(b"\0")
        assert not (too_large and expected is not None) or len(expected) > limit
        return
    content = compressed.content()
    assert len(content) <= limit
    assert content == expected
    assert client.decompress(client.compress([content], coding), coding, limit) == content


def _check_server(body: bytes, coding: str, limit: int) -> None:
    either = _content(body, [_gzip, _zlib]) if body else b""
    try:
        content = server.decompress(body, coding, limit)
    except (InvalidArgument, ResourceExhausted) as error:
        assert either is None or (len(either) > limit and isinstance(error, ResourceExhausted))
    else:
        assert len(content) <= limit
        assert content == either


def _content(body: bytes, readers: list[Callable[[bytes], bytes]]) -> bytes | None:
    """Return the content according to the first reader that accepts the body."""
    for read in readers:
        try:
            return read(body)
        except (OSError, EOFError, zlib.error):
            continue
    return None


def _zlib(body: bytes, window_bits: int = 15) -> bytes:
    reader = zlib.decompressobj(window_bits)
    content = reader.decompress(body)
    if not reader.eof or reader.unused_data:
        raise EOFError
    return content


def _gzip(body: bytes) -> bytes:
    return _zlib(body, 31)  # of one member


def _bare(body: bytes) -> bytes:
    return _zlib(body, -15)


def seeds() -> Iterator[bytes]:
    for text in (b"", b"hello" * 50, bytes(1 << 16), bytes(range(256))):
        bare = zlib.compress(text)[2:-4]
        for body in (gzip.compress(text, mtime=0), zlib.compress(text), bare):
            yield b"\0\3" + body
            yield b"\1\3" + body
    yield b"\0\3" + gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0)
    for size in range(len(_SIZES)):
        member = bytes([size, 4, 7, 1, 0])  # size, change of it, byte, kind, level
        for steps in (2, 6, 10, 14):
            yield bytes([steps, 3, 1]) + 2 * member + b"\xff"
            yield bytes([steps + 1, 3, 0]) + member + b"\xff"
            yield bytes([steps, 3, 2]) + 2 * member + bytes([0, 0, 0, 1, 1]) + b"\x05trailing"
    for exchange in recordings.load("compression"):
        for message in (exchange.request, exchange.response):
            _, headers, body = recordings.parse_head(message)
            if (coding := headers.get("content-encoding")) in client.CODINGS:
                yield bytes([client.CODINGS.index(coding), 3]) + body
