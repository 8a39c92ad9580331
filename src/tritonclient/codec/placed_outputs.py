"""`PlacedOutputs`: the outputs of a small gRPC response, read when they are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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


@final
class PlacedOutputs(Sequence[InferTensor]):
    """Outputs that lie at known places of a message, by places that many messages share.

    An output is copied when it is asked for, as an array or as a tensor; both have the same memory.
    Most programs ask for arrays alone. To make the tensors first was 5 to 7 % of a small call.

    Args:
        places: by the outputs' names, in their order.
    """

    __slots__ = ("_arrays", "_message", "_places", "_tensors")

    def __init__(self, places: Mapping[str, Place], message: bytearray) -> None:
        self._places = places
        self._message = message
        self._arrays: dict[str, tuple[Array, bytearray]] = {}  # with their data
        self._tensors: dict[str, InferTensor] | None = None

    @property
    def names(self) -> Collection[str]:
        """The names of the outputs, in their order."""
        return self._places

    def array(self, name: str) -> Array | None:
        """Return an output as an array, which is always the same; None if there is none.

        Raises:
            ValueError: its data are not those of its datatype and shape.
        """
        known = self._arrays.get(name)
        if known is not None:
            return known[0]
        found = self._places.get(name)
        if found is None:
            return None
        datatype, shape, dtype, part = found
        data: Any = self._message[part] if self._tensors is None else self._tensors[name].data
        # A view of memory of its own, which is aligned.
        array = unpack(data, datatype, shape) if dtype is None else ndarray(shape, dtype, data)
        self._arrays[name] = array, data
        return array

    def _made(self) -> dict[str, InferTensor]:
        if self._tensors is None:
            self._tensors = {
                name: InferTensor(name, datatype, shape, self._data(name, part))
                for name, (datatype, shape, _, part) in self._places.items()
            }
        return self._tensors

    def _data(self, name: str, part: slice) -> bytearray:
        known = self._arrays.get(name)
        return self._message[part] if known is None else known[1]

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> InferTensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[InferTensor, ...]: ...

    def __getitem__(self, index: int | slice) -> InferTensor | tuple[InferTensor, ...]:
        return tuple(self._made().values())[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, PlacedOutputs)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # their data may be changed

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)
