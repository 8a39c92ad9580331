"""`Tensor` of `triton_python_backend_utils`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..... import datatypes
from .....datatypes import Array
from .errors import TritonModelException


class Tensor:
    """A named tensor in CPU memory."""

    def __init__(self, name: str, array: npt.ArrayLike) -> None:
        if not isinstance(array, np.ndarray):
            raise TritonModelException(
                f"Tensor '{name}' must be made from a numpy array, not {type(array).__name__}"
            )
        try:
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
                "tensor dtype is bf16 and cannot be converted to numpy. Use DLPack instead."
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
    def from_dlpack(name: str, source: Any) -> Tensor:
        """Return a tensor from a DLPack capsule, or from an object with `__dlpack__`."""
        if isinstance(source, Tensor):
            return Tensor.of(name, source._datatype, source._array)
        if not hasattr(source, "__dlpack__"):
            source = _Capsule(source)
        return Tensor(name, np.from_dlpack(source))

    def __dlpack__(self, **options: Any) -> Any:
        if self._datatype in ("BF16", "BYTES"):
            raise TritonModelException(f"{self._datatype} tensors have no DLPack form here")
        return self._writable().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class _Capsule:
    """A DLPack capsule as an object with `__dlpack__`, which `numpy.from_dlpack` needs."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)
