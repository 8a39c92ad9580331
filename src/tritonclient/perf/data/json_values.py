"""Values in JSON data files as tensors, with errors that say where and what was expected."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from ...datatypes import NUMPY, Array, element_count, pack, unpack_all_bytes
from ..exits import SetupError
from .dataset import Tensor
from .model import TensorInfo

_EXAMPLES = {
    "BOOL": "[true, false]",
    "BYTES": '["text", "text"]',
}


class Place:
    """Where in a file something stands, for its errors."""

    def __init__(self, file: str, where: str, name: str) -> None:
        self.file, self.where, self.name = file, where, name

    def error(self, given: str, expected: str, example: str = "") -> SetupError:
        """An error about what stands here."""
        text = f"{self.file}: {self.where}, tensor {self.name!r}: {given}, expected {expected}"
        return SetupError(f"{text}; for example {example}" if example else text)


def read(place: Place, tensor: TensorInfo, value: Any, given_shape: tuple[int, ...]) -> Tensor:
    """A tensor of what a step gives for it.

    Args:
        given_shape: of --shape or the model, which may have open dimensions.
    """
    shape: tuple[int, ...] | None = None
    content = value
    if isinstance(value, dict) and "content" in value:
        content = value["content"]
        if "shape" in value:
            shape = _shape(place, tensor, value["shape"])
    if shape is None and -1 not in given_shape:
        shape = given_shape
    if isinstance(content, dict):
        return _binary(place, tensor, content, shape)
    if not isinstance(content, list):
        raise place.error(
            f"the value is {_brief(value)}",
            'a list, {"b64": ...} or {"content": ..., "shape": [...]}',
            _example(tensor),
        )
    flat, nested = _flatten(place, content)
    if shape is None:
        shape = _fit(place, tensor, nested, len(flat))
    count = element_count(shape)
    if len(flat) != count:
        raise place.error(
            f"it has {len(flat)} elements, which doesn't align with the shape {list(shape)}",
            f"{count} elements",
            _example(tensor),
        )
    return Tensor(tensor.datatype, shape, bytes(pack(_array(place, tensor, flat), tensor.datatype)))


def _shape(place: Place, tensor: TensorInfo, given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not all(type(size) is int and size >= 0 for size in given):
        raise place.error(f"shape is {_brief(given)}", "a list of whole numbers", '"shape": [2, 3]')
    fits = len(given) == len(tensor.shape) and all(
        size in (-1, asked) for size, asked in zip(tensor.shape, given, strict=True)
    )
    if not fits:
        raise place.error(
            f"shape is {given}, which is incompatible with the model's input shape",
            f"{list(tensor.shape)} (-1 is any size, the batch is left out)",
        )
    return tuple(given)


def _fit(
    place: Place, tensor: TensorInfo, nested: tuple[int, ...] | None, count: int
) -> tuple[int, ...]:
    """The shape of values whose model leaves dimensions open."""
    if nested is not None and len(nested) == len(tensor.shape):
        return _shape(place, tensor, list(nested))
    if tensor.shape.count(-1) == 1 and nested is None:
        known = -element_count(tensor.shape)
        if known and count % known == 0:
            return tuple(count // known if size == -1 else size for size in tensor.shape)
    raise place.error(
        f"the model's shape {list(tensor.shape)} contains dynamic shape, provide shapes",
        'nested lists, "shape" or --shape',
        f'{{"content": [...], "shape": {[1 if s == -1 else s for s in tensor.shape]}}}',
    )


def _flatten(place: Place, values: list[Any]) -> tuple[list[Any], tuple[int, ...] | None]:
    """Nested lists made flat, and their shape; None for a list that is flat already."""
    shape = [len(values)]
    while values and isinstance(values[0], list):
        length = len(values[0])
        for row in values:
            if not isinstance(row, list) or len(row) != length:
                raise place.error("nested lists have different lengths", "rows of one length")
        values = [item for row in values for item in row]
        shape.append(length)
    return values, tuple(shape) if len(shape) > 1 else None


def _binary(
    place: Place, tensor: TensorInfo, content: dict[str, Any], shape: tuple[int, ...] | None
) -> Tensor:
    text = content.get("b64")
    if not isinstance(text, str):
        raise place.error(f"the value is {_brief(content)}", "base64 text", '{"b64": "AAAAAA=="}')
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise place.error(f"b64 can't be decoded ({error})", "base64 text") from None
    return from_bytes(place, tensor, data, shape)


def from_bytes(
    place: Place, tensor: TensorInfo, data: bytes, shape: tuple[int, ...] | None
) -> Tensor:
    """A tensor of wire bytes, whose size is checked."""
    if tensor.datatype == "BYTES":
        try:
            count = len(unpack_all_bytes(data))
        except ValueError as error:
            raise place.error(str(error), "each element behind its length of 4 bytes") from None
    else:
        size = NUMPY[tensor.datatype].itemsize
        count, rest = divmod(len(data), size)
        if rest:
            raise place.error(f"it has {len(data)} bytes", f"a multiple of {size} bytes")
    if shape is None:
        shape = _fit(place, tensor, None, count)
    if count != element_count(shape):
        raise place.error(
            f"it has {len(data)} bytes ({count} elements), which doesn't align with the shape "
            f"{list(shape)}",
            f"{element_count(shape)} elements",
        )
    return Tensor(tensor.datatype, shape, data)


def _array(place: Place, tensor: TensorInfo, values: list[Any]) -> Array:
    datatype = tensor.datatype
    array: Array
    if datatype == "BYTES":
        _all(place, tensor, values, (str,), "texts")
        array = np.empty(len(values), object)
        array[:] = [value.encode("utf-8", "surrogatepass") for value in values]
        return array
    if datatype == "BOOL":
        # 0 and 1 are unambiguous as well.
        bad = [each for each in values if type(each) is not bool and each not in (0, 1)]
        if bad:
            raise place.error(f"it holds {_brief(bad[0])}", "true or false", _example(tensor))
        return np.array(values, bool)
    dtype = NUMPY[datatype]
    if datatype != "BF16" and dtype.kind != "f":
        _all(place, tensor, values, (int,), "whole numbers")
        limits = np.iinfo(dtype)
        for value in values:
            if not limits.min <= value <= limits.max:
                raise place.error(
                    f"it holds {value}", f"{datatype} from {limits.min} to {limits.max}"
                )
        return np.array(values, dtype)
    _all(place, tensor, values, (int, float), "numbers")
    with np.errstate(over="ignore"):
        array = np.array([float(value) for value in values], np.float32 if datatype == "BF16"
                         else dtype)  # fmt: skip
    for value, stored in zip(values, array.tolist(), strict=True):
        if math.isfinite(value) and not math.isfinite(stored):
            raise place.error(f"it holds {value}", f"a number that {datatype} can hold")
    return array


def _all(
    place: Place, tensor: TensorInfo, values: list[Any], kinds: tuple[type, ...], what: str
) -> None:
    for value in values:
        if type(value) not in kinds:
            raise place.error(
                f"it holds {_brief(value)}", f"{what} for {tensor.datatype}", _example(tensor)
            )


def _example(tensor: TensorInfo) -> str:
    values = _EXAMPLES.get(tensor.datatype)
    if values is None:
        decimal = tensor.datatype.startswith(("FP", "BF"))
        values = "[0.5, 1]" if decimal else "[1, 2]"
    return f'"{tensor.name}": {values}'


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
