"""Items of `map`, checked against the model's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...errors import InferenceServerException
from ..model_spec import ModelSpec
from ..requests import Tensor, TensorLike, as_array

#: Name, dtype, shape without the batch dimension, and the datatype where a `Tensor` states it.
Part: TypeAlias = "tuple[str, np.dtype[Any], tuple[int, ...], tuple[str, bool] | None]"
#: Items of one form can be stacked.
Form: TypeAlias = "tuple[Part, ...]"
_MAX_REMEMBERED = 256


class Item(NamedTuple):
    """An item that can be sent.

    Attributes:
        position: among all items, from 0.
        inputs: by name an array; in an item that is not stacked whatever `infer` takes.
        rows: rows of a batch; 0 for a row, which has no batch dimension.
        form: what it has in common with items that it can be stacked with; None for none.
        byte_size: bytes of its arrays; of objects, of the references to them.
    """

    position: int
    inputs: Mapping[str, Any]
    rows: int = 0
    form: Form | None = None
    byte_size: int = 0


class InvalidItem(InferenceServerException):
    """An item was not sent; `reason` is what is raised for it where errors are not kept."""

    reason: Exception

    @classmethod
    def of(cls, reason: Exception, index: int) -> InvalidItem:
        """Return the error of an item."""
        error = cls(str(reason))
        error.index, error.reason = index, type(reason)(f"item {index}: {reason}")
        return error


class ItemReader:
    """Makes `Item`s of what the iterable yields.

    Args:
        stacked: whether the first dimension of the model's inputs is the batch.
        cast: convert arrays of other datatypes; see `ModelSpec.check`.
    """

    def __init__(self, spec: ModelSpec, stacked: bool, cast: bool) -> None:
        self._spec = spec
        self._stacked = stacked
        self._cast = cast
        # Forms that were checked; most items have the form of the one before.
        self._known: dict[Any, tuple[int, Form | None]] = {}

    def read(self, index: int, given: Any) -> Item:
        """Return an item.

        Raises:
            InvalidItem: it is not what the model takes.
        """
        try:
            if type(given) is dict or isinstance(given, Mapping):
                inputs = given
            else:
                inputs = self._spec.only_input((given,))
            key = _key(inputs)
            if key is not None and (known := self._known.get(key)) is not None:
                byte_size = sum([array.nbytes for array in inputs.values()])
                return Item(index, inputs, *known, byte_size)
            return self._check(index, inputs, key)
        except (TypeError, ValueError) as error:
            raise InvalidItem.of(error, index) from error

    def _check(self, index: int, inputs: Mapping[str, TensorLike], key: Any) -> Item:
        rows = _rows(self._spec, inputs) if self._stacked else 0
        add = self._stacked and not rows
        given = {n: _add_batch(value) for n, value in inputs.items()} if add else inputs
        checked = self._spec.check(given, None, self._cast)
        if not self._stacked:
            if all(_is_plain(tensor, inputs[name]) for name, tensor in checked.items()):
                self._remember(key, (0, None))
            return Item(index, checked, 0, None, _byte_size(checked))
        arrays, form, plain = {}, [], True
        for name in self._spec.inputs:
            if name not in checked:
                continue
            tensor, value = checked[name], inputs[name]
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"input {name!r} lies in shared memory, which can't be stacked; use infer"
                )
            array = arrays[name] = tensor.array if rows else tensor.array[0, ...]
            plain = plain and getattr(value, "dtype", None) == array.dtype
            stated = isinstance(value, Tensor) or tensor.datatype == "BF16"
            binary = value.binary if isinstance(value, Tensor) else True
            shape = array.shape[1:] if rows else array.shape
            form.append((name, array.dtype, shape, (tensor.datatype, binary) if stated else None))
        if plain:
            self._remember(key, (rows, tuple(form)))
        return Item(index, arrays, rows, tuple(form), _byte_size(arrays))

    def _remember(self, key: Any, value: tuple[int, Form | None]) -> None:
        if key is None:
            return
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[key] = value


def _key(inputs: Mapping[str, Any]) -> Any:
    """Return what tells all that is checked of inputs; None if their contents matter too."""
    key = []
    for name, array in inputs.items():
        if type(array) is not np.ndarray or array.dtype.hasobject or array.dtype.kind in "SU":
            return None
        key.append((name, array.dtype, array.shape))
    return tuple(key)


def _is_plain(tensor: Any, given: Any) -> bool:
    """True if an array is sent as it was given, also without its datatype."""
    return (
        isinstance(tensor, Tensor)
        and tensor.datatype != "BF16"
        and getattr(given, "dtype", None) == tensor.array.dtype
    )


def _byte_size(inputs: Mapping[str, Any]) -> int:
    return sum([int(getattr(getattr(v, "array", v), "nbytes", 0)) for v in inputs.values()])


def _rows(spec: ModelSpec, inputs: Mapping[str, TensorLike]) -> int:
    """Return the rows of a batch, or 0 for a row.

    Raises:
        ValueError: one input is a row and another is a batch, or their rows differ.
    """
    kinds: dict[str, tuple[int, ...]] = {}
    batches: list[str] = []
    for name, value in inputs.items():
        expected = spec.inputs.get(name)
        if expected is None or hasattr(value, "as_input"):
            return 1  # which the check of the model's interface refuses
        shape = _shape(value)
        if shape is None or len(shape) not in (len(expected.shape) - 1, len(expected.shape)):
            return 1
        kinds[name] = shape
        if len(shape) == len(expected.shape):
            batches.append(name)
    if not batches:
        return 0
    first = batches[0]
    for name, shape in kinds.items():
        if name not in batches:
            raise ValueError(
                f"input {first!r} is a batch of shape {list(kinds[first])}, but input {name!r} is "
                f"a row of shape {list(shape)}; give all inputs of an item with the batch "
                "dimension, or none"
            )
        if shape[0] != kinds[first][0]:
            raise ValueError(
                f"input {first!r} has {kinds[first][0]} rows, but input {name!r} has {shape[0]}"
            )
    if kinds[first][0] == 0:
        raise ValueError(f"input {first!r} of shape {list(kinds[first])} has no rows")
    return kinds[first][0]


def _shape(value: TensorLike) -> tuple[int, ...] | None:
    try:
        return as_array(value.array if isinstance(value, Tensor) else value).shape
    except (TypeError, ValueError):
        return None  # which the check of the model's interface refuses too


def _add_batch(value: TensorLike) -> TensorLike:
    if isinstance(value, Tensor):
        return Tensor(_add_batch(value.array), value.datatype, value.binary)
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__dlpack__"):
        return as_array(value)[None]
    return [value]
