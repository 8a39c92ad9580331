"""Compressed bodies, as client and server read them, against Python's own readers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator

from tests import recordings

from fuzzing import Choices
from tritonclient.engine import coding as client
from tritonclient.errors import InvalidArgument, ProtocolError, ResourceExhausted
from tritonclient.server.frontends.http import compression as server

_LIMITS = (0, 10, 1000, 1 << 16)


def check(data: bytes) -> None:
    choices = Choices(data)
    coding = client.CODINGS[choices.below(2)]
    limit = _LIMITS[choices.below(len(_LIMITS))]
    body = choices.rest()
    expected = _content(body, [gzip.decompress] if coding == "gzip" else [_zlib, _bare])
    try:
        content = client.decompress(body, coding, limit)
    except ProtocolError as error:
        too_large = f"exceeds {limit} bytes" in str(error)
        assert too_large or expected is None or not body or body.endswith(b"\0")
    else:
        assert len(content) <= limit
        assert content == expected
        assert client.decompress(client.compress([content], coding), coding, limit) == content
    either = _content(body, [_gzip, _zlib]) if body else b""
    try:
        content = server.decompress(body, coding, limit)
    except (InvalidArgument, ResourceExhausted) as error:
        assert either is None or (len(either) > limit and isinstance(error, ResourceExhausted))
    else:
        assert len(content) <= limit
        assert content == either


def _content(body: bytes, readers: list[Callable[[bytes], bytes]]) -> bytes | None:
    """What the first of the readers that can makes of a body."""
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
    for text in (b"", b"hello" * 50, bytes(1 << 20), bytes(range(256))):
        bare = zlib.compress(text)[2:-4]
        for body in (gzip.compress(text, mtime=0), zlib.compress(text), bare):
            yield b"\0\3" + body
            yield b"\1\3" + body
    yield b"\0\3" + gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0)
    for exchange in recordings.load("compression"):
        for message in (exchange.request, exchange.response):
            _, headers, body = recordings.parse_head(message)
            if (coding := headers.get("content-encoding")) in client.CODINGS:
                yield bytes([client.CODINGS.index(coding), 3]) + body
