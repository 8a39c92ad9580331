"""HTTP content codings: gzip and deflate, both ways.

"deflate" is the zlib container (RFC 9110, section 8.4.1.2); some servers send the bare stream,
which is therefore read as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from ..datatypes import Buffer
from ..errors import ProtocolError

CODINGS = ("gzip", "deflate")
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_BARE = -15
_STEP = 1 << 20
_SLICE = 1 << 14


def compress(buffers: Iterable[Buffer], coding: str) -> bytes:
    """The buffers, one after another, compressed.

    Raises:
        ValueError: the coding is neither gzip nor deflate.
    """
    if coding not in CODINGS:
        raise ValueError(f"compression {coding!r} is not one of {', '.join(CODINGS)}")
    # Level 1: over a network worth compressing for, the faster levels win.
    compressor = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS[coding])
    return b"".join([compressor.compress(buffer) for buffer in buffers] + [compressor.flush()])


def decompress(body: Buffer, coding: str, limit: int) -> memoryview:
    """The content of a compressed body, at most `limit` bytes.

    Raises:
        ProtocolError: unknown coding, broken or truncated data, or more than `limit` bytes.
    """
    bits = _WINDOW_BITS.get(coding)
    if bits is None:
        raise ProtocolError(f"the answer has an unknown content coding {coding!r:.40}")
    try:
        return _inflate(body, bits, limit)
    except zlib.error as error:
        if coding == "deflate":
            try:
                return _inflate(body, _BARE, limit)
            except zlib.error:
                pass
        raise ProtocolError(f"the answer is not valid {coding}: {error}") from error


def _inflate(body: Buffer, bits: int, limit: int) -> memoryview:
    content = bytearray()
    view = memoryview(body)
    position = 0
    while True:  # gzip allows several members, one after another
        stream = zlib.decompressobj(bits)
        while not stream.eof:
            # In slices, since zlib copies what it is given and leaves over.
            pending: Buffer = view[position : position + _SLICE]
            piece = stream.decompress(pending, _STEP)
            left = len(stream.unconsumed_tail) + len(stream.unused_data)
            if not piece and left == len(pending) and not stream.eof:
                raise zlib.error("the data is truncated")
            position += len(pending) - left
            content += piece
            if len(content) > limit:
                raise ProtocolError(f"the decompressed answer exceeds {limit} bytes")
        if position == len(view):
            return memoryview(content)
        if bits != 31:
            raise zlib.error("data follows the end")
