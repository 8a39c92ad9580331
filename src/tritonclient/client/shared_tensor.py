"""Single tensors in shared memory, as inputs and outputs of models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..datatypes import DATATYPES, Array, byte_size, datatype_for, element_count, pack, unpack
from ..messages import InferTensor, RequestedOutput
from ..shm.blocks import Block
from ..shm.dlpack import CUDA, CUDA_MANAGED, SharedMemoryTensor, borrow, device_of
from .requests import TensorLike, convert
from .signatures import explains_arguments
from .suggestions import SHARED_TENSOR_NAMES, meant, no_attribute, not_picklable


@explains_arguments
class SharedTensor:
    """A tensor in shared memory, made by `put` and `empty` of a `SharedMemory`.

    It can be given for an input, and `output` makes a model put its output there. Keep it for as
    long as a server may still use it, which may be longer than a call that timed out.

    Attributes:
        datatype: one of the protocol's datatypes.
        shape: its shape.
    """

    def __init__(self, block: Block | None, datatype: str, shape: tuple[int, ...]) -> None:
        self.datatype = datatype
        self.shape = shape
        self._block = block  # None when it has no bytes
        self._byte_size = block.byte_size if block else 0

    def read(self) -> Array:
        """Return its elements as an array.

        In system shared memory the array is a view: writing to it changes the tensor. BYTES, and
        tensors on a GPU, are copied.
        """
        if self._block is None:
            return unpack(b"", self.datatype, self.shape)
        return self._block.read(self.datatype, self.shape)

    def write(self, value: TensorLike) -> None:
        """Replace its elements.

        Raises:
            ValueError: the value has another datatype or shape, or too long BYTES.
        """
        array = convert(value, self.datatype)
        if array.shape != self.shape:
            raise ValueError(
                f"the value has shape {list(array.shape)}, the tensor {list(self.shape)}"
            )
        data = pack(array, self.datatype)
        if self._block is None:
            return
        if len(data) > self._block.byte_size:
            raise ValueError(f"{len(data)} bytes do not fit into {self._block.byte_size}")
        self._block.write(data)
        self._byte_size = len(data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.read(), dtype, copy=copy is not False)

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, SHARED_TENSOR_NAMES)

    def as_input(self, name: str) -> InferTensor:
        """The input that it is for a model."""
        if self._block is None:
            return InferTensor(name, self.datatype, self.shape, b"")
        where = self._block.parameters(self._byte_size)
        return InferTensor(name, self.datatype, self.shape, None, where)

    def output(self, name: str) -> RequestedOutput:
        """Asks for an output of a model to be put here."""
        return SharedOutput(name, place=self._block)

    def __dlpack__(self, **options: Any) -> object:
        return self._exported().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._exported().__dlpack_device__()

    def _exported(self) -> SharedMemoryTensor:
        if self._block is None:
            raise BufferError("a tensor without elements lies nowhere")
        return self._block.tensor(self.datatype, self.shape)

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it lies in shared memory", "read() gives an array")

    def __repr__(self) -> str:
        return f"<SharedTensor {self.datatype} {list(self.shape)}>"


class SharedOutput(RequestedOutput):
    """An output to be put into shared memory: at its place, or wherever there is room for it."""

    place: Block | None = None
    byte_size: int | None = None

    def __new__(
        cls, name: str, *, byte_size: int | None = None, place: Block | None = None
    ) -> SharedOutput:
        where = place.parameters() if place else {}
        output = super().__new__(cls, name, binary=not place, parameters=where)
        output.place, output.byte_size = place, byte_size
        return output


class OnGpu:
    """A tensor of another library that lies on a GPU, as an input."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.taken = borrow(producer)

    def as_input(self, name: str) -> InferTensor:
        if self.taken.datatype is None:
            raise ValueError("the tensor's elements have no v2 datatype")
        data = None if self.taken.byte_size else b""
        return InferTensor(name, self.taken.datatype, self.taken.shape, data)


def is_on_gpu(value: Any) -> bool:
    """True if a value is a GPU tensor of another library."""
    if isinstance(value, SharedTensor) or not hasattr(value, "__dlpack_device__"):
        return False
    return device_of(value)[0] in (CUDA, CUDA_MANAGED)


def datatype_named(datatype: npt.DTypeLike | None) -> str:
    """The protocol's datatype that a name of it, or a numpy dtype, means.

    Raises:
        TypeError, ValueError: there is none.
    """
    if isinstance(datatype, str) and datatype in DATATYPES:
        return datatype
    name = None
    if datatype is not None:
        with suppress(TypeError, ValueError):  # of what is no dtype
            name = datatype_for(np.dtype(datatype))
    if name is None:
        raise ValueError(
            f"datatype is {datatype!r:.60}, expected one of the protocol's, such as 'FP32', or a "
            f"numpy dtype{meant(str(datatype), DATATYPES) if datatype is not None else ''}"
        )
    return name


def checked_shape(shape: Any, name: str = "shape") -> tuple[int, ...]:
    """Return a shape as numbers of Python.

    Raises:
        TypeError, ValueError: it is no sequence of sizes.
    """
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
        raise TypeError(f"{name} is {shape!r:.60}, expected a sequence of sizes, such as [2, 3]")
    sizes = list(shape)
    for each in sizes:
        if isinstance(each, bool) or not isinstance(each, Integral):
            raise TypeError(f"{name} is {sizes!r:.60}, expected whole numbers")
        if each < 0:
            raise ValueError(f"{name} is {sizes!r:.60}, expected numbers from 0")
    return tuple(map(int, sizes))


def size_of(datatype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor.

    Raises:
        ValueError: the datatype has no fixed size.
    """
    size = byte_size(datatype, element_count(shape))
    if size is None:
        raise ValueError("a shape does not tell the size of BYTES; give a number of bytes")
    return size
