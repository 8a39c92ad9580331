"""DLPack capsules of numpy arrays, also of BF16, which numpy does not know.

numpy makes and reads capsules of uint16 arrays. The type code in the capsule is what makes them
BF16. See https://dmlc.github.io/dlpack/latest/c_api.html.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .....datatypes import Array
from .errors import TritonModelException

#: Device types and type codes.
CPU = 1
_HOST_MEMORY = (CPU, 3, 11, 13)  # CPU, CUDA host, ROCm host, CUDA managed
_UINT, _BFLOAT = 1, 4


class _Tensor(ctypes.Structure):
    """`DLTensor`, up to the type."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    )


_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, (ctypes.py_object,)
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)

_CAPSULE = type(np.zeros(1).__dlpack__())


def write(array: Array, *, bfloat16: bool) -> Any:
    """Return a capsule of an array's memory.

    Args:
        bfloat16: True if the array holds BF16 as bit patterns.
    """
    capsule = array.__dlpack__()
    if bfloat16:
        _head(capsule).code = _BFLOAT
    return capsule


def read(source: Any) -> tuple[Array, bool]:
    """Return an array of the memory of a capsule, and True if it holds BF16 as bit patterns.

    Args:
        source: a capsule, or an object with `__dlpack__`.

    Raises:
        TritonModelException: `source` is something else, cannot become a numpy array, or is not
            contiguous.
    """
    if hasattr(source, "__dlpack__") and hasattr(source, "__dlpack_device__"):
        device = source.__dlpack_device__()[0]
        if device not in _HOST_MEMORY:
            raise TritonModelException(
                f"the tensor is on a device of DLPack type {int(device)}; this server has only CPU "
                "memory: copy the tensor to the CPU first"
            )
        source = source.__dlpack__()
    if type(source) is not _CAPSULE or _name_of(source) != b"dltensor":
        raise TritonModelException(
            "Provided tensor is not supported. Tensor must be a DLPack capsule or have "
            f"`__dlpack__` and `__dlpack_device__` attributes; this is {type(source).__name__}"
        )
    head = _head(source)
    bfloat16 = (head.code, head.bits) == (_BFLOAT, 16)
    if bfloat16:
        head.code = _UINT
    try:
        array = np.from_dlpack(_Holder(source))
    except (BufferError, RuntimeError, TypeError) as error:
        raise TritonModelException(f"the DLPack tensor cannot be read: {error}") from error
    if not array.flags.c_contiguous:
        raise TritonModelException(
            "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in "
            "C-Order are supported; copy it first, with contiguous() of PyTorch for instance"
        )
    return array, bfloat16


def _head(capsule: Any) -> _Tensor:
    return _Tensor.from_address(_pointer_of(capsule, b"dltensor"))


class _Holder:
    """A capsule as an object with `__dlpack__`, which `numpy.from_dlpack` needs."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CPU, 0)
