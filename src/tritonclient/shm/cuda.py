"""Regions of GPU memory, which a server on the same machine can open as well.

A region's memory is freed when the region is closed or dropped and the last tensor that another
library took of it is gone. All copies are complete when the method that made them returns.

Source: CUDA driver API reference, "Memory Management" (CUDA IPC).
"""

from __future__ import annotations

import base64
import os
import weakref
from collections.abc import Sequence
from contextlib import suppress
from ctypes import byref, c_uint64
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datatypes import Buffer
from .cuda_driver import HANDLE_SIZE, LAZY_PEER_ACCESS, CudaError, Device, IpcHandle, device
from .dlpack import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, SharedMemoryTensor, borrow, device_of
from .system import check_bounds, check_size

if TYPE_CHECKING:
    from typing_extensions import Self


class _Memory:
    """Device memory, given back by a function of the driver when nothing refers to it any more."""

    def __init__(self, on: Device, address: int, give_back: str) -> None:
        self.device = on
        self.address = address
        release = weakref.finalize(self, _release, on, address, give_back, os.getpid())
        release.atexit = False  # the driver frees all of a process that ends


def _release(on: Device, address: int, give_back: str, pid: int) -> None:
    if pid == os.getpid():
        with suppress(CudaError):  # no caller is left to get it
            on.call(give_back, address)


class CudaRegion:
    """A region on a GPU; `create_region` and `attach_region` make one. Threads may share it.

    Attributes:
        device_id: the number of the GPU.
        byte_size: its size.
    """

    def __init__(self, memory: _Memory, byte_size: int, device_id: int) -> None:
        self.device_id = device_id
        self.byte_size = byte_size
        self._memory: _Memory | None = memory

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._memory is None

    @property
    def address(self) -> int:
        """Where it begins, in the memory of the GPU."""
        return self._open().address

    def _open(self) -> _Memory:
        memory = self._memory
        if memory is None:
            raise ValueError(
                "the CUDA shared memory region is closed; read and write its tensors before, or "
                "copy what is needed later"
            )
        return memory

    def raw_handle(self) -> bytes:
        """The 64 bytes by which a server opens it.

        Raises:
            CudaError: the driver refuses, for instance for memory of another process.
        """
        memory = self._open()
        handle = IpcHandle()
        memory.device.call("cuIpcGetMemHandle", byref(handle), memory.address)
        return bytes(handle)

    def write(self, data: Buffer, offset: int = 0) -> None:
        """Copy bytes into it.

        Raises:
            ValueError: it is closed, or not so large.
            CudaError: the driver refuses.
        """
        memory = self._open()
        source = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
        check_bounds(self.byte_size, offset, source.nbytes)
        if source.nbytes:
            memory.device.copy(
                "cuMemcpyHtoDAsync_v2", memory.address + offset, source.ctypes.data, source.nbytes
            )

    def read(self, offset: int = 0, byte_size: int | None = None) -> memoryview:
        """A copy of its bytes from `offset`, all or as many as asked for.

        Raises:
            ValueError: it is closed, or not so large.
            CudaError: the driver refuses.
        """
        memory = self._open()
        check_bounds(self.byte_size, offset, byte_size)
        size = self.byte_size - offset if byte_size is None else byte_size
        target = np.empty(size, np.uint8)
        if size:
            memory.device.copy(
                "cuMemcpyDtoHAsync_v2", target.ctypes.data, memory.address + offset, size
            )
        return target.data

    def write_tensor(self, producer: Any, offset: int = 0) -> int:
        """Copy a tensor of another library into the region; return its size in bytes.

        The tensor supports DLPack and is in row-major order, in memory of a GPU or the CPU.

        Raises:
            TypeError: it does not support DLPack.
            ValueError: it is not in row-major order or on another kind of device, or does not fit.
            CudaError: the driver refuses.
        """
        memory = self._open()
        tensor = borrow(producer, memory.device.stream.value if _has_streams(producer) else None)
        if tensor.device_type not in (CPU, CUDA, CUDA_HOST, CUDA_MANAGED):
            raise ValueError(f"DLPack device type {tensor.device_type} is not supported")
        if not tensor.contiguous:
            raise ValueError(
                "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored "
                "in C-Order are supported."
            )
        check_bounds(self.byte_size, offset, tensor.byte_size)
        on_host = tensor.device_type in (CPU, CUDA_HOST)
        if tensor.byte_size:
            memory.device.copy(
                "cuMemcpyHtoDAsync_v2" if on_host else "cuMemcpyAsync",
                memory.address + offset,
                tensor.address,
                tensor.byte_size,
            )
        return tensor.byte_size

    def tensor(self, datatype: str, shape: Sequence[int], offset: int = 0) -> SharedMemoryTensor:
        """A tensor that lies in it, for other libraries to take over without a copy.

        Raises:
            ValueError: it is closed or not so large, or the datatype has no fixed size.
        """
        memory = self._open()
        return SharedMemoryTensor(
            datatype, shape, memory.address, offset, self.byte_size, self.device_id, owner=memory
        )

    def close(self) -> None:
        """Release the memory; it is freed with its last tensor in use."""
        self._memory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<CudaRegion of {self.byte_size} bytes on device {self.device_id}{state}>"


def _has_streams(producer: Any) -> bool:
    # A bare capsule can't be asked, and its producer not be told.
    return hasattr(producer, "__dlpack_device__") and device_of(producer)[0] in (CUDA, CUDA_MANAGED)


def create_region(byte_size: int, device_id: int = 0) -> CudaRegion:
    """Allocate a region on a GPU. Its contents are undefined.

    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
        CudaError: there is no driver, no such GPU, or not so much memory.
    """
    byte_size = check_size(byte_size)
    on = device(device_id)
    address = c_uint64()
    on.call("cuMemAlloc_v2", byref(address), byte_size)
    return CudaRegion(_Memory(on, address.value, "cuMemFree_v2"), byte_size, device_id)


def attach_region(raw_handle: bytes, byte_size: int, device_id: int = 0) -> CudaRegion:
    """Open a region that another process created.

    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
        CudaError: there is no driver or no such GPU, or the handle is none of another process.
    """
    byte_size = check_size(byte_size)
    handle = IpcHandle.from_buffer_copy(check_handle(raw_handle))
    on = device(device_id)
    address = c_uint64()
    on.call("cuIpcOpenMemHandle_v2", byref(address), handle, LAZY_PEER_ACCESS)
    return CudaRegion(_Memory(on, address.value, "cuIpcCloseMemHandle"), byte_size, device_id)


def check_handle(raw_handle: bytes) -> bytes:
    """The 64 bytes of a handle, which may also come as base64.

    Raises:
        ValueError: it is none.
    """
    if len(raw_handle) == HANDLE_SIZE:
        return raw_handle
    try:
        decoded = base64.b64decode(raw_handle, validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != HANDLE_SIZE:
        raise ValueError(f"{raw_handle!r:.60} is no CUDA IPC handle of {HANDLE_SIZE} bytes")
    return decoded
