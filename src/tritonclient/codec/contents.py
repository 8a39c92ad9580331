"""Typed contents of a tensor over gRPC, turned into wire bytes.

The message InferTensorContents has a repeated field for each kind of number. Elements of such a
field may be packed, single or both. In each case their payloads joined are the packed form of all
elements.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..datatypes import NUMPY, Array, Buffer, pack_bytes
from . import wire


class Field(NamedTuple):
    """A field of the message.

    Attributes:
        kind: the wire type of its elements when they are not packed.
        dtype: what its elements are cut to.
        datatypes: those whose tensors use it, the widest last.
    """

    name: str
    kind: int
    dtype: str
    datatypes: tuple[str, ...]


#: FP16 and BF16 have no field.
_FIELDS = {
    1: Field("bool_contents", wire.VARINT, "?", ("BOOL",)),
    2: Field("int_contents", wire.VARINT, "i4", ("INT8", "INT16", "INT32")),
    3: Field("int64_contents", wire.VARINT, "i8", ("INT64",)),
    4: Field("uint_contents", wire.VARINT, "u4", ("UINT8", "UINT16", "UINT32")),
    5: Field("uint64_contents", wire.VARINT, "u8", ("UINT64",)),
    6: Field("fp32_contents", wire.FIXED32, "f4", ("FP32",)),
    7: Field("fp64_contents", wire.FIXED64, "f8", ("FP64",)),
    8: Field("bytes_contents", wire.DELIMITED, "O", ("BYTES",)),
}
_WIDTHS = {wire.FIXED32: 4, wire.FIXED64: 8}


class Contents(NamedTuple):
    """Elements as wire bytes, and how many they are."""

    data: bytes
    elements: int


def fields(message: Buffer) -> dict[Field, list[Buffer]]:
    """The payloads of each field that has elements, in the order of the fields' numbers.

    Raises:
        ValueError: it is not a message InferTensorContents.
    """
    payloads: dict[int, list[Buffer]] = {}
    for number, kind, payload in wire.fields(message):
        field = _FIELDS.get(number)
        if field is None or kind not in (field.kind, wire.DELIMITED):
            continue
        if kind != field.kind:
            if not len(payload):
                continue
            if not _ends_with_an_element(payload, field.kind):
                raise ValueError(f"{field.name} end inside an element")
        payloads.setdefault(number, []).append(payload)
    return {_FIELDS[number]: payloads[number] for number in sorted(payloads)}


def _ends_with_an_element(packed: Buffer, kind: int) -> bool:
    return packed[-1] < 0x80 if kind == wire.VARINT else len(packed) % _WIDTHS[kind] == 0


def read(datatype: str, message: Buffer) -> Contents:
    """The elements of a tensor.

    Raises:
        ValueError: they are not of its datatype.
    """
    found = fields(message)
    for field in found:
        if datatype not in field.datatypes:
            raise ValueError(f"{datatype} has no {field.name}")
    for field, payloads in found.items():
        return _pack(datatype, field, payloads)
    return Contents(b"", 0)


def _pack(datatype: str, field: Field, payloads: list[Buffer]) -> Contents:
    if field.kind == wire.DELIMITED:
        items = np.empty(len(payloads), object)
        items[:] = list(map(bytes, payloads))
        return Contents(pack_bytes(items), len(items))
    data = b"".join(payloads)
    if field.kind in _WIDTHS:  # on the wire as it is in a tensor
        return Contents(data, len(data) // _WIDTHS[field.kind])
    array = _numbers(datatype, field.dtype, data)
    return Contents(array.astype(NUMPY[datatype]).tobytes(), len(array))


def _numbers(datatype: str, dtype: str, data: bytes) -> Array:
    array = wire.varint_array(data)
    if dtype == "?":
        return array.astype(bool)
    array = array.astype(f"u{dtype[1]}").view(dtype)
    limits = np.iinfo(NUMPY[datatype])
    strange = array[(array < limits.min) | (array > limits.max)]
    if len(strange):
        raise ValueError(f"{strange[0]} is out of the range of {datatype}")
    return array
