"""What a function returned, as the outputs of its model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .... import datatypes
from ....client.strange_values import way_to_array
from ....datatypes import Array
from ...config.specification import Specification
from ...jobs.tensor import Tensor
from .tensor_types import TensorType

_EXPECTED = 'expected a dictionary of arrays by the names of outputs, such as {"Y": y}; '


def found_outputs(model: str, returned: Any) -> list[Tensor]:
    """Return the outputs of a function that declares none, for its configuration.

    Raises:
        ValueError: there are none, or they are no arrays; the message names the model.
    """
    try:
        found = _named(returned, ())
        if not found:
            raise ValueError(
                "the function returned no output when it was called with zeros; declare them: "
                'FunctionModel(function, outputs={"Y": "FP32"})'
            )
        return [_tensor(name, value, None) for name, value in found.items()]
    except (TypeError, ValueError) as error:
        raise ValueError(f"model '{model}': {error}") from error


def outputs_of(
    returned: Any,
    declared: Mapping[str, Specification],
    stated: Mapping[str, TensorType],
    rows: int,
    *,
    whole: bool,
) -> list[Tensor]:
    """Return the outputs that a function returned.

    Args:
        declared: the outputs in the configuration of the model.
        stated: the types that were given for outputs, whose shapes are checked.
        rows: the first dimension of each output; 0 for any.
        whole: True if each declared output must be there.

    Raises:
        TypeError, ValueError: they are not those that the model declares.
    """
    found = _named(returned, tuple(declared))
    for name in found:
        if name not in declared:
            raise ValueError(
                f"the function returned the output {name!r}, which is not one of "
                f"{', '.join(map(repr, declared))}"
            )
    missing = [name for name in declared if name not in found] if whole else []
    if missing:
        raise ValueError(
            f"the function returned no output {missing[0]!r}; expected "
            f"{', '.join(map(repr, declared))}"
        )
    tensors = [_tensor(name, value, declared[name]) for name, value in found.items()]
    for tensor in tensors:
        shape = stated[tensor.name].shape if tensor.name in stated else None
        _check_shape(tensor, shape, rows)
    return tensors


def _named(returned: Any, declared: Sequence[str]) -> dict[str, Any]:
    """Return outputs by name; an array alone is the only declared output.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(returned, Mapping):
        for name in returned:
            if not isinstance(name, str) or not name:
                raise TypeError(
                    f"the function returned the name {name!r:.60} of an output, expected str"
                )
        return dict(returned)
    if len(declared) == 1 and returned is not None and not inspect.isawaitable(returned):
        return {declared[0]: returned}
    raise TypeError(
        f"the function returned {type(returned).__name__}, {_EXPECTED}{_cure(returned)}"
    )


def _cure(returned: Any) -> str:
    """Return what to do about a value that is no dictionary."""
    if returned is None:
        return "does it lack a `return`?"
    if inspect.isawaitable(returned):
        return "make it a coroutine function, with async def and await"
    if hasattr(returned, "columns"):
        return "dict(frame) is one of the columns"
    return 'or name its only output: FunctionModel(function, outputs={"Y": "FP32"})'


def _tensor(name: str, value: Any, declared: Specification | None) -> Tensor:
    """Return an output; its datatype is the declared one if no value can overflow by that."""
    try:
        array, datatype = _array(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"output {name!r}: {error}") from error
    if declared is None or datatype == declared.datatype:
        return Tensor(name, datatype, array)
    wanted = datatypes.NUMPY.get(declared.datatype)
    if declared.datatype == "BF16" and datatype == "UINT16":
        return Tensor(name, "BF16", array)
    if wanted is None or declared.datatype == "BF16" or not _converts(array.dtype, wanted):
        raise ValueError(
            f"output {name!r} is {datatype}, but the model declares {declared.datatype}; convert "
            "it in the function"
        )
    return Tensor(name, declared.datatype, array.astype(wanted))


def _array(value: Any) -> tuple[Array, str]:
    """Return an array of at least one dimension, and its datatype.

    Raises:
        TypeError, ValueError: the value is no array of numbers or texts.
    """
    try:
        array = np.atleast_1d(np.asarray(value))
    except ValueError as error:  # of different lengths
        raise ValueError(f"{type(value).__name__} is not a rectangular array: {error}") from error
    if isinstance(value, np.ma.MaskedArray) and (masked := np.count_nonzero(value.mask)):
        raise ValueError(f"{masked} elements are masked; array.filled(value) replaces them")
    if array.dtype.kind in "OSUT":
        texts: Array = np.empty(array.size, object)
        texts[:] = [_bytes(each, index) for index, each in enumerate(array.ravel().tolist())]
        return texts.reshape(array.shape), "BYTES"
    datatype = datatypes.datatype_of(array)
    return (array.view(np.uint16) if datatype == "BF16" else array), datatype


def _bytes(element: Any, index: int) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, str):
        return element.encode()
    raise TypeError(
        f"element {index} is {type(element).__name__}, expected a number, str or bytes"
        f"{_way_to_array(element)}"
    )


def _way_to_array(value: Any) -> str:
    if value is None:
        return "; nan stands for a missing number, '' for a missing text"
    way = way_to_array(value)
    return "" if way.startswith("; expected") else way.replace("an input", "an output")


def _converts(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Return True if no value changes, apart from the precision of floating-point numbers."""
    return np.can_cast(dtype, wanted, "safe") or (dtype.kind == wanted.kind == "f")


def _check_shape(tensor: Tensor, stated: tuple[int, ...] | None, rows: int) -> None:
    """Raise ValueError for another shape than is stated; dimensions of 1 at its end may be missing.

    Args:
        stated: dimensions without the batch dimension, -1 for a variable one; None for any.
        rows: the batch dimension, 0 for none.
    """
    batch = (rows,) if rows else ()
    expected = (*batch, *(stated or ()))
    got = tensor.shape if stated is not None else tensor.shape[: len(batch)]
    if all(want in (-1, size) for want, size in zip_longest(expected, got, fillvalue=1)):
        return
    wanted = f"{list(expected)}" if stated is not None else f"{rows} rows"
    raise ValueError(
        f"output {tensor.name!r} has shape {list(tensor.shape)}, expected {wanted}"
        + (", whose first dimension is the batch" if rows else ", as the model declares")
    )
