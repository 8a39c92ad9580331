"""The v2 datatypes and their numpy arrays: packing tensors into wire bytes and back.

On the wire a tensor is its elements in row-major order, little-endian, without padding. BYTES
elements are a 4-byte little-endian length and the payload; BF16 is the upper half of a float32.
Source: KServe v2 protocol, "Tensor Data Types"; Triton's binary tensor extension.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Buffer: TypeAlias = "bytes | bytearray | memoryview"
Array: TypeAlias = "npt.NDArray[Any]"

#: Fixed-size datatypes and their little-endian numpy dtypes. BF16's are its bit patterns.
NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
}
DATATYPES = frozenset(NUMPY) | {"BYTES"}

_BY_DTYPE = {dtype: name for name, dtype in NUMPY.items() if name != "BF16"}
_LITTLE_ENDIAN = sys.byteorder == "little"


def bfloat16() -> np.dtype[Any] | None:
    """The dtype `ml_dtypes.bfloat16`, or None when that package is not installed."""
    try:
        import ml_dtypes  # 24 MB that most users do without
    except ImportError:
        return None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def check(datatype: str) -> None:
    """Raise TypeError or ValueError unless `datatype` is one of the v2 protocol's."""
    if not isinstance(datatype, str):
        raise TypeError(f"datatype is {datatype!r:.60}, expected str, such as 'FP32'")
    if datatype not in DATATYPES:
        meant = meant_datatype(datatype) or _close_datatype(datatype)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise ValueError(
            f"datatype {datatype!r:.60} is not one of {', '.join(sorted(DATATYPES))}{hint}"
        )


def _close_datatype(name: str) -> str:
    from difflib import get_close_matches  # only errors need it

    return next(iter(get_close_matches(name.upper()[:100], DATATYPES, 1)), "")


def meant_datatype(datatype: object) -> str:
    """Return the datatype that another name of it means, or "".

    Such as "TYPE_FP32" of a model's configuration, "float32" and "<f4" of numpy, "fp32".
    """
    name = str(datatype).removeprefix("TYPE_").upper()
    if name in DATATYPES:
        return name
    if name in ("STRING", "STR", "TEXT"):
        return "BYTES"
    try:
        dtype = np.dtype(datatype)  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError):
        return {"BFLOAT16": "BF16", "HALF": "FP16", "FLOAT": "FP32", "DOUBLE": "FP64"}.get(name, "")
    return datatype_for(dtype) or ""


def byte_size(datatype: str, count: int) -> int | None:
    """Wire size in bytes of `count` elements; None for BYTES, whose elements vary."""
    return None if datatype == "BYTES" else NUMPY[datatype].itemsize * count


def view_dtype(datatype: str) -> np.dtype[Any] | None:
    """The dtype of arrays that `unpack` makes as views; None where it converts what came."""
    converted = datatype in ("BYTES", "BF16") or not _LITTLE_ENDIAN
    return None if converted else NUMPY[datatype]


def datatype_of(array: Array) -> str:
    """The v2 datatype that an array is sent as; ValueError when there is none."""
    name = datatype_for(array.dtype)
    if name is None:
        raise ValueError(f"dtype {array.dtype} has no v2 datatype; expected one of {_expected()}")
    return name


def datatype_for(dtype: np.dtype[Any]) -> str | None:
    """The v2 datatype that arrays of a dtype are sent as, or None."""
    name = _BY_DTYPE.get(dtype)
    if name is not None:
        return name
    if dtype.kind in "OSUT":
        return "BYTES"
    return "BF16" if dtype.name == "bfloat16" else _BY_DTYPE.get(_native(dtype))


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # StringDType knows no byte orders and refuses to be asked.
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")


def _expected() -> str:
    return ", ".join(str(dtype) for dtype in _BY_DTYPE) + ", bfloat16, object, bytes, str"


def pack(array: Array, datatype: str) -> Buffer:
    """The wire bytes of an array.

    A C-contiguous little-endian array is not copied: the buffer is its own memory. BF16 is taken
    from bfloat16, from float32 (rounded to nearest, ties to even) and from uint16 bit patterns.

    Raises:
        ValueError: the array's dtype does not fit the datatype.
    """
    if datatype == "BYTES":
        return pack_bytes(array)
    check(datatype)
    expected = NUMPY[datatype]
    if array.dtype != expected:
        if datatype == "BF16":
            array = _to_bf16(array)
        elif _native(array.dtype) == _native(expected):
            array = array.astype(expected)
        else:
            raise ValueError(f"dtype {array.dtype} does not fit {datatype}; expected {expected}")
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.size == 0 or array.ndim == 0:
        return array.tobytes()  # memoryview can't cast these
    return np.asarray(array).data.cast("B")  # masked arrays have another `data`


