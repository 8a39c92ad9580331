"""Inputs over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

from ..classic.lazy_names import lazy_names
from ..classic.tensors import Input, no_shape, pack_array
from ..codec import rpc, rpc_infer
from ..messages import Infer
from ..operations import NO_PARAMETERS

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..datatypes import Array


class InferInput(Input):
    """An input: from an array, of which it takes a copy, or from shared memory.

    Args:
        name: the input's name.
        shape: its shape, a sequence of numbers, which is copied.
        datatype: its datatype, such as "FP32".
    """

    def __init__(self, name: str, shape: Sequence[int], datatype: str) -> None:
        # Not by way of the base class, since programs make inputs for each request.
        self._name = name
        self._shape = _sizes(shape)
        self._datatype = datatype

    def set_shape(self, shape: Sequence[int]) -> Self:
        """Change the shape; returns the input itself."""
        return super().set_shape(_sizes(shape))

    def set_data_from_numpy(self, input_tensor: Array) -> Self:
        """Take a copy of an array as the input's data; returns the input itself.

        Args:
            input_tensor: an array of the input's shape and datatype. BYTES take bytes, texts and
                objects; BF16 takes bfloat16 and float32, which is rounded.

        Raises:
            InferenceServerException: the array does not fit the input.
        """
        self._data = pack_array(input_tensor, self._shape, self._datatype)
        self._parameters = NO_PARAMETERS
        return self

    def _get_tensor(self) -> Any:
        """The input as the message InferInputTensor, which has no data."""
        tensor = self._tensor()._replace(data=None)
        return message_of(Infer("-", (tensor,))).inputs[0]

    def _get_content(self) -> bytes | None:
        """Its data, or None when it is in shared memory."""
        return self._data

    # Under the names by which programs read and set them

    @property
    def _input(self) -> Any:
        return self._get_tensor()

    @property
    def _raw_content(self) -> bytes | None:
        return self._data

    @_raw_content.setter
    def _raw_content(self, content: bytes | None) -> None:
        self._data = content


def _sizes(shape: Sequence[int]) -> list[int]:
    try:
        return list(map(index, shape))
    except TypeError:
        raise no_shape(shape) from None


def message_of(request: Infer) -> Any:
    """A request as the message ModelInferRequest."""
    return rpc.parse("ModelInferRequest", b"".join(rpc_infer.encode_request(request)))


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
