"""Items of `map`, checked against the model's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...datatypes import datatype_of
from ...errors import InferenceServerException
from ..model_spec import ModelSpec
from ..requests import Tensor, TensorLike, as_array

#: Name, dtype, shape without the batch dimension, and the datatype where a `Tensor` states it.
Part: TypeAlias = "tuple[str, np.dtype[Any], tuple[int, ...], tuple[str, bool] | None]"
#: Name, dtype and shape of an input as it was given.
GivenPart: TypeAlias = "tuple[str, np.dtype[Any], tuple[int, ...]]"
#: Items of one form can be stacked.
Form: TypeAlias = "tuple[Part, ...]"


class Kind(NamedTuple):
    """What items have in common whose inputs have the same names, dtypes and shapes.

    Attributes:
        rows: rows of a batch; 0 for a row, which has no batch dimension.
        form: the same for items that can be stacked; None for those that can't.
        byte_size: bytes of an item's arrays; of objects, of the references to them.
    """

    rows: int
    form: Form | None
    byte_size: int


class InvalidItem(InferenceServerException):
    """An item was not sent; `reason` is what is raised for it where errors are not kept."""

    reason: Exception

    @classmethod
    def of(cls, reason: Exception, index: int) -> InvalidItem:
        """Return the error of an item."""
        error = cls(str(reason))
        kind = TypeError if isinstance(reason, TypeError) else ValueError
        error.index, error.reason = index, kind(f"item {index}: {reason}")
        if not isinstance(reason, (TypeError, ValueError)):
            error.__cause__ = error.reason.__cause__ = reason
        return error


class ItemReader:
    """Makes inputs of what the iterable yields.

    Args:
        stacked: whether the first dimension of the model's inputs is the batch.
        cast: convert arrays of other datatypes; see `ModelSpec.check`.

    Attributes:
        kind: that of items like the last whose kind follows from their dtypes and shapes.
    """

    def __init__(self, spec: ModelSpec, stacked: bool, cast: bool) -> None:
        self._spec = spec
        self._stacked = stacked
        self._cast = cast
        self._only_name = ""
        # Most items are like the one before.
        self._last: tuple[GivenPart, ...] = ()
        self.kind = Kind(0, None, 0)

    def read(self, given: Any) -> tuple[Mapping[str, Any], Kind]:
        """Return the inputs of an item and their kind.

        The inputs are arrays by name; those of an item that is not stacked, whatever `infer` takes.

        Raises:
            Exception: the item is not what the model takes.
        """
        if type(given) is np.ndarray or not isinstance(given, (dict, Mapping)):
            inputs = self._only(given)
        else:
            inputs = given
        last = self._last
        if len(inputs) == len(last):
            for name, dtype, shape in last:
                array = inputs.get(name)
                if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                    break
            else:
                if last:
                    return dict(inputs), self.kind
        return self._check(inputs)

    def read_rows(self, given: list[Any]) -> dict[str, list[Any]] | None:
        """Return for each input the arrays of items, if all are rows like the last, else None."""
        names = [name for name, _, _ in self._last]
        if not names or self.kind.form is None or self.kind.rows:
            return None
        if type(given[0]) is np.ndarray and names == [self._only_name]:
            columns = {self._only_name: given}
        elif any(type(each) is not dict or len(each) != len(names) for each in given):
            return None
        else:
            columns = {name: [each.get(name) for each in given] for name in names}
        for name, dtype, shape in self._last:
            for array in columns[name]:
                if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                    return None
        return columns

    def _only(self, given: TensorLike) -> Mapping[str, TensorLike]:
        if not self._only_name:
            self._only_name = next(iter(self._spec.only_input((given,))))
        return {self._only_name: given}

    def _check(self, inputs: Mapping[str, TensorLike]) -> tuple[Mapping[str, Any], Kind]:
        rows = _rows(self._spec, inputs) if self._stacked else 0
        add = self._stacked and not rows
        given = {n: _add_batch(value) for n, value in inputs.items()} if add else inputs
        checked = self._spec.check(given, None, self._cast)
        if not self._stacked:
            return self._remember(inputs, checked, Kind(0, None, _byte_size(checked)))
        arrays: dict[str, Any] = {}
        form: list[Part] = []
        for name in self._spec.inputs:
            if name not in checked:
                continue
            tensor, value = checked[name], inputs[name]
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"input {name!r} lies in shared memory, which can't be stacked; use infer"
                )
            array = arrays[name] = tensor.array if rows else tensor.array[0, ...]
            shape = array.shape[1:] if rows else array.shape
            stated = isinstance(value, Tensor) or tensor.datatype == "BF16"
            binary = value.binary if isinstance(value, Tensor) else True
            form.append((name, array.dtype, shape, (tensor.datatype, binary) if stated else None))
        return self._remember(inputs, arrays, Kind(rows, tuple(form), _byte_size(arrays)))

    def _remember(
        self, given: Mapping[str, Any], inputs: Mapping[str, Any], kind: Kind
    ) -> tuple[Mapping[str, Any], Kind]:
        """Keep the kind of an item if it follows from the dtypes and shapes alone."""
        parts: list[GivenPart] = []
        for name, value in given.items():
            sent = getattr(inputs[name], "array", inputs[name])
            if (
                type(value) is not np.ndarray
                or value.dtype.kind not in "biuf"
                or value.dtype != sent.dtype
                # What is not stacked is sent as it was given.
                or (kind.form is None and not self._is_plain(name, value))
            ):
                return inputs, kind
            parts.append((name, value.dtype, value.shape))
        self._last, self.kind = tuple(parts), kind
        return inputs, kind

    def _is_plain(self, name: str, value: Any) -> bool:
        expected = self._spec.inputs.get(name)
        return expected is not None and datatype_of(value) == expected.datatype


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
