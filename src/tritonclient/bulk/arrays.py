"""Arrow columns into arrays, and arrays into Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from ..datatypes import NUMPY, Array

#: Arrow makes its functions when it is imported, so that no type checker knows them.
pc: Any = compute

#: Arrow types of the elements of tensors.
LEAVES = {
    "BOOL": pa.bool_(),
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "UINT8": pa.uint8(),
    "UINT16": pa.uint16(),
    "UINT32": pa.uint32(),
    "UINT64": pa.uint64(),
    "FP16": pa.float16(),
    "BF16": pa.float32(),
    "FP32": pa.float32(),
    "FP64": pa.float64(),
    "BYTES": pa.binary(),
}


class Misfit(ValueError):
    """Values that make no tensor; the message says which is at fault."""


def leaf_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the elements of lists, however deep, without their encoding."""
    while True:
        if _is_encoded(kind) or _is_list(kind):
            kind = kind.value_type
        elif _has_storage(kind):
            kind = kind.storage_type
        else:
            return kind


def _is_encoded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind))


def _has_storage(kind: pa.DataType) -> bool:
    """True for an extension whose storage has the values in their order."""
    return isinstance(kind, pa.BaseExtensionType) and not getattr(kind, "permutation", None)


def _decoded(column: pa.Array) -> pa.Array:
    """Return the values of dictionaries, of runs and of extensions."""
    while True:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        elif pa.types.is_run_end_encoded(column.type):
            column = pc.run_end_decode(column)
        elif _has_storage(column.type):
            column = column.storage
        else:
            return column


def depth(kind: pa.DataType) -> int:
    """Return how deep lists nest."""
    levels = 0
    while _is_list(kind):
        kind, levels = kind.value_type, levels + 1
    return levels


def with_leaf(kind: pa.DataType, leaf: pa.DataType) -> pa.DataType:
    """Return a type of lists with elements of another type."""
    return pa.list_(with_leaf(kind.value_type, leaf)) if _is_list(kind) else leaf


def common_type(kinds: Iterable[pa.DataType]) -> pa.DataType | None:
    """Return the type that holds the values of all types, or None; dictionaries are decoded."""
    schemas = [pa.schema([("", decoded(kind))]) for kind in set(kinds)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def decoded(kind: pa.DataType) -> pa.DataType:
    """Return a type without dictionaries and views, which files and their parts can't all hold."""
    if pa.types.is_dictionary(kind):
        return decoded(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(decoded(field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(decoded(kind.value_type)), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.large_list if pa.types.is_large_list(kind) else pa.list_
        return make(kind.value_field.with_type(decoded(kind.value_type)))
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def text_type(datatype: str) -> pa.DataType:
    """Return the type as which the elements of a tensor are read from text files."""
    if datatype == "BYTES":
        return pa.string()
    kind = NUMPY[datatype].kind if datatype != "BF16" else "f"
    return {"b": pa.bool_(), "f": pa.float64(), "i": pa.int64(), "u": pa.uint64()}[kind]


def fits_type(kind: pa.DataType, datatype: str) -> bool:
    """True if elements of an Arrow type can become a tensor of a datatype."""
    leaf = leaf_type(kind)
    if pa.types.is_null(leaf):
        return True  # rows of nulls fail one by one
    if datatype == "BYTES":
        return is_text(leaf) or is_bytes(leaf) or pa.types.is_fixed_size_binary(leaf)
    if pa.types.is_boolean(leaf) or pa.types.is_integer(leaf):
        return True
    return bool(pa.types.is_floating(leaf)) and datatype in ("FP16", "BF16", "FP32", "FP64")


def is_text(kind: pa.DataType) -> bool:
    """True for columns of text."""
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in text)


def is_bytes(kind: pa.DataType) -> bool:
    """True for binary columns of any length."""
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in binary)


def to_array(column: pa.Array, datatype: str, shape: Sequence[int]) -> Array:
    """Return the array that a column makes, its first dimension being the rows.

    Args:
        column: scalars, or lists that nest.
        datatype: of the tensor; text becomes numbers where it wants numbers.
        shape: of one row; -1 for any size. Lists that do not nest as deep are reshaped.

    Raises:
        Misfit: nulls, lists of different lengths or of a wrong one, or text that is no number.
    """
    sizes = [len(column)]
    while True:
        column = _decoded(column)
        if column.null_count:
            raise Misfit("is null" if len(sizes) == 1 else "holds a null")
        if not _is_list(column.type):
            break
        lengths = pc.list_value_length(column)
        width = lengths[0].as_py() if len(lengths) else 0
        if not pc.all(pc.equal(lengths, width)).as_py() and len(lengths):
            raise Misfit("has lists of different lengths")
        sizes.append(width)
        column = column.flatten()
    return _leaves(column, datatype).reshape(_row_sizes(sizes, shape))


def _row_sizes(sizes: list[int], shape: Sequence[int]) -> list[int]:
    given, count = sizes[1:], prod(sizes[1:])
    same_depth = len(given) == len(shape)
    if same_depth and all(want in (-1, got) for want, got in zip(shape, given, strict=True)):
        return sizes
    fixed = prod(size for size in shape if size != -1)
    unknown = sum(size == -1 for size in shape)
    if not unknown and count == fixed and sizes[0]:
        return [sizes[0], *shape]
    if unknown == 1 and len(given) < 2 and fixed and count and count % fixed == 0:
        return [sizes[0], *(count // fixed if size == -1 else size for size in shape)]
    if not sizes[0]:
        return [0, *(max(size, 0) for size in shape)]
    raise Misfit(f"has the shape {given}, expected {list(shape)}")


def _leaves(column: pa.Array, datatype: str) -> Array:
    if datatype == "BYTES":
        return np.asarray(column.cast(pa.large_binary()).to_numpy(zero_copy_only=False), object)
    if is_text(column.type):
        try:
            column = pc.utf8_trim_whitespace(column).cast(text_type(datatype))
        except pa.ArrowException:
            text = column[0].as_py() if len(column) == 1 else ""
            raise Misfit(f"is {text!r:.60}, expected {datatype}") from None
    if datatype == "BF16" and not pa.types.is_null(column.type):
        column = column.cast(pa.float32(), safe=False)  # as for all floats, values are rounded
    if pa.types.is_null(column.type):
        return np.zeros(len(column), NUMPY.get(datatype, np.dtype(np.float32)))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def column_type(datatype: str, shape: Sequence[int]) -> pa.DataType:
    """Return the Arrow type of an output: scalars for one element per row, else lists that nest."""
    kind = LEAVES[datatype]
    for _ in row_shape(shape):
        kind = pa.list_(kind)
    return kind


def row_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one row's value, which is () for shapes such as [1]."""
    return () if prod(shape) == 1 and -1 not in shape else tuple(shape)


def to_column(array: Array, datatype: str, scalar: bool) -> pa.Array:
    """Return an array as an Arrow column, the first dimension being the rows."""
    sizes = array.shape[:1] if scalar else array.shape
    if datatype == "BF16":
        array = array.astype(np.float32, copy=False)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1), LEAVES[datatype])
    for depth in range(len(sizes) - 1, 0, -1):
        count = prod(sizes[:depth])
        offsets = np.arange(count + 1, dtype=np.int32) * np.int32(sizes[depth])
        flat = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return flat
