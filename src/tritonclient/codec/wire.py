"""The few primitives of the protobuf wire format that the messages of inference need.

A message is a sequence of fields, each a tag (number and wire type) and a payload. Everything that
is read is checked against the message's end, and reading takes time in proportion to its length.
Source: protobuf documentation, "Encoding". Groups, which proto3 has not, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..datatypes import Array, Buffer

#: Wire types.
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

_MASK = (1 << 64) - 1
_FIXED = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT = 10  # bytes; 64 bits by seven
#: Bytes of a tag or a length that protobuf takes, whatever number they stand for.
MAX_PREFIX = 5


# Writing


def varint(value: int) -> bytes:
    """A varint; a negative number is written as its two's complement of 64 bits.

    Raises:
        ValueError: the value does not fit into 64 bits.
    """
    if 0 <= value < 0x80:
        return _SMALL[value]
    if not -(1 << 63) <= value <= _MASK:
        raise ValueError(f"{value} does not fit into 64 bits")
    value &= _MASK
    octets = bytearray()
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


_SMALL = [bytes([value]) for value in range(0x80)]


def tag(number: int, kind: int) -> bytes:
    """Return the tag that precedes a field's payload."""
    return varint(number << 3 | kind)


def delimited(number: int, payload: bytes) -> bytes:
    """A whole field of text, bytes or a message."""
    return b"".join((tag(number, DELIMITED), varint(len(payload)), payload))


def text(number: int, value: str) -> bytes:
    """A whole field of text, which is left out when it is empty."""
    return delimited(number, value.encode()) if value else b""


# Reading


def read_varint(data: Buffer, position: int, most: int = _MAX_VARINT) -> tuple[int, int]:
    """The varint at a position, and the position behind it.

    Raises:
        ValueError: the data ends inside it, or it has more bytes than may be.
    """
    try:
        octet = data[position]
        if octet < 0x80:
            return octet, position + 1
        value = octet & 0x7F
        for index in range(1, most):
            octet = data[position + index]
            value |= (octet & 0x7F) << 7 * index
            if octet < 0x80:
                return value & _MASK, position + index + 1
    except IndexError:
        raise ValueError("the message ends inside a number") from None
    raise ValueError(f"a number takes more than {most} bytes")


def fields(data: Buffer) -> Iterator[tuple[int, int, Buffer]]:
    """Number, wire type and payload of each field, in order.

    Raises:
        ValueError: the data is not a message.
    """
    position, size = 0, len(data)
    while position < size:
        head, start = read_varint(data, position, MAX_PREFIX)
        number, kind = head >> 3, head & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"a field has the number {number}")
        if kind == DELIMITED:
            length, start = read_varint(data, start, MAX_PREFIX)
            position = start + length
        elif kind == VARINT:
            _, position = read_varint(data, start)
        elif kind in _FIXED:
            position = start + _FIXED[kind]
        else:
            raise ValueError(f"field {number} has the wire type {kind}")
        if position > size:
            raise ValueError(f"the message ends inside field {number}")
        yield number, kind, data[start:position]


def merged(messages: Sequence[Buffer]) -> Buffer:
    """Merge the occurrences of a message field into one message.

    Raises:
        ValueError: one of them is not a message, although all of them joined might be one.
    """
    if len(messages) == 1:
        return messages[0]
    for each in messages:
        for _ in fields(each):
            pass
    return b"".join(messages)


def unsigned(payload: Buffer) -> int:
    """The number of 64 bits that is a payload."""
    return read_varint(payload, 0)[0]


def signed(payload: Buffer) -> int:
    """Return the value of a field of type int64."""
    value = unsigned(payload)
    return value - (1 << 64) if value >> 63 else value


def signed_varints(data: Buffer) -> Iterator[int]:
    """The numbers in a packed field of type int64.

    Raises:
        ValueError: the data ends inside one.
    """
    position = 0
    while position < len(data):
        value, position = read_varint(data, position)
        yield value - (1 << 64) if value >> 63 else value


def varint_array(data: Buffer) -> Array:
    """The numbers in a packed field, as uint64; for many of them.

    Raises:
        ValueError: the data ends inside one.
    """
    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    lengths = np.diff(ends, prepend=-1)
    if not len(octets):
        return np.empty(0, np.uint64)
    if octets[-1] >= 0x80:
        raise ValueError("the message ends inside a number")
    longest = int(lengths.max())
    if longest > _MAX_VARINT:
        raise ValueError(f"a number takes more than {_MAX_VARINT} bytes")
    starts = ends - lengths + 1
    values: Array = (octets[starts] & 0x7F).astype(np.uint64)
    for index in range(1, longest):
        longer = np.flatnonzero(lengths > index)
        part = (octets[starts[longer] + index] & 0x7F).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * index)
    return values
