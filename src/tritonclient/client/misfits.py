"""What to do about an array that has another datatype or shape than a model expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from ..datatypes import DATATYPES, NUMPY
from .strange_values import is_number

#: Dimensions at most whose orders are tried: there are 24 of four.
_MAX_TRANSPOSED = 4


def numpy_name(datatype: str) -> str:
    """Return how programs write the dtype of a datatype, such as "np.float32"."""
    dtype = NUMPY.get(datatype)
    return "object" if dtype is None else "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def datatype_hint(given: str, expected: str) -> str:
    """Return how a tensor becomes one of another datatype, for the error of a server, or ""."""
    if expected not in DATATYPES:
        return ""
    if expected == "BYTES":
        return f"BYTES are sent from arrays of str or bytes; {_as_bytes(given)}"
    if expected == "BF16":
        return (
            "Tensor(array, 'BF16') sends an array of float32 so, and client.model(name) any floats"
        )
    if given == "BYTES":
        return (
            f"array.astype({numpy_name(expected)}) reads numbers from texts; "
            f"np.frombuffer(data, {numpy_name(expected)}) takes the bytes of numbers"
        )
    name = numpy_name(expected)
    return f"array.astype({name}) converts it; client.model(name, cast=True) does so for each call"


def _as_bytes(given: str) -> str:
    """Return how numbers of a datatype become BYTES; those of one byte may be a file's."""
    texts = "array.astype(str) makes texts of numbers"
    return (
        f"[bytes(data)] is a file or buffer as one element; {texts}" if given == "UINT8" else texts
    )


def dtype_hint(value: Any, dtype: np.dtype[Any], expected: str, casts: bool) -> str:
    """Return how an array becomes one of a datatype, or "".

    Args:
        value: what the array was made of.
        casts: whether `cast=True` would convert it.
    """
    if expected not in DATATYPES:
        return ""  # the server described its model in a way of its own
    name = "np.float32" if expected == "BF16" else numpy_name(expected)
    if expected == "BYTES":
        return f"; {_as_bytes(dtype.name.upper())}" if is_number(dtype) else ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"; np.frombuffer(data, {name}) takes the bytes of numbers"
    if is_number(dtype):
        cast = ", or cast=True for the model" if casts else ""
        return f"; array.astype({name}) converts it{cast}"
    if dtype.kind in "mM":
        return f"; array.astype(np.int64).astype({name}) gives counts of its unit"
    return "; array.real is the real part" if dtype.kind == "c" else ""


def shape_hint(expected: Sequence[int], given: Sequence[int], largest_batch: int | None) -> str:
    """Return how an array gets the shape that a model expects, or "".

    Args:
        expected: the shape, -1 for a dimension of any size.
        largest_batch: of a model whose first dimension is the batch; 0 or None for others.
    """
    if not given and len(expected) == 1:
        return "a list has one dimension: [value]"
    if len(given) == len(expected) - 1:
        if largest_batch:
            return "the first dimension is the batch: array[None] adds it"
        return "array[None] adds a dimension in front"
    if len(given) != len(expected):
        reshaping = _reshaping(expected, given)
        return f"it has {_dimensions(len(given))}, expected {len(expected)}{reshaping}"
    for index, (wanted, size) in enumerate(zip(expected, given, strict=True)):
        if wanted not in (-1, size):
            return f"dimension {index} is {size}, expected {wanted}{_transposing(expected, given)}"
    return ""


def _reshaping(expected: Sequence[int], given: Sequence[int]) -> str:
    """Return how an array gets as many dimensions as are expected, if that is clear, or ""."""
    free = expected.count(-1)
    fixed = math.prod(size for size in expected if size != -1)
    count = math.prod(given)
    if not fixed or free > 1 or (count % fixed if free else count != fixed):
        return ""
    sizes = ", ".join(map(str, expected))
    return f"; array.reshape({sizes}) gives it that shape"


def _transposing(expected: Sequence[int], given: Sequence[int]) -> str:
    """Return which order of an array's dimensions is the one expected, or ""."""
    if len(given) > _MAX_TRANSPOSED:
        return ""
    for order in permutations(range(len(given))):
        if all(wanted in (-1, given[axis]) for wanted, axis in zip(expected, order, strict=True)):
            axes = ", ".join(map(str, order))
            return f"; array.transpose({axes}) puts its dimensions in that order"
    return ""


def _dimensions(count: int) -> str:
    return f"{count} dimension{'' if count == 1 else 's'}"
