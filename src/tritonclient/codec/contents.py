"""Typed contents of a tensor over gRPC, turned into wire bytes.

The message InferTensorContents has a repeated field for each kind of number. Elements of such a
field may come packed, one by one or both, which is all the same: their payloads joined are the
packed form of all elements.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..datatypes import NUMPY, Array, Buffer, pack_bytes
from . import wire


class _Field(NamedTuple):
    name: str
    kind: int
    dtype: str  # of the numbers as they are written


_FIELDS = {
    1: _Field("bool_contents", wire.VARINT, "?"),
    2: _Field("int_contents", wire.VARINT, "i4"),
    3: _Field("int64_contents", wire.VARINT, "i8"),
    4: _Field("uint_contents", wire.VARINT, "u4"),
    5: _Field("uint64_contents", wire.VARINT, "u8"),
    6: _Field("fp32_contents", wire.FIXED32, "f4"),
    7: _Field("fp64_contents", wire.FIXED64, "f8"),
    8: _Field("bytes_contents", wire.DELIMITED, "O"),
}
#: FP16 and BF16 have no field.
_FIELD_OF = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 2,
    "INT32": 2,
    "INT64": 3,
    "UINT8": 4,
    "UINT16": 4,
    "UINT32": 4,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
    "BYTES": 8,
}
_WIDTHS = {wire.FIXED32: 4, wire.FIXED64: 8}


class Contents(NamedTuple):
    """Elements as wire bytes, and how many they are."""

    data: bytes
    elements: int


def read(name: str, datatype: str, message: Buffer) -> Contents:
    """The elements in a message InferTensorContents.

    Raises:
        ValueError: they are not of the datatype of the tensor of that name.
    """
    wanted = _FIELD_OF.get(datatype, 0)
    chunks: list[Buffer] = []
    for number, kind, payload in wire.fields(message):
        field = _FIELDS.get(number)
        if field is None or kind not in (field.kind, wire.DELIMITED):
            continue
        packed = kind != field.kind
        if packed and not len(payload):
            continue
        if number != wanted:
            expected = _FIELDS[wanted].name if wanted else "raw contents"
            raise ValueError(
                f"tensor {name!r}, which is {datatype}, has {field.name}, expected {expected}"
            )
        if packed and not _ends_with_an_element(payload, field.kind):
            raise ValueError(f"{field.name} of tensor {name!r} end inside an element")
        chunks.append(payload)
    if datatype == "BYTES":
        return _bytes(chunks)
    data = b"".join(chunks)
    if not data:
        return Contents(b"", 0)
    kind = _FIELDS[wanted].kind
    if kind in _WIDTHS:  # on the wire as it is in a tensor
        return Contents(data, len(data) // _WIDTHS[kind])
    array = _numbers(name, datatype, _FIELDS[wanted].dtype, data)
    return Contents(array.astype(NUMPY[datatype]).tobytes(), len(array))


def _ends_with_an_element(payload: Buffer, kind: int) -> bool:
    return payload[-1] < 0x80 if kind == wire.VARINT else len(payload) % _WIDTHS[kind] == 0


def _bytes(chunks: list[Buffer]) -> Contents:
    array = np.empty(len(chunks), object)
    array[:] = list(map(bytes, chunks))
    return Contents(pack_bytes(array), len(chunks))


def _numbers(name: str, datatype: str, dtype: str, data: bytes) -> Array:
    """The elements, cut to the field's own width as protobuf does it."""
    array = wire.varint_array(data)
    if dtype == "?":
        return array.astype(bool)
    array = array.astype(f"u{dtype[1]}").view(dtype)
    limits = np.iinfo(NUMPY[datatype])
    strange = array[(array < limits.min) | (array > limits.max)]
    if len(strange):
        raise ValueError(f"tensor {name!r}, which is {datatype}, holds {strange[0]}")
    return array
