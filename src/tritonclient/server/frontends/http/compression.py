"""Content codings: gzip and deflate (the zlib container)."""

from __future__ import annotations

import zlib

from ....datatypes import Buffer
from ....errors import InvalidArgument, ResourceExhausted, Unimplemented

CODINGS = ("gzip", "deflate")
#: The error where no content may be compressed.
UNSUPPORTED = "Unsupported content-encoding, only 'identity' is supported."
_GZIP, _ZLIB, _EITHER = 31, 15, 47  # wbits of zlib, which also select the container
#: Higher levels take several times as long and save a few percent.
_LEVEL = 1


def decompress(body: Buffer, coding: str, limit: int) -> bytes:
    """Return the content of a compressed body; both names accept both containers.

    Raises:
        Unimplemented: the coding is unknown.
        InvalidArgument: the body is not compressed data, or is incomplete.
        ResourceExhausted: the content has more than `limit` bytes.
    """
    if coding not in CODINGS:
        raise Unimplemented("Unsupported compression type", "501")
    if not len(body):
        return b""
    decompressor = zlib.decompressobj(_EITHER)
    try:
        content = decompressor.decompress(body, limit + 1)
        if len(content) <= limit and not decompressor.eof:
            raise zlib.error("it ends early")
        if decompressor.unused_data:
            raise zlib.error("data follows its end")
    except zlib.error as error:
        raise InvalidArgument(f"the request body is not {coding} data: {error}", "400") from error
    if len(content) > limit:
        raise ResourceExhausted(
            f"request body is larger than the limit of {limit} bytes, when decompressed", "413"
        )
    return content


def compress(body: tuple[Buffer, ...], coding: str) -> bytes:
    """Return the compressed body."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP if coding == "gzip" else _ZLIB)
    return b"".join([*map(compressor.compress, body), compressor.flush()])


def negotiate(accepted: str) -> str | None:
    """Return the coding of the response for an `Accept-Encoding`, or None.

    The highest q-value wins, and the first of equal ones, as in Triton.
    """
    best, best_quality = None, 0.0
    for item in accepted.split(","):
        name, _, parameter = item.partition(";")
        quality = _quality(parameter.strip())
        if name.strip() in CODINGS and quality > best_quality:
            best, best_quality = name.strip(), quality
    return best


def _quality(parameter: str) -> float:
    if not parameter.startswith("q="):
        return 1.0
    try:
        return float(parameter[2:])
    except ValueError:
        return 0.0
