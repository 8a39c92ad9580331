"""The classic `tritonclient.utils`: the exception, and conversion and packing of datatypes.

Star imports have the official names, `np` and `struct` included.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..classic.lazy_names import lazy_names
from ..datatypes import (
    NUMPY,
    Buffer,
    bfloat16,
    datatype_for,
    pack,
    pack_bytes,
    unpack_all_bytes,
    widen_bf16,
)
from ..errors import InferenceServerException
from ..operations import RESERVED_PARAMETERS, RESERVED_PREFIX

if TYPE_CHECKING:
    from ..shm.dlpack import SharedMemoryTensor

__all__ = [
    "TRITON_RESERVED_REQUEST_PARAMS",
    "TRITON_RESERVED_REQUEST_PARAMS_PREFIX",
    "InferenceServerException",
    "SharedMemoryTensor",
    "deserialize_bf16_tensor",
    "deserialize_bytes_tensor",
    "np",
    "np_to_triton_dtype",
    "raise_error",
    "serialize_bf16_tensor",
    "serialize_byte_tensor",
    "serialized_byte_size",
    "struct",
    "triton_to_np_dtype",
]

TRITON_RESERVED_REQUEST_PARAMS = list(RESERVED_PARAMETERS)
TRITON_RESERVED_REQUEST_PARAMS_PREFIX = RESERVED_PREFIX

_ArrayOfObjects = npt.NDArray[np.object_]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)


def raise_error(msg: str) -> NoReturn:
    """Raise an InferenceServerException with this text."""
    raise InferenceServerException(msg) from None


# Datatypes


def np_to_triton_dtype(np_dtype: npt.DTypeLike) -> str | None:
    """The protocol's datatype for a numpy dtype, or None when there is none.

    Arrays of text count as BYTES, and the byte order does not matter.
    """
    # To numpy, None is another word for float64.
    return None if np_dtype is None else datatype_for(np.dtype(np_dtype))


def triton_to_np_dtype(dtype: str) -> Any:
    """The scalar type whose numpy arrays hold a datatype, or None for an unknown datatype.

    BOOL gives Python's `bool`, BYTES `np.object_`, and BF16 `ml_dtypes.bfloat16` where that package
    is installed, otherwise `np.float32`.
    """
    if dtype == "BOOL":
        return bool
    if dtype == "BYTES":
        return np.object_
    if dtype == "BF16":
        return (bfloat16() or np.dtype(np.float32)).type
    return NUMPY[dtype].type if dtype in NUMPY else None


# BYTES


def serialize_byte_tensor(input_tensor: npt.NDArray[Any]) -> _ArrayOfObjects:
    """Pack an array of bytes or text, each element with its length in front.

    Elements that are neither are sent as the text that `str` makes of them.

    Returns:
        An array of no dimensions that holds one `bytes` object; `.item()` takes it out. An array
        without elements gives an empty one.

    Raises:
        InferenceServerException: the array holds numbers.
    """
    if input_tensor.size == 0:
        return np.empty(0, object)
    if input_tensor.dtype.kind not in "OSUT":
        raise_error("cannot serialize bytes tensor: invalid datatype")
    try:
        packed = pack_bytes(input_tensor)
    except ValueError:
        packed = pack_bytes(_as_text(input_tensor))
    return np.array(packed, object)


def _as_text(array: npt.NDArray[Any]) -> _ArrayOfObjects:
    texts: _ArrayOfObjects = np.empty(array.size, object)
    texts[:] = [item if isinstance(item, (bytes, bytearray)) else str(item) for item in array.flat]
    return texts


def deserialize_bytes_tensor(encoded_tensor: Buffer) -> _ArrayOfObjects:
    """Unpack a BYTES tensor.

    Returns:
        An array of one dimension with the elements as `bytes`.

    Raises:
        InferenceServerException: the data ends inside an element.
    """
    try:
        return unpack_all_bytes(memoryview(encoded_tensor).cast("B"))
    except ValueError as error:
        raise_error(f"cannot deserialize bytes tensor: {error}")


def serialized_byte_size(tensor_value: npt.NDArray[Any]) -> int:
    """The size in bytes of what `serialize_byte_tensor` returned.

    Raises:
        InferenceServerException: the array's dtype is not object.
    """
    if tensor_value.dtype != np.object_:
        raise_error("The tensor_value dtype must be np.object_")
    return sum(map(len, tensor_value.flat))


# BF16


def serialize_bf16_tensor(input_tensor: npt.NDArray[Any]) -> _ArrayOfObjects:
    """Pack an array of float32 (rounded to nearest, ties to even) or bfloat16 as BF16.

    Returns:
        As `serialize_byte_tensor` does.

    Raises:
        InferenceServerException: the array has another dtype.
    """
    if input_tensor.size == 0:
        return np.empty(0, object)
    if input_tensor.dtype != np.float32 and input_tensor.dtype.name != "bfloat16":
        raise_error("cannot serialize bf16 tensor: invalid datatype")
    return np.array(bytes(pack(input_tensor, "BF16")), object)


def deserialize_bf16_tensor(encoded_tensor: Buffer) -> npt.NDArray[np.float32]:
    """Unpack a BF16 tensor into a float32 array of one dimension.

    Raises:
        InferenceServerException: the data ends inside an element.
    """
    data = memoryview(encoded_tensor).cast("B")
    if len(data) % 2:
        raise_error(f"cannot deserialize bf16 tensor: {len(data)} bytes are no pairs of bytes")
    return widen_bf16(np.frombuffer(data, NUMPY["BF16"]))
