"""Regions of POSIX shared memory, which a server on the same machine can map as well.

A region belongs to the process that created it: when that process closes it, drops it or ends, the
object's name is removed. Processes that attach never remove it, nor do forked children.

Closing a region removes its name. The memory is unmapped with the last array that is a view of it.
"""

from __future__ import annotations

import operator
import os
import secrets
import weakref
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .leftovers import Record
from .posix import give_size, map_object, name_of, open_object, remove_object, size_of

if TYPE_CHECKING:
    from typing_extensions import Self


class SystemRegion:
    """A mapped region; `create_region` and `attach_region` make one. Threads may share it.

    Attributes:
        key: the name of the shared memory object, as a server wants it.
        byte_size: its size.
        owner: whether this process created it, and so removes it.
    """

    def __init__(
        self, key: str, memory: npt.NDArray[np.uint8], record: Record | None = None
    ) -> None:
        self.key = key
        self.byte_size = len(memory)
        self.owner = record is not None
        self._memory: npt.NDArray[np.uint8] | None = memory
        # Also run when the region is dropped, and when the program ends.
        self._release = weakref.finalize(self, _release, record, os.getpid())

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._memory is None

    def view(self, offset: int = 0, byte_size: int | None = None) -> memoryview:
        """Return a writable view of `byte_size` bytes from `offset`; None for all.

        Raises:
            ValueError: the region is closed, or not so large.
        """
        memory = self._memory
        if memory is None:
            raise ValueError(
                f"the shared memory region {self.key!r} is closed; read and write its tensors "
                "before, or copy what is needed later"
            )
        check_bounds(self.byte_size, offset, byte_size)
        end = None if byte_size is None else offset + byte_size
        return memory[offset:end].data

    def close(self) -> None:
        """Release the memory, and remove the region if this process created it."""
        self._memory = None  # which ends the mapping, unless arrays still refer to it
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<SystemRegion {self.key!r} of {self.byte_size} bytes{state}>"


def _release(record: Record | None, pid: int) -> None:
    if record is not None and pid == os.getpid():
        remove_object(record.key, record.inode)
        record.remove()


def create_region(byte_size: int, key: str | None = None, mode: int = 0o600) -> SystemRegion:
    """Create a region, filled with zeros.

    Args:
        byte_size: its size.
        key: the name of its shared memory object; a new one by default.
        mode: who else may use it, as for files: 0o660 for the group, 0o666 for everyone, such as a
            server that runs as another user.

    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
        FileExistsError: there is an object of this name.
        OSError: there is not so much memory, or the system refuses for another reason.
        NotImplementedError: this platform has no POSIX shared memory.
    """
    byte_size = check_size(byte_size)
    name = name_of(f"tritonclient-{secrets.token_hex(8)}" if key is None else key)
    descriptor = open_object(name, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    inode = os.fstat(descriptor).st_ino
    record = None
    try:
        record = Record(name, inode)
        give_size(descriptor, byte_size)
        memory = map_object(descriptor, byte_size)
        os.fchmod(descriptor, mode | 0o600)
        return SystemRegion(name, memory, record)
    except BaseException:
        remove_object(name, inode)
        if record is not None:
            record.remove()
        raise
    finally:
        os.close(descriptor)


class NotOwned(PermissionError):
    """A shared memory object belongs to another user."""


def attach_region(key: str, *, own: bool = False) -> SystemRegion:
    """Map a region that another process, or this one, created.

    Args:
        own: refuse one that another user owns. Keys are shared by all users of the system, so
            that somebody else may have taken one that programs are known to use.

    Raises:
        NotOwned: another user owns it.
        TypeError, ValueError: the key is no name of a shared memory object.
        FileNotFoundError: there is no object of this name.
        OSError: the system refuses for another reason, such as permissions.
        NotImplementedError: this platform has no POSIX shared memory.
    """
    name = name_of(key)
    descriptor = open_object(name)
    try:
        owner = os.fstat(descriptor).st_uid
        if own and owner != os.geteuid():
            raise NotOwned(
                f"the shared memory object {name!r} belongs to the user with id {owner}, who can "
                f"read and change what is written there, and not to this program's user (id "
                f"{os.geteuid()}); choose another key, or have its owner remove it"
            )
        return SystemRegion(name, map_object(descriptor, size_of(descriptor)))
    finally:
        os.close(descriptor)


def check_bounds(size: int, offset: int, byte_size: int | None) -> None:
    """Raise ValueError unless `byte_size` bytes at `offset` lie within `size` bytes."""
    end = offset if byte_size is None else offset + byte_size
    if not 0 <= offset <= end <= size:
        many = "" if byte_size is None else f"{byte_size} bytes at "
        raise ValueError(f"{many}offset {offset} lie outside of the region of {size} bytes")


def check_size(byte_size: int) -> int:
    """The size of a region; ValueError unless it is a whole number from 1."""
    size = operator.index(byte_size)
    if not 1 <= size < 2**63:
        raise ValueError(f"byte_size is {byte_size}, expected 1 to {2**63 - 1}")
    return size
