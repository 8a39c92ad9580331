"""Inputs and requested outputs of the classic clients, for both protocols."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datatypes import DATATYPES, NUMPY, datatype_for, meant_datatype, pack
from ..messages import InferTensor, Parameter, RequestedOutput
from ..operations import NO_PARAMETERS
from ..utils import raise_error, serialize_byte_tensor

if TYPE_CHECKING:
    from typing_extensions import Self


class Input:
    """A tensor to send: from an array, of which it takes a copy, or from shared memory.

    Args:
        shape: a sequence of numbers, which `shape` gives back as it is.
        datatype: one of the protocol's datatypes, such as "FP32".
    """

    # Programs make inputs for each request, so what all begin with is not set for each.
    _data: bytes | None = None
    _binary = True
    _parameters: Mapping[str, Parameter] = NO_PARAMETERS

    def __init__(self, name: str, shape: Sequence[int], datatype: str) -> None:
        self._name = name
        self._shape = shape
        self._datatype = datatype

    def name(self) -> str:
        """The input's name."""
        return self._name

    def datatype(self) -> str:
        """The input's datatype."""
        return self._datatype

    def shape(self) -> Sequence[int]:
        """The input's shape."""
        return self._shape

    def set_shape(self, shape: Sequence[int]) -> Self:
        """Change the shape; returns the input itself."""
        self._shape = shape
        return self

    def set_shared_memory(self, region_name: str, byte_size: int, offset: int = 0) -> Self:
        """Make the server read the input from shared memory; return the input itself.

        Args:
            region_name: the name under which the region is registered.
            byte_size: the size of the input in bytes.
            offset: where in the region it begins, in bytes.
        """
        self._data = None
        self._binary = True
        self._parameters = shared_memory(region_name, byte_size, offset)
        return self

    def _tensor(self) -> InferTensor:
        _check_name("input", self._name)
        if isinstance(self._shape, str):
            raise no_shape(self._shape)
        try:
            shape = tuple([int(size) for size in self._shape])
        except (TypeError, ValueError):
            raise no_shape(self._shape) from None
        return InferTensor(
            self._name,
            self._datatype,
            shape,
            self._data,
            self._parameters,
            self._binary,
        )


def shared_memory(region_name: str, byte_size: int, offset: int) -> dict[str, Parameter]:
    """The parameters that place a tensor in shared memory."""
    parameters: dict[str, Parameter] = {
        "shared_memory_region": region_name,
        "shared_memory_byte_size": byte_size,
    }
    if offset:
        parameters["shared_memory_offset"] = offset
    return parameters


class Output:
    """An output to return.

    Args:
        class_count: return this many best classes instead of the tensor; 0 for the tensor.
    """

    _binary = True
    _parameters: Mapping[str, Parameter] = NO_PARAMETERS

    def __init__(self, name: str, class_count: int, binary: bool) -> None:
        self._name = name
        self._class_count = class_count
        self._binary = binary

    def name(self) -> str:
        """The output's name."""
        return self._name

    def set_shared_memory(self, region_name: str, byte_size: int, offset: int = 0) -> None:
        """Make the server write the output to shared memory.

        Args:
            region_name: the name under which the region is registered.
            byte_size: the number of bytes that the output may take.
            offset: where in the region it begins, in bytes.

        Raises:
            InferenceServerException: classes were asked for.
        """
        if self._class_count:
            raise_error("shared memory can't be set on classification output")
        self._parameters = shared_memory(region_name, byte_size, offset)

    def unset_shared_memory(self) -> None:
        """Have the output returned in the response again."""
        self._parameters = NO_PARAMETERS

    def _requested(self) -> RequestedOutput:
        _check_name("output", self._name)
        return RequestedOutput(self._name, self._class_count, self._binary, self._parameters)


def _check_name(kind: str, name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name of an {kind} is {name!r:.60}, expected str")


def no_shape(shape: Any) -> TypeError:
    """Return the error for what is no shape."""
    return TypeError(f"shape is {shape!r:.60}, expected a list of whole numbers, such as [1, 16]")


def pack_array(array: Any, shape: Sequence[int], datatype: str) -> bytes:
    """A copy of an array as wire bytes, after a look at whether it is what it should be.

    Arrays of either byte order and of any layout will do. BYTES take arrays of bytes, of text, and
    of objects, which are sent as the text that `str` makes of them. BF16 takes bfloat16, and
    float32, which is rounded to nearest (ties to even).

    Raises:
        InferenceServerException: the array has another datatype or shape.
    """
    check_array(array, shape, datatype)
    if type(array) is not np.ndarray:
        _warn_of_masks(array)
    if datatype == "BYTES":
        return serialize_byte_tensor(array).item() if array.size else b""
    if array.dtype == NUMPY[datatype]:
        return array.tobytes()  # type: ignore[no-any-return]
    return bytes(pack(array, datatype))


def _warn_of_masks(array: Any) -> None:
    masked = np.count_nonzero(getattr(array, "mask", False))
    if masked:
        warnings.warn(
            f"input_tensor has {masked} masked elements, and the protocol has no masks; "
            "array.filled(value) says what to send for them",
            stacklevel=4,
        )


def check_array(array: Any, shape: Sequence[int], datatype: str) -> None:
    """Raise unless an array fits a tensor."""
    if not isinstance(array, np.ndarray):
        raise_error("input_tensor must be a numpy array")
    given = datatype_for(array.dtype)
    if given != datatype and not (datatype == "BF16" and given == "FP32"):
        text = f"got unexpected datatype {given} from numpy array, expected {datatype}."
        if not isinstance(datatype, str) or datatype not in DATATYPES:
            meant = meant_datatype(datatype)
            hint = f"; did you mean {meant!r}?" if meant else ""
            text += f" {datatype!r:.60} is not one of {', '.join(sorted(DATATYPES))}{hint}"
        raise_error(text)
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise no_shape(shape)
    if array.shape != tuple(shape):
        raise_error(
            f"got unexpected numpy array shape [{_listed(array.shape)}], "
            f"expected [{_listed(shape)}]"
        )


def _listed(shape: Sequence[int]) -> str:
    return str(shape)[1:-1]
