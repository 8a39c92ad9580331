"""Header blocks of HTTP/2 (HPACK, RFC 7541), without a dynamic table.

We announce a table of size 0 and index nothing ourselves, so a block means the same whenever it
comes: what we send is built once, and what was decoded is remembered by its bytes. Decoding
proper, Huffman codes and all, is the `hpack` package's business.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import ProtocolError
from ..extras import optional_import
from .header_faults import not_valid

#: Bytes of a header block, and of the headers in it, that are accepted.
MAX_BLOCK_SIZE = 64 * 1024
#: At a block's beginning: the dynamic table has no room from now on.
NO_TABLE = b"\x20"
#: A literal that is to be added to that table, which just stays empty. Nginx closes the connection
#: over names that are not when it refuses a stream.
_ADDED = 0x40
_CACHED_SIZE = 1024
#: Names of the static table that calls use (RFC 7541, appendix A).
_INDEX = {":authority": 1, ":path": 4, ":status": 8, "content-type": 31, "user-agent": 58}
#: Whole fields of the static table.
_INDEXED = {
    (":method", "POST"): b"\x83",
    (":scheme", "http"): b"\x86",
    (":scheme", "https"): b"\x87",
    (":status", "200"): b"\x88",
}
_NAME = re.compile(r":?[0-9a-z_.\-]+\Z")
#: Spaces at its ends are no part of a value, and peers refuse them (RFC 9113, section 8.2.1).
_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?\Z")
_STATUS = re.compile(r"[1-9][0-9]{2}\Z")
_CODE = re.compile(r"[0-9]{1,3}\Z")
#: What is received is taken more widely.
_ANY_NAME = re.compile(r":?[!-9;-@\[-~]+\Z")
_ANY_VALUE = re.compile(r"[^\0\r\n]*\Z")
#: Where a block lay in our memory, which hpack tells in some of its errors.
_ADDRESS = re.compile(r"(:| from) <memory at \w+>")


def encode(headers: Iterable[tuple[str, str]]) -> bytes:
    """A block of literals; names are in lower case, values in ASCII.

    Raises:
        ValueError: a header holds characters that it may not hold.
    """
    block = bytearray()
    for name, value in headers:
        if not _NAME.match(name) or not _VALUE.match(value):
            fits = _NAME.match(name) is not None
            raise not_valid(name, value, name_fits=fits, charset="ASCII")
        indexed = _INDEXED.get((name, value))
        if indexed is not None:
            block += indexed
            continue
        index = _INDEX.get(name)
        if index is None:
            block.append(_ADDED)
            _append_text(block, name)
        else:
            _append_integer(block, _ADDED, 6, index)
        _append_text(block, value)
    return bytes(block)


def _append_text(block: bytearray, text: str) -> None:
    _append_integer(block, 0, 7, len(text))
    block += text.encode("ascii")


def _append_integer(block: bytearray, first: int, bits: int, value: int) -> None:
    limit = (1 << bits) - 1
    if value < limit:
        block.append(first | value)
        return
    block.append(first | limit)
    value -= limit
    while value >= 128:
        block.append(value & 127 | 128)
        value >>= 7
    block.append(value)


class Fields(NamedTuple):
    """A decoded block.

    Attributes:
        headers: by lower-case name; what came several times is joined by ", ".
        http_status: of a response's first block, otherwise None.
        code: the gRPC status, if it is there.
        message: the text that comes with it.
        fault: what is wrong with the headers, "" for nothing.
    """

    headers: Mapping[str, str]
    http_status: int | None
    code: int | None
    message: str
    fault: str = ""

    def details(self) -> bytes | None:
        """The server's `google.rpc.Status` message, if it sent one."""
        text = self.headers.get("grpc-status-details-bin")
        return None if text is None else decode_binary(text)


def decode(block: bytes) -> Fields:
    """The fields of a block.

    Raises:
        ProtocolError: it is not a valid block, or too large.
        ImportError: the `hpack` package is not installed.
    """
    return _decode_cached(block) if len(block) <= _CACHED_SIZE else _decode(block)


def _decode(block: bytes) -> Fields:
    hpack = require_hpack()
    decoder = hpack.Decoder(max_header_list_size=MAX_BLOCK_SIZE)
    decoder.header_table_size = 0
    decoder.max_allowed_table_size = 0
    try:
        return _fields(decoder.decode(block, raw=True))
    # IndexError and ValueError: what older releases of hpack let through for truncated blocks and
    # endless numbers.
    except (hpack.HPACKError, IndexError, ValueError) as error:
        text = _ADDRESS.sub("", str(error))
        raise ProtocolError(f"the answer has an invalid header block: {text:.200}") from error


def _fields(decoded: Iterable[tuple[bytes, bytes]]) -> Fields:
    headers: dict[str, str] = {}
    fault = ""
    for name, value in decoded:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        misplaced = key.startswith(":") and (key != ":status" or bool(headers))
        if misplaced or not _ANY_NAME.match(key):
            fault = f"the answer has a header {key!r:.40}, which may not be there"
        elif not _ANY_VALUE.match(text):
            fault = f"the answer's header {key!r:.40} holds what no header may"
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    status = headers.pop(":status", None)
    if status is not None and not _STATUS.match(status):
        fault = f"the answer has an invalid status {status!r:.40}"
    code = headers.get("grpc-status")
    if code is not None and not _CODE.match(code):
        fault = f"the answer has an invalid grpc-status {code!r:.40}"
    # Percent-encoded UTF-8; what is no such thing is shown as well as can be.
    message = unquote_to_bytes(headers.get("grpc-message", "").encode("latin-1"))
    return Fields(
        headers,
        None if status is None or fault else int(status),
        None if code is None or fault else int(code),
        message.decode("utf-8", "replace"),
        fault,
    )


_decode_cached = lru_cache(maxsize=256)(_decode)


@cache
def require_hpack() -> Any:
    """The `hpack` package."""
    with optional_import("hpack", "gRPC", "grpc"):
        import hpack
    import logging  # which hpack has imported anyway

    # It writes some ten records for each call at debug level, headers with secrets among them.
    logger = logging.getLogger("hpack")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return hpack


def encode_binary(value: bytes) -> str:
    """The value of a header whose name ends in "-bin"."""
    return base64.b64encode(value).decode("ascii").rstrip("=")


def decode_binary(text: str) -> bytes | None:
    """The other way, for the first of several values; None for what is not base64."""
    first = text.partition(",")[0].strip()
    try:
        return base64.b64decode(first + "=" * (-len(first) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
