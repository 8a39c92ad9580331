"""Tensors of a message in memory without a name, which the receiver maps.

The sender seals the memory, so that it can't change or shrink while the receiver reads it. Memory
ends with its last user; a killed process leaves none behind.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence

from .....datatypes import Buffer
from .....errors import ProtocolError

AVAILABLE = sys.platform == "linux"
if sys.platform == "linux":
    import fcntl

    _SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

#: The lowest descriptor to use: a model may have closed those of its output.
_LOWEST = 3
#: Most buffers of one system call.
_BUFFERS = 1024


def write(buffers: Sequence[Buffer]) -> int:
    """Return the descriptor of sealed memory that holds the buffers one after the other."""
    fd = os.memfd_create("tritonclient", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if fd < _LOWEST:
            low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
            os.close(low)
        rest = [memoryview(each).cast("B") for each in buffers if len(each)]
        while rest:
            rest = remaining(rest, os.writev(fd, rest[:_BUFFERS]))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def remaining(buffers: list[memoryview], written: int) -> list[memoryview]:
    """Return the buffers without the bytes that were written."""
    index = 0
    while index < len(buffers) and written >= len(buffers[index]):
        written -= len(buffers[index])
        index += 1
    rest = buffers[index:]
    if written:
        rest[0] = rest[0][written:]
    return rest


def read(fd: int, size: int, *, writable: bool) -> memoryview:
    """Map received memory and return it; the descriptor stays open.

    Args:
        writable: True to let the receiver write to its own view of the memory.

    Raises:
        ProtocolError: it is not sealed, or has fewer bytes.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise ProtocolError(f"a process sent a descriptor that is no memory: {error}") from error
    if seals & _SEALS != _SEALS:
        raise ProtocolError("a process sent memory that is not sealed")
    if os.fstat(fd).st_size < size:
        raise ProtocolError(f"a process sent memory of fewer than {size} bytes")
    # Older kernels allow no shared mapping of sealed memory.
    flags, protection = mmap.MAP_PRIVATE, mmap.PROT_READ
    if writable:
        protection |= mmap.PROT_WRITE
    else:
        flags |= getattr(mmap, "MAP_POPULATE", 0)
    return memoryview(mmap.mmap(fd, size, flags=flags, prot=protection))
