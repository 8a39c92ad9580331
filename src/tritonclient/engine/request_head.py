"""Header blocks of requests, as a server reads them.

Clients compress them with a dynamic table (HPACK, RFC 7541), so a block has its meaning on its
connection only. Most calls on a connection have the same block, which is decoded once.

Source: gRPC over HTTP/2 (the `PROTOCOL-HTTP2` document), requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import ProtocolError
from .header_block import MAX_BLOCK_SIZE, decode_binary, require_hpack

#: Largest block that is remembered, in bytes.
_LARGEST = 1024
#: Blocks that are remembered for a connection.
_REMEMBERED = 64
#: Beginnings of a field's representation (RFC 7541, section 6), with the bits of the number in it.
_INDEXED, _INDEXED_BITS = 0x80, 7
_ADDED, _ADDED_MASK, _ADDED_BITS = 0x40, 0xC0, 6
_RESIZED, _RESIZED_MASK = 0x20, 0xE0
_LITERAL_BITS = 4
_TEXT_BITS = 7

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])\Z")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_NAME = re.compile(rb":?[!-9;-@\[-~]+\Z")
_VALUE = re.compile(rb"[^\0\r\n]*\Z")
#: Headers of HTTP/1 that a request must not have (RFC 9113, section 8.2.2).
_OF_CONNECTIONS = {
    *(b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"),
}
#: Headers that are no metadata.
_OF_TRANSPORT = {b"te", b"content-type", b"content-length", b"host"}
_PSEUDO = {b":method", b":scheme", b":path", b":authority"}
#: Those that each request has.
REQUIRED = (":method", ":scheme", ":path")


class RequestHead(NamedTuple):
    """A decoded header block of a request.

    Attributes:
        method: of HTTP; gRPC has POST alone.
        path: of the method to call, such as "/package.Service/Method".
        content_type: "" if there is none.
        fields: the headers that the caller gave, in their order.
        timeout: seconds that the client waits for the response; None for no limit.
        coding: how compressed messages of the request are compressed.
        accepted: codings that the client can read.
        fault: what is wrong with the headers, "" for nothing.
        content_length: bytes of DATA that the request announces, None for nothing.
        missing: those of `REQUIRED` that are not there; all of them in trailers.
    """

    method: str
    path: str
    content_type: str
    fields: tuple[tuple[bytes, bytes], ...]
    timeout: float | None
    coding: str
    accepted: tuple[str, ...]
    fault: str = ""
    missing: tuple[str, ...] = ()
    content_length: int | None = None

    def metadata(self) -> Iterator[tuple[str, str | bytes]]:
        """Yield the headers that the caller gave; bytes for names with "-bin".

        They are decoded here, since a small block can have many references to large entries of
        the table, which share their memory until then.
        """
        for name, value in self.fields:
            if name.endswith(b"-bin"):
                for each in _binary_values(value):
                    yield _text(name), each
            else:
                yield _text(name), _text(value)


class RequestHeads:
    """The decoder of one connection's header blocks."""

    __slots__ = ("_decoder", "_remembered")

    def __init__(self) -> None:
        self._decoder = require_hpack().Decoder(max_header_list_size=MAX_BLOCK_SIZE)
        #: Blocks that refer to the table as it is, or not at all.
        self._remembered: dict[bytes, RequestHead] = {}

    def decode(self, block: bytes) -> RequestHead:
        """Return the headers of a block.

        Raises:
            ProtocolError: it is not a valid block, or too large.
        """
        head = self._remembered.get(block)
        if head is not None:
            return head
        hpack = require_hpack()
        try:
            fields = self._decoder.decode(block, raw=True)
            changed = _changes_table(block, self._decoder.header_table_size)
        # IndexError and ValueError: what older releases of hpack let through for truncated blocks
        # and endless numbers.
        except (hpack.HPACKError, IndexError, ValueError) as error:
            raise ProtocolError("the request has an invalid header block") from error
        head = _read(fields)
        if changed or len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        if not changed and len(block) <= _LARGEST:
            self._remembered[block] = head
        return head


def _changes_table(block: bytes, size: int) -> bool:
    """Return True if a valid block changes the dynamic table.

    Args:
        size: of the table; if it is 0, what is added to it is dropped at once.
    """
    position = 0
    while position < len(block):
        first = block[position]
        if first & _INDEXED:
            position = _after_number(block, position, _INDEXED_BITS)[1]
            continue
        added = first & _ADDED_MASK == _ADDED
        if (added and size) or first & _RESIZED_MASK == _RESIZED:
            return True
        bits = _ADDED_BITS if added else _LITERAL_BITS
        index, position = _after_number(block, position, bits)
        for _ in range(1 if index else 2):  # a value, and a name that is not in the table
            length, position = _after_number(block, position, _TEXT_BITS)
            position += length
    return False


def _after_number(block: bytes, position: int, bits: int) -> tuple[int, int]:
    """Return a number (RFC 7541, section 5.1) and the position behind it."""
    limit = (1 << bits) - 1
    value = block[position] & limit
    position += 1
    if value < limit:
        return value, position
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _read(fields: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    known: dict[bytes, bytes] = {}
    others: list[tuple[bytes, bytes]] = []
    fault = ""
    regular = False  # whether the pseudo-headers are over
    for name, value in fields:
        if not _NAME.match(name) or name != name.lower() or name in _OF_CONNECTIONS:
            fault = f"the request has a header {name!r:.40}, which may not be there"
        elif not _VALUE.match(value):
            fault = f"the request's header {name!r:.40} holds what no header may"
        elif name.startswith(b":"):
            if name in known or regular or name not in _PSEUDO:
                fault = f"the request has a header {name!r:.40}, which may not be there"
            known[name] = value
            continue
        elif name.startswith(b"grpc-") or name in _OF_TRANSPORT:
            # Of codings, several headers are one list (RFC 9110, section 5.3).
            known[name] = known[name] + b"," + value if name in known else value
        else:
            others.append((name, value))
        regular = True
    if known.get(b"te", b"trailers") != b"trailers":
        fault = fault or "the request has another te than trailers"
    length = known.get(b"content-length")
    if length is not None and not _LENGTH.match(length):
        fault = fault or "the request has an invalid content-length"
    timeout, valid = _timeout(known.get(b"grpc-timeout"))
    if not valid:
        fault = fault or "the request has an invalid grpc-timeout"
    accepted = _text(known.get(b"grpc-accept-encoding", b"")).split(",")
    return RequestHead(
        _text(known.get(b":method", b"")),
        _text(known.get(b":path", b"")),
        _text(known.get(b"content-type", b"")),
        tuple(others),
        timeout,
        _text(known.get(b"grpc-encoding", b"identity")),
        tuple(each.strip() for each in accepted if each.strip()),
        fault,
        tuple(name for name in REQUIRED if not known.get(name.encode())),
        None if length is None or fault else int(length),
    )


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _binary_values(value: bytes) -> list[bytes]:
    """Return the values of a binary header; what is no base64 is left out."""
    decoded = [decode_binary(each.strip()) for each in _text(value).split(",")]
    return [each for each in decoded if each is not None]


def _timeout(value: bytes | None) -> tuple[float | None, bool]:
    """Return the seconds of a grpc-timeout, and whether it is valid."""
    if value is None:
        return None, True
    match = _TIMEOUT.match(value)
    if match is None:
        return None, False
    return int(match[1]) * _UNITS[match[2]], True
