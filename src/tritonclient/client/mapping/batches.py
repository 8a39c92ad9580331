"""Items stacked into the inputs of one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from ..requests import Tensor
from .items import Form, InvalidItem, ItemReader, Kind

#: Bytes of tensors that one request may have, unless a single item has more.
MAX_REQUEST_BYTES = 32 << 20


class Batch:
    """Items that one request asks for.

    Attributes:
        positions: of the items that are sent, among all, from 0.
        columns: for each input, the values of the items.
        rows: the rows of each; 0 for a row without batch dimension.
        form: what the items have in common; see `Kind`.
        refused: the errors of items between them that are not sent.
        byte_size: bytes of the inputs.
    """

    __slots__ = ("byte_size", "columns", "form", "positions", "refused", "rows")

    def __init__(
        self,
        form: Form | None = None,
        positions: Sequence[int] = (),
        columns: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        rows: Sequence[int] = (),
    ) -> None:
        self.form = form
        # A list for each, as an object for each item costs more than all else that is done to it.
        self.positions = list(positions)
        self.columns = {name: list(values) for name, values in columns.items()}
        self.rows = list(rows)
        self.refused: list[InvalidItem] = []
        self.byte_size = 0

    def __len__(self) -> int:
        """Return how many items are sent."""
        return len(self.positions)

    def part(self, part: slice) -> Batch:
        """Return a batch of some of the items."""
        columns = {name: values[part] for name, values in self.columns.items()}
        return Batch(self.form, self.positions[part], columns, self.rows[part])

    def count_rows(self) -> int:
        """Return how many rows the request has."""
        return sum(self.rows) + self.rows.count(0)

    def stack(self) -> Mapping[str, Any]:
        """Return the inputs of the request."""
        if self.form is None:
            return {name: values[0] for name, values in self.columns.items()}
        single, only_rows = len(self) == 1, not any(self.rows)
        stacked: dict[str, Any] = {}
        for name, _, shape, stated in self.form:
            arrays = self.columns[name]
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
        self._last = Kind(0, None, 0)
        self._batch = Batch()
        self._rows = 0
        self.ready: deque[Batch] = deque()
        self.broken = False

    @property
    def filling(self) -> bool:
        """True while a batch is begun that is not ready."""
        return bool(self._batch.positions or self._batch.refused)

    def read(self, items: Iterator[Any]) -> bool:
        """Take the next items in, until a batch may be ready; return False if there are no more.

        Raises:
            BaseException: what the iterator raised. Items that it gave before are not lost.
        """
        given: list[Any] = []
        most = self._count_room()
        try:
            given.extend(islice(items, most))
        finally:  # also after an error, as the list has what came before
            self._add_all(given)
        return len(given) == most

    def _count_room(self) -> int:
        """Return how many items like the last surely fit into the batch; 1 at least."""
        rows, form, byte_size = self._last
        if form is None or rows:
            return 1
        room = (MAX_REQUEST_BYTES - self._batch.byte_size) // max(byte_size, 1)
        return max(1, min(self._size - self._rows, room))

    def _add_all(self, given: list[Any]) -> None:
        columns = self._reader.read_rows(given) if len(given) > 1 else None
        batch, (_, form, byte_size) = self._batch, self._reader.kind
        if columns is None or (batch.positions and form != batch.form):
            for item in given:
                self.add(item)
                if self.broken:
                    break
            return
        first, count = self._position + 1, len(given)
        batch.form = form
        batch.positions += range(first, first + count)
        for name, values in columns.items():
            batch.columns.setdefault(name, []).extend(values)
        batch.rows += [0] * count
        self._position += count
        self._count(count, count * byte_size)

    def add(self, given: Any) -> None:
        """Take the next item in; it may complete batches."""
        self._position += 1
        try:
            inputs, kind = self._reader.read(given)
        except Exception as error:  # also of a mapping or an array of the caller's own
            self._refuse(error)
            return
        self._last = rows, form, byte_size = kind
        if self._batch.positions and (
            (form is not self._batch.form and form != self._batch.form)
            or self._rows + (rows or 1) > self._size
            or self._batch.byte_size + byte_size > MAX_REQUEST_BYTES
        ):
            self.flush()
        batch = self._batch
        batch.form = form
        batch.positions.append(self._position)
        for name, value in inputs.items():
            batch.columns.setdefault(name, []).append(value)
        batch.rows.append(rows)
        self._count(rows or 1, byte_size)

    def _count(self, rows: int, byte_size: int) -> None:
        """Count what was added, and make the batch ready if it is full."""
        self._rows += rows
        self._batch.byte_size += byte_size
        if self._rows >= self._size or self._batch.byte_size >= MAX_REQUEST_BYTES:
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
