"""Tensors exchanged by DLPack: the protocol by which torch, CuPy, JAX and numpy share memory.

A producer hands out a capsule that points to a description of its tensor. What we take, we only
borrow: the capsule is kept while the tensor is copied, then dropped, which makes the producer clean
up. What we hand out is kept alive, and with it the memory, until the consumer is done with it.

Sources: the DLPack header (dlpack.h, versions 0.8 and 1.0), the Python array API's specification of
`__dlpack__`.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, Structure, c_char_p, c_int, c_void_p
from typing import Any, NamedTuple

import numpy as np

from ..datatypes import NUMPY

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13

_INT, _UINT, _FLOAT, _BFLOAT, _BOOL = 0, 1, 2, 4, 6
#: Datatypes by DLPack's code and number of bits.
_DATATYPES = {
    (_BOOL, 8): "BOOL",
    (_BFLOAT, 16): "BF16",
    **{(_INT, bits): f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{(_UINT, bits): f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{(_FLOAT, bits): f"FP{bits}" for bits in (16, 32, 64)},
}
_CODES = {datatype: code for code, datatype in _DATATYPES.items()}
#: numpy's names of dtypes with as many bits.
_NUMPY_NAMES = {name: NUMPY[name].name for name in _CODES}


class _Device(Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(Structure):
    _fields_ = (
        ("data", c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", POINTER(ctypes.c_int64)),
        ("strides", POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = CFUNCTYPE(None, c_void_p)


class _Managed(Structure):
    _fields_ = (("tensor", _Tensor), ("context", c_void_p), ("deleter", _Deleter))


class _Versioned(Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


# The names outlive every capsule, as capsules only point to them.
_UNVERSIONED = b"dltensor"
_VERSIONED = b"dltensor_versioned"
_KINDS: dict[bytes, type[_Managed] | type[_Versioned]] = {
    _UNVERSIONED: _Managed,
    _VERSIONED: _Versioned,
}

_is_capsule = PYFUNCTYPE(c_int, c_void_p, c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_pointer_of = PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))


# Taking


class Borrowed(NamedTuple):
    """A tensor of another library, there for as long as this object is.

    Attributes:
        address: where its first element lies.
        datatype: the protocol's name of its datatype, None when it has none.
        contiguous: whether its elements lie in row-major order without gaps.
        capsule: keeps it alive.
    """

    address: int
    device_type: int
    device_id: int
    datatype: str | None
    shape: tuple[int, ...]
    byte_size: int
    contiguous: bool
    capsule: object


def device_of(producer: Any) -> tuple[int, int]:
    """Type and number of the device that a tensor is on."""
    device_type, device_id = producer.__dlpack_device__()
    return int(device_type), int(device_id)


def borrow(producer: Any, stream: int | None = None) -> Borrowed:
    """Return the tensor of an object that supports DLPack, or of a capsule.

    Args:
        stream: address of the CUDA stream on which the tensor is going to be read; its producer
            makes that stream wait until the tensor is complete.

    Raises:
        TypeError: the object does not support DLPack.
        BufferError: its producer can't export it.
    """
    capsule = producer if type(producer).__name__ == "PyCapsule" else _export(producer, stream)
    for name, kind in _KINDS.items():
        if _is_capsule(id(capsule), name):
            address = _pointer_of(id(capsule), name)
            return _describe(kind.from_address(address or 0).tensor, capsule)
    raise TypeError(f"{producer!r:.60} is no DLPack tensor, or one that was used already")


def _export(producer: Any, stream: int | None) -> object:
    if not hasattr(producer, "__dlpack__"):
        raise TypeError(f"{type(producer).__name__} does not speak DLPack")
    # Only a producer on a GPU has work that a stream can wait for.
    given = {} if stream is None else {"stream": stream}
    try:
        return producer.__dlpack__(**given, max_version=(1, 0))
    except TypeError:  # one of before version 1
        return producer.__dlpack__(**given)


def _describe(tensor: _Tensor, capsule: object) -> Borrowed:
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    dtype = tensor.dtype
    datatype = _DATATYPES.get((dtype.code, dtype.bits)) if dtype.lanes == 1 else None
    return Borrowed(
        (tensor.data or 0) + tensor.byte_offset,
        tensor.device.type,
        tensor.device.id,
        datatype,
        shape,
        math.prod(shape) * ((dtype.bits * dtype.lanes + 7) // 8),
        is_contiguous(shape, strides),
        capsule,
    )


def bfloat16_bits(producer: Any) -> Any:
    """Return BF16 in the CPU's memory as an array of its bit patterns; None for anything else.

    numpy does not know the datatype. It takes the capsule when the code in it says uint16.

    Raises:
        BufferError, RuntimeError, TypeError, ValueError: the tensor can't be exported or read.
    """
    capsule = producer.__dlpack__()
    if not _is_capsule(id(capsule), _UNVERSIONED):
        return None
    tensor = _Managed.from_address(_pointer_of(id(capsule), _UNVERSIONED) or 0).tensor
    if (tensor.dtype.code, tensor.dtype.bits) != (_BFLOAT, 16) or tensor.device.type != CPU:
        return None
    tensor.dtype.code = _UINT
    exporter: Any = _Capsule(capsule)
    return np.from_dlpack(exporter)


class _Capsule:
    """A capsule as the object that numpy takes tensors from."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> object:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0


