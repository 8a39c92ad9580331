"""The classic `tritonclient.utils.cuda_shared_memory`: regions of GPU memory by old names.

region = create_shared_memory_region("input_data", 64, device_id=0)
set_shared_memory_region(region, [array])
client.register_cuda_shared_memory("input_data", get_raw_handle(region), 0, 64)
...
destroy_shared_memory_region(region)
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ..datatypes import Array, element_count, leading_bytes, unpack_bytes
from ..shm.cuda import CudaRegion, create_region
from ..shm.cuda_driver import CudaError
from ..shm.dlpack import SharedMemoryTensor
from ..shm.system import check_bounds
from .shared_memory import little_endian, stored

__all__ = [
    "CudaSharedMemoryException",
    "CudaSharedMemoryRegion",
    "SharedMemoryTensor",
    "allocated_shared_memory_regions",
    "allocated_shm_regions",
    "as_shared_memory_tensor",
    "create_shared_memory_region",
    "destroy_shared_memory_region",
    "get_contents_as_numpy",
    "get_raw_handle",
    "set_shared_memory_region",
    "set_shared_memory_region_from_dlpack",
]


class CudaSharedMemoryException(Exception):
    """Something is wrong with a region; the cause is chained."""


class CudaSharedMemoryRegion:
    """A region that `create_shared_memory_region` made."""

    def __init__(self, triton_shm_name: str, region: CudaRegion) -> None:
        self._triton_shm_name = triton_shm_name
        self._byte_size = region.byte_size
        self._device_id = region.device_id
        self._region = region


#: The regions that are not destroyed yet.
allocated_shm_regions: list[CudaSharedMemoryRegion] = []


@contextmanager
def _failing_with(text: str) -> Iterator[None]:
    try:
        yield
    except (CudaError, TypeError, ValueError, BufferError) as error:
        raise CudaSharedMemoryException(text) from error


def create_shared_memory_region(
    triton_shm_name: str, byte_size: int, device_id: int
) -> CudaSharedMemoryRegion:
    """Allocate a region on a GPU.

    Args:
        triton_shm_name: the name by which the region is to be registered with the server.
        byte_size: its size.
        device_id: the number of the GPU.

    Raises:
        CudaSharedMemoryException: it can't be done.
    """
    with _failing_with("unable to create cuda shared memory handle"):
        region = create_region(byte_size, device_id)
        region.raw_handle()  # some memory can't be shared, which is better known at once
    handle = CudaSharedMemoryRegion(triton_shm_name, region)
    allocated_shm_regions.append(handle)
    return handle


def get_raw_handle(cuda_shm_handle: CudaSharedMemoryRegion) -> bytes:
    """Return the handle of a region in base64, for `register_cuda_shared_memory`."""
    with _failing_with("unable to get the handle of cuda shared memory"):
        return base64.b64encode(cuda_shm_handle._region.raw_handle())


def set_shared_memory_region(
    cuda_shm_handle: CudaSharedMemoryRegion,
    input_values: Sequence[npt.NDArray[Any]],
    offset: int = 0,
) -> None:
    """Copy arrays into a region, one behind the other.

    Args:
        input_values: a list or tuple of arrays; BYTES tensors as `serialize_byte_tensor` makes
            them.
        offset: where the first one begins.

    Raises:
        CudaSharedMemoryException: they are no arrays, or do not fit; nothing was written.
    """
    if not isinstance(input_values, (list, tuple)):
        raise CudaSharedMemoryException("input_values must be specified as a numpy array")
    if not all(isinstance(value, np.ndarray) for value in input_values):
        raise CudaSharedMemoryException(
            "input_values must be specified as a list/tuple of numpy arrays"
        )
    with _failing_with("unable to set values in cuda shared memory"):
        values = [_bytes_of(stored(value)) for value in input_values]
        check_bounds(cuda_shm_handle._byte_size, offset, sum(value.nbytes for value in values))
        for value in values:
            cuda_shm_handle._region.write(value.data, offset)
            offset += value.nbytes


def _bytes_of(array: Array) -> Array:
    return np.ascontiguousarray(array, little_endian(array.dtype)).ravel().view(np.uint8)


def set_shared_memory_region_from_dlpack(
    cuda_shm_handle: CudaSharedMemoryRegion, input_values: Iterable[Any], offset: int = 0
) -> None:
    """Copy tensors of other libraries into a region, one behind the other.

    Args:
        input_values: tensors that support DLPack, in row-major order, on a GPU or the CPU.
        offset: where the first one begins.

    Raises:
        CudaSharedMemoryException: one is no such tensor, or does not fit.
    """
    for value in input_values:
        try:
            offset += cuda_shm_handle._region.write_tensor(value, offset)
        except (CudaError, TypeError, ValueError, BufferError) as error:
            raise CudaSharedMemoryException(str(error)) from error


def get_contents_as_numpy(
    cuda_shm_handle: CudaSharedMemoryRegion,
    datatype: npt.DTypeLike,
    shape: Sequence[int],
    offset: int = 0,
) -> npt.NDArray[Any]:
    """A copy of the tensor that lies in a region.

    Args:
        datatype: its numpy type; `np.object_` or `np.bytes_` for BYTES.
        shape: its shape.
        offset: where it begins.

    Raises:
        CudaSharedMemoryException: the region is too small or destroyed, or can't be read.
    """
    region, dtype, count = cuda_shm_handle._region, np.dtype(datatype), element_count(shape)
    is_bytes = dtype.kind in "OSU"
    size = 4 * count if is_bytes else dtype.itemsize * count
    if not 0 <= offset <= region.byte_size - size:
        raise CudaSharedMemoryException(
            "The size of the shared memory region is insufficient to provide numpy array with "
            "requested size"
        )
    with _failing_with("failed to read cuda shared memory results"):
        data = region.read(offset, None if is_bytes else size)
        if is_bytes:
            return unpack_bytes(data[: leading_bytes(data, count)], count).reshape(shape)
        return np.ndarray(shape, little_endian(dtype), data)


def as_shared_memory_tensor(
    cuda_shm_handle: CudaSharedMemoryRegion, datatype: str, shape: Sequence[int], offset: int = 0
) -> SharedMemoryTensor:
    """A tensor that lies in a region, for other libraries to take over, without a copy.

    Args:
        datatype: one of the protocol's datatypes of fixed size, such as "FP32".
        shape: its shape.
        offset: where it begins.

    Returns:
        What `torch.from_dlpack` and its like take. The region's memory stays as long as that.
    """
    with _failing_with(f"no tensor of {datatype} and shape {list(shape)} lies in the region"):
        return cuda_shm_handle._region.tensor(datatype, shape, offset)


def allocated_shared_memory_regions() -> list[CudaSharedMemoryRegion]:
    """The regions that are not destroyed yet."""
    return allocated_shm_regions


def destroy_shared_memory_region(cuda_shm_handle: CudaSharedMemoryRegion) -> None:
    """Free a region. Tensors that other libraries took of it stay valid.

    Raises:
        ValueError: it is destroyed already.
    """
    try:
        allocated_shm_regions.remove(cuda_shm_handle)
    except ValueError:
        raise ValueError("the CUDA shared memory region is destroyed already") from None
    cuda_shm_handle._region.close()
