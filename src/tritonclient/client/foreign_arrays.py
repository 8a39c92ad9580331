"""Arrays and tensors of other libraries, such as torch, JAX, pandas and pyarrow, read by numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datatypes import Array, bf16_array
from .strange_values import excerpt

#: What producers raise for what they can't export.
_REFUSALS = (BufferError, RuntimeError, TypeError, ValueError)


def read(value: Any) -> Array:
    """Return an array of what numpy can make one of, in the memory of the value where possible.

    BF16 becomes an array of `ml_dtypes.bfloat16`, or of float32 if that package is missing.

    Raises:
        UnicodeDecodeError: texts and bytes are mixed, which numpy tries to unify.
        ValueError: the value can't be read.
    """
    # What has no device is in the CPU's memory, and `__array__` knows more datatypes than DLPack.
    by_dlpack = hasattr(value, "__dlpack__")
    if by_dlpack and (hasattr(value, "device") or not hasattr(value, "__array__")):
        return _from_dlpack(value)
    try:
        return np.asarray(value)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{excerpt(value)} is not a rectangular array: {str(error).rstrip('.')}; "
            "pad its parts to one length, or send each on its own"
        ) from None
    except (BufferError, RuntimeError, TypeError) as error:
        raise ValueError(f"{excerpt(value)} can't be read as an array: {error}") from error


def _from_dlpack(value: Any) -> Array:
    try:
        return np.from_dlpack(value)
    except _REFUSALS as error:
        array = _of_other_datatype(value)
        if array is not None:
            return array
        raise ValueError(
            f"{type(value).__name__} can't be read as a CPU array: {str(error).rstrip('.')}"
            f"{_way_to_numpy(value)}"
        ) from None


def _of_other_datatype(value: Any) -> Array | None:
    """Return an array of a datatype that numpy does not know by DLPack, or None."""
    try:
        from ..shm.dlpack import bfloat16_bits  # few values need it

        bits = bfloat16_bits(value)
        if bits is not None:
            return bf16_array(bits)
        return np.asarray(value) if hasattr(value, "__array__") else None
    except _REFUSALS:
        return None


def _way_to_numpy(value: Any) -> str:
    """How a tensor becomes one that numpy reads."""
    if getattr(value, "requires_grad", False) is True:
        return "; give tensor.detach()"
    if getattr(value, "is_sparse", False) is True:
        return "; give tensor.to_dense()"
    if getattr(value, "is_quantized", False) is True:
        return "; give tensor.dequantize()"
    try:
        on_cpu = value.__dlpack_device__()[0] in (1, 3)  # DLPack's CPU, and pinned memory
    except Exception:  # whatever the library raises for a tensor without memory
        return "; give a tensor that is in memory"
    if not on_cpu:
        return "; give a copy on the CPU, such as tensor.cpu(); see also client.shared_memory()"
    return "; give a dense tensor of a datatype that numpy has, such as tensor.float()"