def is_wire(array: Any) -> bool:
    """True if an array's own memory is its wire bytes, so that `pack` returns a view of it."""
    plain = type(array) is np.ndarray and array.dtype in _BY_DTYPE
    return plain and array.flags.c_contiguous and array.size > 0 and array.ndim > 0


def unpack(data: Buffer, datatype: str, shape: tuple[int, ...]) -> Array:
    """The array that wire bytes stand for; a view of `data` except for BYTES.

    Bytes at an odd address are copied, since much of what takes arrays wants them aligned.

    BYTES become an object array of `bytes`. BF16 becomes `ml_dtypes.bfloat16` where that package
    is installed, otherwise float32.

    Raises:
        ValueError: the bytes do not fill the shape exactly.
    """
    if datatype == "BYTES":
        return unpack_bytes(data, element_count(shape)).reshape(shape)
    dtype = NUMPY[datatype]
    try:
        array: Array | None = np.ndarray(shape, dtype, data)
    except (TypeError, ValueError):  # there are fewer bytes, or numpy has no such shape
        array = None
    if array is None or array.nbytes != len(data):
        expected = element_count(shape) * dtype.itemsize
        if expected == len(data):
            raise ValueError(f"numpy has no arrays of shape {list(shape)}")
        raise ValueError(
            f"{len(data)} bytes for a {datatype} tensor of shape {list(shape)}, expected {expected}"
        )
    if not array.flags.aligned:
        array = array.copy()
    if datatype == "BF16":
        return bf16_array(array)
    return array if _LITTLE_ENDIAN else array.astype(dtype.newbyteorder("="))


def element_count(shape: Iterable[int]) -> int:
    """How many elements a shape holds (1 for a scalar)."""
    count = 1
    for dimension in shape:
        count *= dimension
    return count


# BF16


def _to_bf16(array: Array) -> Array:
    if array.dtype.name == "bfloat16":
        return array.view(np.uint16).astype(NUMPY["BF16"], copy=False)
    if _native(array.dtype) == np.dtype(np.uint16):
        return array.astype(NUMPY["BF16"])
    if _native(array.dtype) != np.dtype(np.float32):
        raise ValueError(
            f"dtype {array.dtype} does not fit BF16; expected ml_dtypes.bfloat16, float32, "
            "or uint16 bit patterns"
        )
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    # Adding just under half of the last kept bit, plus that bit itself, rounds to nearest even.
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> 16
    # Rounding could carry a NaN into infinity; keep it a NaN by its quiet bit.
    halves = np.where(np.isnan(array), (bits >> np.uint32(16)) | np.uint32(0x40), rounded)
    return halves.astype(NUMPY["BF16"])


def bf16_array(bits: Array) -> Array:
    """The array that BF16 bit patterns stand for, as `unpack` gives it."""
    bits = bits.astype(np.uint16, copy=False)
    dtype = bfloat16()
    return widen_bf16(bits) if dtype is None else bits.view(dtype)


