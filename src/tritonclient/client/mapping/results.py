"""`MapResult`: the result of one item, cut from that of a request."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from types import EllipsisType
from typing import Any, TypeAlias

from ...codec.outputs import Outputs
from ...datatypes import Array, pack
from ...errors import ProtocolError
from ...messages import InferResponse, InferTensor
from ..results import InferResult
from .batches import Batch

#: Which part of a request's outputs is an item's: a row, rows, or all of it.
Rows: TypeAlias = "int | slice | EllipsisType"


class MapResult(InferResult):
    """The result of one item of `map`.

    The result of a row has no batch dimension. Arrays are views of those of the whole request,
    which stay in memory as long as one of its results does.

    Attributes:
        index: the position of the item among all, from 0.
    """

    __slots__ = ("_rows", "_sliced", "_whole", "index")

    def __init__(self, index: int, whole: InferResult, rows: Rows = ...) -> None:
        # Nothing more, as there is one for each row.
        self.index = index
        self._whole = whole
        self._rows = rows

    @property
    def _outputs(self) -> Outputs:  # type: ignore[override]
        return self._whole._outputs

    @property
    def _tensors(self) -> dict[str, InferTensor]:
        if not hasattr(self, "_sliced"):
            self._sliced = {name: self._slice(name) for name in self._whole}
        return self._sliced

    def _find(self, name: str) -> InferTensor | None:
        return self._tensors.get(name)

    @property
    def _response(self) -> InferResponse:  # type: ignore[override]
        return self._whole._response._replace(outputs=tuple(self._tensors.values()))

    @property
    def _endpoint(self) -> str:  # type: ignore[override]
        return self._whole._endpoint

    @property
    def _requested(self) -> Sequence[Any]:  # type: ignore[override]
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        make, arguments = super().__reduce__()
        return MapResult, (self.index, make(*arguments))

    def __getitem__(self, name: str) -> Array:
        array = self._whole[name]
        if self._rows is ...:
            return array
        # The ellipsis keeps a scalar an array.
        part: Array = array[self._rows, ...]
        return part

    def _slice(self, name: str) -> InferTensor:
        tensor = self._whole.output(name)
        if self._rows is ...:
            return tensor
        array = self[name]
        return tensor._replace(shape=array.shape, data=pack(array, tensor.datatype))


def whole_of(result: MapResult) -> InferResult:
    """Return the result of the request that a result is part of."""
    return result._whole


def cut(whole: InferResult, batch: Batch) -> list[MapResult]:
    """Return the results of a batch's items from that of its request.

    Raises:
        ProtocolError: an output does not have the rows that were sent.
    """
    positions = batch.positions
    if len(positions) == 1 and (batch.rows[0] or batch.form is None):
        return [MapResult(positions[0], whole)]
    count = batch.count_rows()
    for tensor in whole._response.outputs:
        if not tensor.shape or tensor.shape[0] != count:
            raise ProtocolError(
                f"output {tensor.name!r} has the shape {list(tensor.shape)}, but the request had "
                f"{count} rows; is the first dimension of the model's outputs the batch?",
                endpoint=whole._endpoint,
                model=whole.model_name,
            )
    if not any(batch.rows):
        return [*map(MapResult, positions, repeat(whole), range(count))]
    parts: list[MapResult] = []
    start = 0
    for position, rows in zip(positions, batch.rows, strict=True):
        parts.append(MapResult(position, whole, slice(start, start + rows) if rows else start))
        start += rows or 1
    return parts
