"""`SpareMemory`: memory of large messages, used again when nothing refers to it.

The kernel clears memory before it gives it to a process, which takes longer than to receive a
message into it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

#: Smallest message, in bytes, whose memory is kept.
_SMALLEST = 1 << 20
#: Bytes that are kept in all.
_KEPT = 64 << 20
#: References to an array that only the list below has: the list's, a variable's, an argument's.
_UNUSED = 3


class SpareMemory:
    """Gives memory, and keeps some of it; for one thread, but the memory is for any."""

    __slots__ = ("_arrays",)

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[Any]] = []

    def take(self, size: int) -> memoryview:
        """Return memory of this size in bytes, which holds anything."""
        if not _SMALLEST <= size <= _KEPT:
            return np.empty(size, np.uint8).data
        for array in self._arrays:
            # Views of it refer to it, and so do views of views.
            if size <= array.size <= 2 * size and sys.getrefcount(array) == _UNUSED:
                return array.data[:size]
        array = np.empty(size, np.uint8)
        self._arrays.append(array)
        while self.kept > _KEPT:
            del self._arrays[0]
        return array.data

    @property
    def kept(self) -> int:
        """Bytes that are kept."""
        return sum(each.size for each in self._arrays)
