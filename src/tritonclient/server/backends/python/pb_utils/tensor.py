"""`Tensor` of `triton_python_backend_utils`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..... import datatypes
from .....datatypes import Array
from . import dlpack
from .errors import TritonModelException


def text(name: str, value: Any) -> str:
    """Return text that a model gives as str or bytes; TypeError for other types.

    Args:
        name: the name of the argument.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"{name} is {type(value).__name__}, expected str")


class Tensor:
    """A named tensor in CPU memory.

    Args:
        name: the name, as str or bytes.
        array: a numpy array. Of objects that are not bytes, BYTES has the text of `str()`.

    Raises:
        TypeError: an argument has another type.
        TritonModelException: the dtype has no datatype.
    """

    def __init__(self, name: str, array: Array) -> None:
        name = text("name of a tensor", name)
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"tensor '{name}' is made from {type(array).__name__}, expected numpy.ndarray"
            )
        try:
            if array.dtype.kind in "UT":
                raise ValueError("NumPy dtype is not supported; use np.object_ for text")
            if not array.dtype.isnative:
                raise ValueError(
                    f"NumPy dtype is not supported: {array.dtype} has another byte order; use "
                    "array.astype(array.dtype.newbyteorder('='))"
                )
            self._datatype = datatypes.datatype_of(array)
        except ValueError as error:
            raise TritonModelException(f"Tensor '{name}': {error}") from error
        if self._datatype == "BF16":
            array = array.view(np.uint16)
        self._name = name
        self._array: Array = array

    @classmethod
    def of(cls, name: str, datatype: str, array: Array) -> Tensor:
        """Return a tensor of this datatype; `array` holds BF16 as bit patterns."""
        tensor = cls.__new__(cls)
        tensor._name, tensor._datatype, tensor._array = name, datatype, array
        return tensor

    def name(self) -> str:
        return self._name

    def shape(self) -> list[int]:
        return list(self._array.shape)

    def triton_dtype(self) -> str:
        return self._datatype

    def as_numpy(self) -> Array:
        """Return the tensor's memory as a writable array; numpy has no BF16."""
        if self._datatype == "BF16":
            raise TritonModelException(
                "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and "
                "from_dlpack() instead."
            )
        return self._writable()

    def _writable(self) -> Array:
        # Models may write to their inputs, but a gRPC message is read-only.
        if not self._array.flags.writeable:
            self._array = self._array.copy()
        return self._array

    def is_cpu(self) -> bool:
        return True

    def to_dlpack(self) -> Any:
        """Return a DLPack capsule of the tensor's memory."""
        return self.__dlpack__()

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> Tensor:
        """Return a tensor of the memory of a DLPack capsule or of an object with `__dlpack__`.

        Raises:
            TritonModelException: `tensor` is something else, or is not in CPU memory.
        """
        name = text("name of a tensor", name)
        if isinstance(tensor, Tensor):
            return Tensor.of(name, tensor._datatype, tensor._array)
        array, bfloat16 = dlpack.read(tensor)
        return Tensor.of(name, "BF16", array) if bfloat16 else Tensor(name, array)

    def __dlpack__(self, *, stream: Any = None, **options: Any) -> Any:
        if self._datatype == "BYTES":
            raise TritonModelException("DLPack does not have support for string tensors.")
        return dlpack.write(self._writable(), bfloat16=self._datatype == "BF16")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (dlpack.CPU, 0)
