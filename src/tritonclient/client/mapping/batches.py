"""Items stacked into the inputs of one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..requests import Tensor
from .items import Form, InvalidItem, Item, ItemReader

#: Bytes of tensors that one request may have, unless a single item has more.
MAX_REQUEST_BYTES = 32 << 20


class Batch:
    """Items that one request asks for.

    Attributes:
        items: those that are sent.
        refused: the errors of items between them that are not sent.
        byte_size: bytes of the tensors of `items`.
    """

    __slots__ = ("byte_size", "items", "refused")

    def __init__(
        self, items: Sequence[Item], refused: Sequence[InvalidItem] = (), byte_size: int = 0
    ) -> None:
        self.items = items
        self.refused = refused
        self.byte_size = byte_size


def stack(items: Sequence[Item]) -> Mapping[str, Any]:
    """Return the inputs of a request for items of one form."""
    first = items[0]
    if first.form is None:
        return first.inputs
    inputs: dict[str, Any] = {}
    only_rows = not any(item.rows for item in items)
    for name, _, shape, stated in first.form:
        arrays = [item.inputs[name] for item in items]
        if len(arrays) == 1:
            array = arrays[0] if first.rows else arrays[0][None]
        elif only_rows and shape:
            # Quicker than to stack arrays that have another dimension.
            array = np.concatenate(arrays).reshape((len(arrays), *shape))
        else:
            array = np.concatenate(
                [a if i.rows else a[None] for a, i in zip(arrays, items, strict=True)]
            )
        inputs[name] = array if stated is None else Tensor(array, *stated)
    return inputs


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
        self._index = 0
        self._items: list[Item] = []
        self._refused: list[InvalidItem] = []
        self._form: Form | None = None
        self._rows = 0
        self._bytes = 0
        self.ready: deque[Batch] = deque()
        self.broken = False

    @property
    def filling(self) -> bool:
        """True while a batch is begun that is not ready."""
        return bool(self._items or self._refused)

    def add(self, given: Any) -> None:
        """Take the next item in; it may complete batches."""
        index = self._index
        self._index += 1
        try:
            item = self._reader.read(index, given)
        except InvalidItem as error:
            self._refused.append(error)
            self.broken = not self._keep
            if self.broken or len(self._refused) >= max(self._size, 1):
                self.flush()
            return
        rows, form = item.rows or 1, item.form
        if self._items and (
            (form is not self._form and form != self._form)
            or self._rows + rows > self._size
            or self._bytes + item.byte_size > MAX_REQUEST_BYTES
        ):
            self.flush()
        self._items.append(item)
        self._form = form
        self._rows += rows
        self._bytes += item.byte_size
        if self._rows >= self._size or self._bytes >= MAX_REQUEST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Make a batch ready of the items that wait for others."""
        if self.filling:
            self.ready.append(Batch(self._items, self._refused, self._bytes))
            self._items, self._refused = [], []
            self._rows = self._bytes = 0
