"""Memory of large messages, which is used again."""

from __future__ import annotations

import numpy as np
import pytest

from tritonclient.engine.spare_memory import SpareMemory

MIB = 1 << 20


def address(memory: memoryview) -> int:
    return int(np.frombuffer(memory, np.uint8).ctypes.data)


def test_memory_is_used_again_when_nothing_refers_to_it() -> None:
    spare = SpareMemory()
    memory = spare.take(4 * MIB)
    first = address(memory)
    view = np.frombuffer(memory[100:200], "u1")
    del memory
    other = spare.take(4 * MIB)
    assert address(other) != first  # `view` refers to it
    del view
    again = spare.take(3 * MIB)
    assert address(again) == first
    assert len(again) == 3 * MIB
    again[:] = bytes([7]) * len(again)
    assert not np.shares_memory(np.frombuffer(again, "u1"), np.frombuffer(other, "u1"))


@pytest.mark.parametrize("size", [0, 1000, MIB - 1, 65 * MIB])
def test_some_sizes_are_not_kept(size: int) -> None:
    spare = SpareMemory()
    assert len(spare.take(size)) == size
    assert spare.kept == 0


def test_so_much_is_kept() -> None:
    spare = SpareMemory()
    taken = [spare.take(20 * MIB) for _ in range(10)]
    assert spare.kept == 60 * MIB
    assert len({address(each) for each in taken}) == 10
    taken.clear()
    for _ in range(10):
        spare.take(MIB)  # much smaller than what is there
    assert spare.kept <= 64 * MIB
