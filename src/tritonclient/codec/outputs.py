"""Outputs of responses by their names, as arrays and as tensors."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final, overload

import numpy as np
from numpy import ndarray

from ..datatypes import Array, unpack, view_dtype
from ..messages import InferTensor


class Place(NamedTuple):
    """The form of an output, and where its data are in a message.

    Attributes:
        dtype: of the array, if its memory is the data as they are; otherwise None.
    """

    datatype: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    part: slice


def place(tensor: InferTensor, part: slice) -> Place:
    """Return the place of an output whose data were found in this part of a message."""
    data = tensor.data
    assert data is not None
    dtype = view_dtype(tensor.datatype)
    if dtype is not None:
        try:
            if ndarray(tensor.shape, dtype, data).nbytes != len(data):
                dtype = None
        except (TypeError, ValueError):  # numpy has no such arrays, which `unpack` explains
            dtype = None
    return Place(tensor.datatype, tensor.shape, dtype, part)


class Outputs(ABC):
    """Outputs by their names, whose arrays are made when they are asked for. Thread-safe."""

    __slots__ = ("_arrays", "_by_name")

    # Set by the classes below: to call a method for it was 1 % of a small call.
    _arrays: dict[str, Array]
    _by_name: Mapping[str, Any]  # what the outputs are read from, in their order

    @property
    def names(self) -> Collection[str]:
        """The names of the outputs, in their order."""
        return self._by_name

    def array(self, name: str) -> Array | None:
        """Return an output as an array, which is always the same; None if its data are not here.

        Raises:
            ValueError: its data are not those of its datatype and shape.
        """
        array = self._arrays.get(name)
        if array is None:
            array = self._read(name)
            if array is not None:
                return self._arrays.setdefault(name, array)
        return array

    def keep(self, name: str, array: Array) -> Array:
        """Let this be the array of an output, unless another is; return the one that is."""
        return self._arrays.setdefault(name, array)

    @abstractmethod
    def tensor(self, name: str) -> InferTensor | None:
        """Return an output; None if there is none of this name."""

    @abstractmethod
    def _read(self, name: str) -> Array | None:
        """Make the array of an output; None if its data are not here."""


@final
class PlacedOutputs(Outputs, Sequence[InferTensor]):
    """Outputs that lie at known places of a message, by places that many messages share.

    The data of an output are copied once, when it is asked for; its array and its tensors share
    them. Most programs ask for arrays alone. To make the tensors first was 3 to 4 % of a small
    call.

    Args:
        places: by the outputs' names, in their order.
    """

    __slots__ = ("_data", "_message")

    _by_name: Mapping[str, Place]

    def __init__(self, places: Mapping[str, Place], message: bytearray) -> None:
        self._by_name = places
        self._arrays = {}
        self._message: bytearray | bytes = message
        self._data: dict[str, Any] = {}

    def _read(self, name: str) -> Array | None:
        found = self._by_name.get(name)
        if found is None:
            return None
        datatype, shape, dtype, part = found
        data = self._copied(name, part)
        # A view of memory of its own, which is aligned.
        return unpack(data, datatype, shape) if dtype is None else ndarray(shape, dtype, data)

    def tensor(self, name: str) -> InferTensor | None:
        found = self._by_name.get(name)
        return None if found is None else self._tensor(name, found)

    def _tensor(self, name: str, place: Place) -> InferTensor:
        return InferTensor(name, place.datatype, place.shape, self._copied(name, place.part))

    def _copied(self, name: str, part: slice) -> Any:
        # One call decides, so that threads get the same.
        data = self._data.setdefault(name, self._message[part])
        if len(self._data) == len(self._by_name):
            self._message = b""
        return data

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[InferTensor]:
        return itertools.starmap(self._tensor, self._by_name.items())

    @overload
    def __getitem__(self, index: int) -> InferTensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[InferTensor, ...]: ...

    def __getitem__(self, index: int | slice) -> InferTensor | tuple[InferTensor, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, PlacedOutputs)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # their data may be changed

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


class NamedOutputs(Outputs):
    """Outputs that came as tensors."""

    __slots__ = ()

    _by_name: Mapping[str, InferTensor]

    def __init__(self, tensors: Iterable[InferTensor]) -> None:
        self._by_name = {tensor.name: tensor for tensor in tensors}
        self._arrays = {}

    def _read(self, name: str) -> Array | None:
        tensor = self._by_name.get(name)
        if tensor is None or tensor.data is None:
            return None
        return unpack(tensor.data, tensor.datatype, tensor.shape)

    def tensor(self, name: str) -> InferTensor | None:
        return self._by_name.get(name)