def is_contiguous(shape: Sequence[int], strides: Sequence[int] | None) -> bool:
    """True if elements are in row-major order without gaps; strides are in elements."""
    if strides is None or 0 in shape:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:  # a single element may have any stride
            return False
        expected *= size
    return True


# Giving


class SharedMemoryTensor:
    """A tensor in shared memory that other libraries can take over by DLPack.

    For example `torch.from_dlpack(tensor)` makes a torch tensor of it, without a copy.

    Args:
        dtype: one of the protocol's datatypes of fixed size.
        shape: its shape.
        shm_addr: where its region begins.
        offset: where in the region it begins.
        byte_size: the size of the region.
        device_id: the number of the GPU it is on, -1 for memory of the CPU.
        owner: what keeps the region's memory alive.

    Raises:
        ValueError: there is no such datatype, or the tensor does not fit into the region.
    """

    def __init__(
        self,
        dtype: str,
        shape: Sequence[int],
        shm_addr: int,
        offset: int,
        byte_size: int,
        device_id: int,
        *,
        owner: object = None,
    ) -> None:
        if dtype not in _CODES:
            raise ValueError(f"datatype {dtype!r} has no DLPack form")
        self.dtype = dtype
        self.shape = tuple(shape)
        needed = math.prod(self.shape) * _CODES[dtype][1] // 8
        if min(self.shape, default=0) < 0 or not 0 <= offset <= byte_size - needed:
            raise ValueError(
                f"a {dtype} tensor of shape {list(self.shape)} at offset {offset} does not fit "
                f"into {byte_size} bytes"
            )
        self._address = shm_addr
        self._offset = offset
        self._device = (CPU, 0) if device_id == -1 else (CUDA, device_id)
        self._owner = owner

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """A capsule for a consumer.

        Whatever wrote to the region has completed by then, so that no stream needs to wait.
        """
        if stream == 0 and self._device[0] == CUDA:
            raise ValueError("stream 0 is ambiguous; 1 is the default stream")
        if copy or (dl_device is not None and tuple(dl_device) != self._device):
            raise BufferError("shared memory is exported where it is, and not copied")
        return self._capsule(max_version is not None and max_version[0] >= 1)

    def _capsule(self, versioned: bool) -> object:
        # numpy makes the capsule and cleans up after it; what numpy does not know is put into it.
        numpy_name, (code, _) = _NUMPY_NAMES[self.dtype], _CODES[self.dtype]
        array: Any = np.asarray(_Memory(self._address + self._offset, self.shape, numpy_name, self))
        try:
            capsule = array.__dlpack__(max_version=(1, 0)) if versioned else array.__dlpack__()
        except TypeError:  # numpy before 2.1 has no versions
            capsule = array.__dlpack__()
        name, kind = next(each for each in _KINDS.items() if _is_capsule(id(capsule), each[0]))
        tensor = kind.from_address(_pointer_of(id(capsule), name) or 0).tensor
        tensor.dtype.code = code
        tensor.device = _Device(*self._device)
        return capsule


class _Memory:
    """Memory as the object that numpy makes an array of, which keeps its owner alive."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: str, owner: object) -> None:
        self._owner = owner
        self.__array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }
