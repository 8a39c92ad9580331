"""Memory for large bodies of messages, which the sender writes and the receiver copies.

A sender keeps its segments and uses them again: fresh memory costs several times what copying
costs. The receiver maps a segment once, and copies each body at once. So it neither depends on
what the other process does to the memory afterwards, nor holds it for as long as a tensor lives.

A segment has no name and cannot shrink. It ends with its last user; a killed process leaves none.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from .....datatypes import Array, Buffer
from .....errors import ProtocolError

AVAILABLE = sys.platform == "linux"
if sys.platform == "linux":
    import fcntl

    _SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

#: Segments that a sender keeps. What it sends while all are in use goes through one of its own.
KEPT = 4
#: A body above this size in bytes does not stay in memory after it is received.
_LARGEST_KEPT = 32 << 20
#: Bytes in front of the body. The first is 1 until the receiver has copied the body.
_HEAD = 64


class Segment:
    """A mapped segment.

    Args:
        fd: its descriptor, which stays open.
        size: bytes to map.
    """

    def __init__(self, fd: int, size: int) -> None:
        with _lowest_taken():
            memory = mmap.mmap(fd, size)
        self._memory = memory
        self._bytes: Array = np.frombuffer(memory, np.uint8)
        self.capacity = size - _HEAD

    def is_free(self) -> bool:
        """True if the receiver has copied the last body."""
        return not self._bytes[0]

    def take(self) -> None:
        """Mark that a body is in the segment."""
        self._bytes[0] = 1

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Write a body, which is the buffers one after the other."""
        position = _HEAD
        for each in buffers:
            if len(each):
                end = position + len(each)
                self._bytes[position:end] = np.frombuffer(each, np.uint8)
                position = end

    def read(self, size: int) -> memoryview:
        """Return a copy of the body, and leave the segment to the sender."""
        body: Array = np.empty(size, np.uint8)
        body[:] = self._bytes[_HEAD : _HEAD + size]
        if size > _LARGEST_KEPT:
            self._memory.madvise(mmap.MADV_REMOVE)
        self._bytes[0] = 0
        return body.data


@contextlib.contextmanager
def _lowest_taken() -> Iterator[None]:
    """Keep the descriptors 0 to 2 from being used: a model may have closed those of its output."""
    taken = [os.open(os.devnull, os.O_RDWR)]
    while taken[-1] <= 2:
        taken.append(os.open(os.devnull, os.O_RDWR))
    os.close(taken.pop())
    try:
        yield
    finally:
        for fd in taken:
            os.close(fd)


def create(size: int) -> int:
    """Return the descriptor of a new segment for bodies of up to `size` bytes."""
    with _lowest_taken():
        fd = os.memfd_create("tritonclient", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, _HEAD + size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Outgoing:
    """The segments of a sender. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._segments: list[Segment] = []

    def write(self, buffers: Sequence[Buffer], size: int) -> tuple[int, int]:
        """Write a body to a segment.

        Returns:
            The number of the segment, and its descriptor if it is new, else -1.
        """
        with self._lock:
            number, segment, fd = self._take(size)
        try:
            segment.write(buffers)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        return number, fd

    def close(self) -> None:
        """Release the segments."""
        with self._lock:
            self._segments.clear()

    def _take(self, size: int) -> tuple[int, Segment, int]:
        """Return a segment that is taken for a body, with its number and new descriptor."""
        free = [number for number, each in enumerate(self._segments) if each.is_free()]
        for number in free:
            if self._segments[number].capacity >= size:
                self._segments[number].take()
                return number, self._segments[number], -1
        number = free[0] if free else len(self._segments)
        # Somewhat larger bodies shall fit too; memory that is not written to costs nothing.
        capacity = 1 << size.bit_length()
        fd = create(capacity)
        try:
            segment = Segment(fd, _HEAD + capacity)
        except BaseException:
            os.close(fd)
            raise
        segment.take()
        if number < KEPT:
            self._segments[number : number + 1] = [segment]
        return number, segment, fd


class Incoming:
    """The segments of the other process. One thread at a time uses them."""

    def __init__(self) -> None:
        self._segments: dict[int, Segment] = {}

    def read(self, number: int, size: int) -> memoryview:
        """Return a copy of the body in a segment; ProtocolError if it cannot hold that."""
        segment = self._segments.get(number)
        if segment is None:
            raise ProtocolError("a process sent a message without its memory")
        if segment.capacity < size:
            raise ProtocolError(f"a process sent memory of fewer than {size} bytes")
        if number == KEPT:
            self._segments.pop(number, None)
        return segment.read(size)

    def add(self, number: int, fd: int) -> None:
        """Map a segment, in place of an older one with its number; the descriptor stays open.

        Raises:
            ProtocolError: it is no memory, or could shrink.
        """
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError as error:
            raise ProtocolError(f"a process sent a descriptor that is no memory: {error}") from None
        # Huge pages can run out, and then the kernel ends who reads them.
        if seals & _SEALS != _SEALS or os.fstatvfs(fd).f_bsize != mmap.PAGESIZE:
            raise ProtocolError("a process sent memory that is not sealed against a change of size")
        try:
            self._segments[number] = Segment(fd, os.fstat(fd).st_size)
        except (OSError, ValueError) as error:
            raise ProtocolError(f"a process sent memory that cannot be mapped: {error}") from error

    def close(self) -> None:
        """Release the segments."""
        self._segments.clear()
