"""BYTES tensors from the wire, against a reader that takes one element after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fuzzing import Choices
from tritonclient.datatypes import leading_bytes, pack_bytes, unpack_all_bytes, unpack_bytes


def check(data: bytes) -> None:
    choices = Choices(data)
    count = choices.number(2)
    wire = choices.rest()
    items, end = _elements(wire)
    whole = end == len(wire)
    try:
        found = unpack_bytes(wire, count).tolist()
    except ValueError:
        assert not whole or len(items) != count
    else:
        assert whole
        assert found == items
        assert len(items) == count
    try:
        found = unpack_all_bytes(memoryview(wire)).tolist()
    except ValueError:
        assert not whole
    else:
        assert whole
        assert found == items
        array = np.empty(len(items), object)
        array[:] = items
        assert pack_bytes(array) == wire
    try:
        size = leading_bytes(wire, count)
    except ValueError:
        assert count > len(items)
    else:
        assert size == sum(4 + len(item) for item in items[:count])


def _elements(wire: bytes) -> tuple[list[bytes], int]:
    """The elements that are all there, and where the last of them ends."""
    items, position = [], 0
    while position + 4 <= len(wire):
        stop = position + 4 + int.from_bytes(wire[position : position + 4], "little")
        if stop > len(wire):
            break
        items.append(wire[position + 4 : stop])
        position = stop
    return items, position


def seeds() -> Iterator[bytes]:
    for items in ([], [b""], [b"one"], [b"one", b"two"], [b"", b"a", b"bc"], [b"x" * 300] * 3):
        wire = b"".join(len(item).to_bytes(4, "little") + item for item in items)
        yield len(items).to_bytes(2, "big") + wire
    yield b"\0\1\xff\xff\xff\xff"
