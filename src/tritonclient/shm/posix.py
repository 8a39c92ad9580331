"""POSIX shared memory objects: opened and removed by their names.

The standard library's public class is not used: before Python 3.13 it hands every object that it
attaches to over to a process that removes it when this program ends, whoever else uses it.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Any

import numpy as np
import numpy.typing as npt

#: A process that creates an object gives it its size a moment later.
_PATIENCE = 2.0


def name_of(key: str) -> str:
    """The name of the object that a key means; keys may begin with a slash or not.

    Raises:
        TypeError, ValueError: the key is no name of a shared memory object.
    """
    if not isinstance(key, str):
        raise TypeError(f"key is {key!r:.60}, expected str")
    name = key.lstrip("/")
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f"key {key!r:.60} is no name of a shared memory object")
    return "/" + name


def open_object(key: str, flags: int = os.O_RDWR) -> int:
    """Return a file descriptor of an object; a new one is private until it is shared.

    Raises:
        OSError: it can't be opened.
        NotImplementedError: this platform has no POSIX shared memory.
    """
    return int(_posixshmem().shm_open(name_of(key), flags, mode=0o600))


def remove_object(key: str, inode: int) -> bool:
    """Remove an object's name; return False if there was none. Processes that use it keep it.

    Nothing happens to another object that has got the name meanwhile.

    Raises:
        OSError: it can't be removed.
    """
    try:
        descriptor = open_object(key, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        ours = os.fstat(descriptor).st_ino == inode
        if ours:
            _posixshmem().shm_unlink(name_of(key))
        return ours
    finally:
        os.close(descriptor)


def _posixshmem() -> Any:
    try:
        import _posixshmem  # type: ignore[import-not-found]  # no stubs
    except ImportError as error:
        raise NotImplementedError("this platform has no POSIX shared memory") from error
    return _posixshmem


def give_size(descriptor: int, byte_size: int) -> None:
    """Give a new object its size, and the memory for it.

    Without the memory, a program or a server that writes to the object is killed by a signal when
    there turns out to be none.

    Raises:
        OSError: there is not so much memory.
    """
    os.ftruncate(descriptor, byte_size)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, byte_size)
        except OSError as error:
            free = os.fstatvfs(descriptor)
            raise OSError(
                error.errno,
                f"{os.strerror(error.errno or 0)}: {byte_size} bytes of shared memory, "
                f"{free.f_bavail * free.f_frsize} are free (containers have --shm-size)",
            ) from None


def size_of(descriptor: int) -> int:
    """The size of an object; one that is just being created is waited for.

    Raises:
        OSError: it has none.
    """
    end = time.monotonic() + _PATIENCE
    while not (size := os.fstat(descriptor).st_size):
        if time.monotonic() > end:
            raise OSError("the shared memory object has no size")
        time.sleep(0.001)
    return size


def map_object(descriptor: int, byte_size: int, offset: int = 0) -> npt.NDArray[np.uint8]:
    """Return the memory of an object, which stays mapped while anything refers to it.

    It is an array, because arrays made of a memory map itself do not keep the map open.
    """
    return np.frombuffer(mmap.mmap(descriptor, byte_size, offset=offset), np.uint8)
