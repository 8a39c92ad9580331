"""The classic `tritonclient.utils.shared_memory`: regions of system shared memory by old names.

region = create_shared_memory_region("input_data", "/input", 64)
set_shared_memory_region(region, [array])
client.register_system_shared_memory("input_data", "/input", 64)
...
destroy_shared_memory_region(region)
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..classic.lazy_names import lazy_names
from ..datatypes import Array, element_count, leading_bytes, unpack_bytes
from ..shm.system import NotOwned, SystemRegion, attach_region, create_region

__all__ = [
    "SharedMemoryException",
    "SharedMemoryRegion",
    "create_shared_memory_region",
    "destroy_shared_memory_region",
    "get_contents_as_numpy",
    "mapped_shared_memory_regions",
    "set_shared_memory_region",
]


class SharedMemoryException(Exception):
    """Something is wrong with a region; the cause is chained."""


class SharedMemoryRegion:
    """A region that `create_shared_memory_region` made."""

    def __init__(self, triton_shm_name: str, shm_key: str) -> None:
        self._triton_shm_name = triton_shm_name
        self._shm_key = shm_key
        self._region: SystemRegion | None = None

    def _mapped(self) -> SystemRegion:
        if self._region is None:
            raise SharedMemoryException(
                f"the shared memory region with key '{self._shm_key}' is destroyed"
            )
        return self._region


@dataclass
class _Key:
    """How many handles of a key there are, and the region if this process created it."""

    shm_key: str
    handles: int = 0
    owned: SystemRegion | None = None


_lock = threading.Lock()
_keys: dict[str, _Key] = {}


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # A forked child has none of the threads, and one of them may have held the lock.
    os.register_at_fork(after_in_child=_new_lock)


def create_shared_memory_region(
    triton_shm_name: str,
    shm_key: str,
    byte_size: int,
    create_only: bool = False,
    *,
    mode: int = 0o600,
) -> SharedMemoryRegion:
    """Create a region, or attach to the one that has this key.

    Args:
        triton_shm_name: the name by which the region is to be registered with the server.
        shm_key: the name of the shared memory object.
        byte_size: its size. An existing smaller region is used as it is, with a warning.
            It must belong to this user: another owner could read, change or truncate it. For such
            an object on purpose, see `tritonclient.shm.system.attach_region`.
        create_only: refuse to attach to an existing region.
        mode: who else may use a region that is created, as for files; 0o666 lets in a server
            that runs as another user.

    Raises:
        SharedMemoryException: it can't be done.
    """
    handle = SharedMemoryRegion(triton_shm_name, shm_key)
    with _lock:
        try:
            region = _create_or_attach(shm_key, byte_size, create_only, mode)
        except (OSError, TypeError, ValueError, NotImplementedError) as error:
            text = "unable to create the shared memory region"
            if isinstance(error, NotOwned):
                text += f": {error}"
            raise SharedMemoryException(text) from error
        handle._region = region
        key = _keys.setdefault(region.key, _Key(shm_key))
        key.handles += 1
        if region.owner:
            key.owned = region
    if region.byte_size < byte_size:
        warnings.warn(
            f"reusing shared memory region with key '{shm_key}', region size is "
            f"{region.byte_size} instead of requested {byte_size}",
            stacklevel=2,
        )
    return handle


def _create_or_attach(key: str, byte_size: int, create_only: bool, mode: int) -> SystemRegion:
    while True:
        try:
            return create_region(byte_size, key, mode)
        except FileExistsError:
            if create_only:
                raise
        try:
            return attach_region(key, own=True)
        except FileNotFoundError:
            continue  # it was removed in between


def set_shared_memory_region(
    shm_handle: SharedMemoryRegion, input_values: Sequence[npt.NDArray[Any]], offset: int = 0
) -> None:
    """Copy arrays into a region, one behind the other.

    Args:
        input_values: a list or tuple of arrays; BYTES tensors as `serialize_byte_tensor` makes
            them.
        offset: where the first one begins.

    Raises:
        SharedMemoryException: they are no arrays, or do not fit; nothing was written.
    """
    if not isinstance(input_values, (list, tuple)):
        raise SharedMemoryException(
            "input_values must be specified as a list/tuple of numpy arrays"
        )
    if not all(isinstance(value, np.ndarray) for value in input_values):
        raise SharedMemoryException("each element of input_values must be a numpy array")
    region = shm_handle._mapped()
    try:
        values = [stored(value) for value in input_values]
        view = region.view(offset, sum(value.nbytes for value in values))
    except ValueError as error:
        raise SharedMemoryException("unable to set the shared memory region") from error
    position = 0
    for value in values:
        target: Array = np.ndarray(value.shape, little_endian(value.dtype), view, position)
        target[...] = value
        position += value.nbytes


def stored(value: Array) -> Array:
    """Return an array whose memory can be stored."""
    if value.dtype.kind != "O":
        return value
    if value.size == 0:
        return np.empty(0, np.uint8)
    item = value.item() if value.size == 1 else None
    if not isinstance(item, bytes):
        raise ValueError("serialize_byte_tensor makes of an array of objects what can be stored")
    return np.frombuffer(item, np.uint8)


def little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of an array in its stored form."""
    return dtype.newbyteorder("<") if dtype.kind in "iuf" else dtype


def get_contents_as_numpy(
    shm_handle: SharedMemoryRegion,
    datatype: npt.DTypeLike,
    shape: Sequence[int],
    offset: int = 0,
) -> npt.NDArray[Any]:
    """The tensor that lies in a region.

    Args:
        datatype: its numpy type; `np.object_` or `np.bytes_` for BYTES.
        shape: its shape.
        offset: where it begins.

    Returns:
        A view of the region, which stays valid after the region is destroyed; or an array of
        `bytes` objects, which is a copy.

    Raises:
        TypeError: the region is too small.
        SharedMemoryException: the region is destroyed, the offset is negative, or there is no such
            BYTES tensor.
    """
    region = shm_handle._mapped()
    dtype = np.dtype(datatype)
    try:
        # Behind the end there is nothing, which numpy finds too small for whatever it is.
        data = region.view(min(offset, region.byte_size))
        if dtype.kind in "OSU":
            count = element_count(shape)
            return unpack_bytes(data[: leading_bytes(data, count)], count).reshape(shape)
    except ValueError as error:
        raise SharedMemoryException("unable to read the shared memory region") from error
    return np.ndarray(shape, little_endian(dtype), data)


def mapped_shared_memory_regions() -> list[str]:
    """The keys of all regions that this process has mapped."""
    with _lock:
        return [key.shm_key for key in _keys.values()]


def destroy_shared_memory_region(shm_handle: SharedMemoryRegion) -> None:
    """Give a region up; the last handle removes it if this process created it.

    Arrays that `get_contents_as_numpy` gave stay valid.

    Raises:
        SharedMemoryException: it is destroyed already.
    """
    with _lock:
        region = shm_handle._mapped()
        shm_handle._region = None
        key = _keys[region.key]
        key.handles -= 1
        if region is not key.owned:
            region.close()
        if not key.handles:
            del _keys[region.key]
            if key.owned is not None:
                key.owned.close()


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
