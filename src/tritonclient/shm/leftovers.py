"""Orphaned regions: regions of programs that crashed.

Next to each region is a record, a small file with its name. The process that created the region
holds a lock on that file. The kernel releases the lock when the process ends, in whatever way. So
a record without a lock belongs to an orphaned region. Unlike process ids, locks are valid in every
container that shares the memory.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .posix import open_object, remove_object

_PREFIX = "tritonclient-owner-"
_MEMORY = Path("/dev/shm")


class Leftover(NamedTuple):
    """A region that its owner did not remove.

    Attributes:
        key: the name of the shared memory object.
        byte_size: its size.
        pid: process id of its former owner.
        inode: distinguishes it from a later object of the same name.
    """

    key: str
    byte_size: int
    pid: int
    inode: int


class Record:
    """Says that this process owns a region, for as long as it lives or until `remove`."""

    def __init__(self, key: str, inode: int) -> None:
        self.key = key
        self.inode = inode
        self._path = _directory() / f"{_PREFIX}{secrets.token_hex(8)}"
        self._lock = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            while not _lock(self._lock):  # somebody looks at it in this very moment
                time.sleep(0.001)
            text = {"key": key, "inode": inode, "pid": os.getpid()}
            os.write(self._lock, json.dumps(text).encode())
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the record, as its region is gone."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._lock)


def leftovers() -> list[Leftover]:
    """Regions that programs of this user left behind, and that no process owns any more."""
    return [leftover for leftover, _ in _abandoned() if leftover is not None]


def remove_leftovers() -> list[Leftover]:
    """Remove orphaned regions, and return them.

    A server that has one registered keeps its memory until it is unregistered.
    """
    removed = []
    for leftover, record in _abandoned():
        if leftover is not None and remove_object(leftover.key, leftover.inode):
            removed.append(leftover)
        with suppress(FileNotFoundError):
            record.unlink()
    return removed


def _abandoned() -> Iterator[tuple[Leftover | None, Path]]:
    """Records whose owners are gone, each with its region if that is still there."""
    for path in sorted(_directory().glob(f"{_PREFIX}*")):
        try:
            # Another user's pipe of this name must not make us wait for its other end.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue  # removed meanwhile, or another user's
        try:
            # Other users can put files there, which must not make us remove our own regions.
            if os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor):
                yield _region_of(descriptor), path
        except (OSError, ValueError):
            continue  # no record, or one that its owner is about to write
        finally:
            os.close(descriptor)


def _region_of(record: int) -> Leftover | None:
    text = json.loads(os.read(record, 4096))
    try:
        region = open_object(text["key"], os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(region)
        if (status.st_ino, status.st_uid) != (text["inode"], os.fstat(record).st_uid):
            return None  # another region, of the same name
        return Leftover(text["key"], status.st_size, text["pid"], status.st_ino)
    finally:
        os.close(region)


def _lock(descriptor: int) -> bool:
    """Lock a record, unless its owner has it locked."""
    import fcntl  # where it is missing, there are no regions either

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _directory() -> Path:
    return _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