def widen_bf16(bits: Array) -> Array:
    """The float32 array that BF16 bit patterns stand for."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


# BYTES

_LENGTH = struct.Struct("<I")


class _Prefixes(dict[int, bytes]):
    """Length prefixes by length, made once each; small, as real texts are short."""

    def __missing__(self, length: int) -> bytes:
        prefix = _LENGTH.pack(length)
        if length < 65536:
            self[length] = prefix
        return prefix


_prefix_of = _Prefixes().__getitem__


def pack_bytes(array: Array) -> bytes:
    """The wire bytes of a BYTES tensor, from an object, `S`, `U` or StringDType array.

    Text is encoded as UTF-8. Note that numpy drops trailing NUL bytes of `S` elements; use an
    object array of `bytes` to keep them.

    Raises:
        ValueError: an element is neither text nor bytes.
    """
    kind = array.dtype.kind
    if kind not in "OSUT":
        raise ValueError(f"dtype {array.dtype} does not fit BYTES; expected bytes or str elements")
    items: list[Any] = array.ravel().tolist()
    try:
        packed = _join(items)
    except TypeError:  # not all are bytes
        packed = None
    return _join(_encoded(items)) or b"" if packed is None else packed


def _join(items: list[bytes]) -> bytes | None:
    """The items with their lengths in front, or None when `len` does not tell their sizes.

    Everything that is done for each item is done by one call for all.
    """
    if not items:
        return b""
    lengths = list(map(len, items))
    if lengths.count(lengths[0]) == len(lengths):
        prefix = _prefix_of(lengths[0])
        packed = b"".join((prefix, prefix.join(items)))
        size = lengths[0] * len(items)
    else:
        parts = [b""] * (2 * len(items))
        parts[::2] = map(_prefix_of, lengths)
        parts[1::2] = items
        packed = b"".join(parts)
        size = sum(lengths)
    return packed if len(packed) == size + 4 * len(items) else None


def _encoded(items: list[Any]) -> list[bytes]:
    kinds = set(map(type, items))
    if kinds <= {bytes}:
        return items
    if kinds == {str}:
        return list(map(str.encode, items))
    return [_element(item, index) for index, item in enumerate(items)]


def _element(item: Any, index: int) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise ValueError(
        f"element {index} of a BYTES tensor is {type(item).__name__} {item!r:.60}; "
        "expected bytes or str"
    )


def unpack_bytes(data: Buffer, count: int) -> Array:
    """A 1-d object array of `count` bytes elements read from the wire.

    Raises:
        ValueError: the data holds fewer or more elements, or ends inside one.
    """
    if count * 4 > len(data):
        raise ValueError(f"{len(data)} bytes can't hold {count} BYTES elements")
    if count == 0:
        if len(data):
            raise ValueError(f"{len(data)} bytes for a BYTES tensor without elements")
        return np.empty(0, object)
    array = _split_equal(data, count)
    return np.fromiter(_split(bytes(data), count), object, count) if array is None else array


def leading_bytes(data: Buffer, count: int) -> int:
    """How many bytes the first `count` BYTES elements take up, with their lengths.

    Raises:
        ValueError: the data holds fewer elements.
    """
    position = 0
    try:
        for _ in repeat(None, count):
            position += 4 + _LENGTH.unpack_from(data, position)[0]
    except struct.error:
        position = len(data) + 1
    if position > len(data):
        raise ValueError(f"{len(data)} bytes do not hold {count} BYTES elements")
    return position


def unpack_all_bytes(data: Buffer) -> Array:
    """A 1-d object array of however many bytes elements wire data holds.

    Raises:
        ValueError: the data ends inside an element.
    """
    if len(data) < 4:
        return unpack_bytes(data, 1 if len(data) else 0)
    count, rest = divmod(len(data), 4 + _LENGTH.unpack_from(data)[0])
    array = _split_equal(data, count) if count and not rest else None
    if array is not None:
        return array
    data = bytes(data)
    length_at = _LENGTH.unpack_from
    position, items = 0, []
    while position + 4 <= len(data):
        start = position + 4
        position = start + length_at(data, position)[0]
        items.append(data[start:position])
    if position != len(data):
        raise ValueError(f"BYTES data of {len(data)} bytes ends inside element {len(items) - 1}")
    return np.fromiter(items, object, len(items))


def _split_equal(data: Buffer, count: int) -> Array | None:
    """The elements when all have one length, found and cut by numpy; else None."""
    length, rest = divmod(len(data) - 4 * count, count)
    if rest or length == 0 or _LENGTH.unpack_from(data)[0] != length:
        return None
    # Void, not S, from which numpy would strip trailing NUL bytes.
    rows = np.frombuffer(data, np.dtype([("length", "<u4"), ("payload", f"V{length}")]))
    if not (rows["length"] == length).all():
        return None
    return rows["payload"].astype(object)


def _split(data: bytes, count: int) -> list[bytes]:
    length_at = _LENGTH.unpack_from
    position = 0
    try:
        items = [
            data[(start := position + 4) : (position := start + length_at(data, position)[0])]
            for _ in repeat(None, count)
        ]
    except struct.error:
        position, items = len(data) + 1, []
    if position > len(data):
        raise ValueError(f"BYTES data of {len(data)} bytes ends inside one of {count} elements")
    if position < len(data):
        raise ValueError(f"{len(data) - position} bytes follow the last of {count} BYTES elements")
    return items
