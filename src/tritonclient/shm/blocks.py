"""Regions cut into blocks: the memory that tensors are placed in.

A block is taken for as long as anything refers to it: the tensor it was made for, or an array or a
tensor of another library that is a view of it. Then its room is used again.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..datatypes import Array, Buffer, byte_size, element_count, leading_bytes, unpack, unpack_bytes
from ..messages import (
    Parameter,
    RegisterCudaSharedMemory,
    RegisterSystemSharedMemory,
    Request,
    UnregisterCudaSharedMemory,
    UnregisterSystemSharedMemory,
)
from .dlpack import SharedMemoryTensor
from .system import SystemRegion, create_region

if TYPE_CHECKING:
    from .cuda import CudaRegion

#: Blocks begin at multiples of this, which suits any datatype and any device.
ALIGNMENT = 64


#: Seconds after which the room of an abandoned block is used again. No server is known to keep a
#: request so long; never to use it again would fill the memory of programs with many timeouts.
GRACE = 600.0


class Room:
    """Which parts of a number of bytes are free.

    The smallest free part that is large enough is taken, the first of several. Taking and giving
    back cost the logarithm of the number of parts.
    """

    def __init__(self, byte_size: int, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # The free parts, of which no two are adjacent: by size, by their beginnings and their ends.
        self._free = [(byte_size, 0)]
        self._sizes = {0: byte_size}
        self._beginnings = {byte_size: 0}
        self._taken: dict[int, int] = {}
        self._returned: deque[tuple[int, list[float]]] = deque()
        self._waiting: list[tuple[float, int]] = []  # a heap: when room is due, and its offset

    def take(self, size: int) -> int | None:
        """The offset of that many bytes, which are then taken; None when there is no such room."""
        size = max(1, -(-size // ALIGNMENT)) * ALIGNMENT
        with self._lock:
            self._collect()
            index = bisect_left(self._free, (size, 0))
            if index == len(self._free):
                return None
            free, offset = self._free[index]
            self._remove(offset, free)
            if free > size:
                self._add(offset + size, free - size)
            self._taken[offset] = size
            return offset

    def give_back(self, offset: int, due: list[float]) -> None:
        """Free a block after the time in `due`.

        It may be called at any moment, also from within `take`, as garbage may be collected
        anywhere. So it takes no lock.
        """
        self._returned.append((offset, due))

    def _collect(self) -> None:
        while self._returned:
            offset, due = self._returned.popleft()
            if due:
                heappush(self._waiting, (due[0], offset))
            else:
                self._put_back(offset)
        if self._waiting:
            now = self._clock()
            while self._waiting and self._waiting[0][0] <= now:
                self._put_back(heappop(self._waiting)[1])

    def _put_back(self, offset: int) -> None:
        end = offset + self._taken.pop(offset)
        behind = self._sizes.get(end)
        if behind is not None:
            self._remove(end, behind)
            end += behind
        before = self._beginnings.get(offset)
        if before is not None:
            self._remove(before, offset - before)
            offset = before
        self._add(offset, end - offset)

    def _add(self, offset: int, size: int) -> None:
        insort(self._free, (size, offset))
        self._sizes[offset] = size
        self._beginnings[offset + size] = offset

    def _remove(self, offset: int, size: int) -> None:
        del self._free[bisect_left(self._free, (size, offset))]
        del self._sizes[offset]
        del self._beginnings[offset + size]


class Block:
    """Bytes of a region that belong to one tensor.

    Attributes:
        byte_size: how many they are.
    """

    def __init__(self, segment: Segment, offset: int, byte_size: int) -> None:
        self.byte_size = byte_size
        self._segment = segment
        self._offset = offset
        #: What all views of the block refer to; when it goes, nothing refers to the block.
        self._base = segment.base(offset, byte_size)
        self._due: list[float] = []
        end = weakref.finalize(self._base, segment.room.give_back, offset, self._due)
        end.atexit = False

    def abandon(self) -> None:
        """Do not use its room again for a long time: a server may still read or write there."""
        self._due[:] = [monotonic() + GRACE]

    def parameters(self, byte_size: int | None = None) -> dict[str, Parameter]:
        """The parameters of a tensor that lies here."""
        size = self.byte_size if byte_size is None else byte_size
        where: dict[str, Parameter] = {
            "shared_memory_region": self._segment.name,
            "shared_memory_byte_size": size,
        }
        if self._offset:
            where["shared_memory_offset"] = self._offset
        return where

    def write(self, data: Buffer) -> None:
        """Copy bytes to its beginning."""
        self._segment.write(self._base, self._offset, data)

    def write_tensor(self, producer: Any) -> None:
        """Copy a tensor of another library, on the same kind of device, to its beginning."""
        self._segment.write_tensor(self._offset, producer)

    def read(self, datatype: str, shape: tuple[int, ...]) -> Array:
        """The tensor that lies here: a view if it can be one, otherwise a copy.

        Raises:
            ValueError: there is no such tensor here, or the region is closed.
        """
        count = element_count(shape)
        size = byte_size(datatype, count)
        if size is not None and size > self.byte_size:
            raise ValueError(
                f"{datatype} of shape {list(shape)} takes {size} bytes, but {self.byte_size} are "
                "there"
            )
        data = self._segment.read(self._base, self._offset, size or self.byte_size)
        if size is None:
            return unpack_bytes(data[: leading_bytes(data, count)], count).reshape(shape)
        return unpack(data[:size], datatype, shape)

    def tensor(self, datatype: str, shape: tuple[int, ...]) -> SharedMemoryTensor:
        """The tensor that lies here, for other libraries."""
        address, device_id = self._segment.address(self._base, self._offset)
        return SharedMemoryTensor(
            datatype, shape, address, 0, self.byte_size, device_id, owner=self._base
        )


class Segment(Protocol):
    """A region that blocks are cut from.

    A block's base is what keeps its memory, and what all views of it refer to.
    """

    name: str
    room: Room

    def registration(self) -> Request[None]:
        """The request that makes a server open it."""
        ...

    def unregistration(self) -> Request[None]:
        """The request that makes a server forget it."""
        ...

    def base(self, offset: int, byte_size: int) -> Any: ...
    def write(self, base: Any, offset: int, data: Buffer) -> None: ...
    def write_tensor(self, offset: int, producer: Any) -> None: ...
    def read(self, base: Any, offset: int, byte_size: int) -> memoryview: ...
    def address(self, base: Any, offset: int) -> tuple[int, int]:
        """Where a block lies, and the number of the GPU it is on, or -1."""
        ...

    def close(self) -> None: ...


def take(segment: Segment, byte_size: int) -> Block | None:
    """A block of a segment, or None when there is no room for it."""
    offset = segment.room.take(byte_size)
    return None if offset is None else Block(segment, offset, byte_size)


class SystemSegment:
    """A region of system shared memory; reading returns views."""

    def __init__(self, region: SystemRegion) -> None:
        self.name = region.key.lstrip("/")
        self.room = Room(region.byte_size)
        self._region = region

    def registration(self) -> Request[None]:
        return RegisterSystemSharedMemory(self.name, self._region.key, self._region.byte_size)

    def unregistration(self) -> Request[None]:
        return UnregisterSystemSharedMemory(self.name)

    def base(self, offset: int, byte_size: int) -> Array:
        # Made from a memoryview, past which numpy does not look for what an array is a view of.
        return np.frombuffer(self._region.view(offset, byte_size), np.uint8)

    def write(self, base: Array, offset: int, data: Buffer) -> None:
        base[: len(data)] = np.frombuffer(data, np.uint8)

    def write_tensor(self, offset: int, producer: Any) -> None:
        raise ValueError(f"{type(producer).__name__} is not in memory of the CPU")

    def read(self, base: Array, offset: int, byte_size: int) -> memoryview:
        return base.data

    def address(self, base: Array, offset: int) -> tuple[int, int]:
        return base.ctypes.data, -1

    def close(self) -> None:
        self._region.close()


class CudaSegment:
    """A region on a GPU; reading returns copies."""

    def __init__(self, region: CudaRegion, name: str) -> None:
        self.name = name
        self.room = Room(region.byte_size)
        self._region = region

    def registration(self) -> Request[None]:
        region = self._region
        return RegisterCudaSharedMemory(
            self.name, region.raw_handle(), region.device_id, region.byte_size
        )

    def unregistration(self) -> Request[None]:
        return UnregisterCudaSharedMemory(self.name)

    def base(self, offset: int, byte_size: int) -> SharedMemoryTensor:
        return self._region.tensor("UINT8", [byte_size], offset)

    def write(self, base: SharedMemoryTensor, offset: int, data: Buffer) -> None:
        self._region.write(data, offset)

    def write_tensor(self, offset: int, producer: Any) -> None:
        self._region.write_tensor(producer, offset)

    def read(self, base: SharedMemoryTensor, offset: int, byte_size: int) -> memoryview:
        return self._region.read(offset, byte_size)

    def address(self, base: SharedMemoryTensor, offset: int) -> tuple[int, int]:
        return self._region.address + offset, self._region.device_id

    def close(self) -> None:
        self._region.close()


def new_segment(byte_size: int, device: int | None, mode: int) -> Segment:
    """A segment on a GPU, or in system shared memory when no device is named."""
    if device is None:
        return SystemSegment(create_region(byte_size, mode=mode))
    from secrets import token_hex

    from . import cuda

    return CudaSegment(cuda.create_region(byte_size, device), f"tritonclient-cuda-{token_hex(8)}")
