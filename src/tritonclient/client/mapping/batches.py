"""Items stacked into the inputs of one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..requests import Tensor
from .items import Form, InvalidItem, ItemReader

#: Bytes of tensors that one request may have, unless a single item has more.
MAX_REQUEST_BYTES = 32 << 20


class Batch:
    """Items that one request asks for.

    Attributes:
        positions: of the items that are sent, among all, from 0.
        inputs: their inputs.
        rows: the rows of each; 0 for a row without batch dimension.
        form: what the items have in common; see `Kind`.
        refused: the errors of items between them that are not sent.
        byte_size: bytes of the inputs.
    """

    __slots__ = ("byte_size", "form", "inputs", "positions", "refused", "rows")

    def __init__(
        self,
        form: Form | None = None,
        positions: Sequence[int] = (),
        inputs: Sequence[Mapping[str, Any]] = (),
        rows: Sequence[int] = (),
    ) -> None:
        self.form = form
        # A list for each, as an object for each item costs more than all else that is done to it.
        self.positions = list(positions)
        self.inputs = list(inputs)
        self.rows = list(rows)
        self.refused: list[InvalidItem] = []
        self.byte_size = 0

    def part(self, part: slice) -> Batch:
        """Return a batch of some of the items."""
        return Batch(self.form, self.positions[part], self.inputs[part], self.rows[part])

    def count_rows(self) -> int:
        """Return how many rows the request has."""
        return sum([rows or 1 for rows in self.rows])

    def stack(self) -> Mapping[str, Any]:
        """Return the inputs of the request."""
        if self.form is None:
            return self.inputs[0]
        single, only_rows = len(self.inputs) == 1, not any(self.rows)
        stacked: dict[str, Any] = {}
        for name, _, shape, stated in self.form:
            arrays = [each[name] for each in self.inputs]
            if single:
                array = arrays[0] if self.rows[0] else arrays[0][None]
            elif only_rows and shape:
                # Quicker than to stack arrays that have another dimension.
                array = np.concatenate(arrays).reshape((len(arrays), *shape))
            else:
                pairs = zip(arrays, self.rows, strict=True)
                array = np.concatenate([each if rows else each[None] for each, rows in pairs])
            stacked[name] = array if stated is None else Tensor(array, *stated)
        return stacked


class Batcher:
    """Groups items into batches, in their order.

    Args:
        size: rows of a request; 0 for a request for each item.

    Attributes:
        ready: batches to be sent.
        broken: whether an item was refused that ends everything.
    """

    def __init__(self, reader: ItemReader, size: int, keep: bool) -> None:
        self._reader = reader
        self._size = size
        self._keep = keep
        self._position = -1
        self._batch = Batch()
        self._rows = 0
        self.ready: deque[Batch] = deque()
        self.broken = False

    @property
    def filling(self) -> bool:
        """True while a batch is begun that is not ready."""
        return bool(self._batch.inputs or self._batch.refused)

    def add(self, given: Any) -> None:
        """Take the next item in; it may complete batches."""
        self._position += 1
        try:
            inputs, kind = self._reader.read(given)
        except Exception as error:  # also of a mapping or an array of the caller's own
            self._refuse(error)
            return
        rows, form, byte_size = kind
        batch = self._batch
        if batch.inputs:
            if (
                (form is not batch.form and form != batch.form)
                or self._rows + (rows or 1) > self._size
                or batch.byte_size + byte_size > MAX_REQUEST_BYTES
            ):
                self.flush()
                batch = self._batch
                batch.form = form
        else:
            batch.form = form
        batch.positions.append(self._position)
        batch.inputs.append(inputs)
        batch.rows.append(rows)
        batch.byte_size += byte_size
        self._rows += rows or 1
        if self._rows >= self._size or batch.byte_size >= MAX_REQUEST_BYTES:
            self.flush()

    def _refuse(self, reason: Exception) -> None:
        self._batch.refused.append(InvalidItem.of(reason, self._position))
        self.broken = not self._keep
        if self.broken or len(self._batch.refused) >= max(self._size, 1):
            self.flush()

    def flush(self) -> None:
        """Make a batch ready of the items that wait for others."""
        if self.filling:
            self.ready.append(self._batch)
            self._batch = Batch()
            self._rows = 0
