"""Inputs over HTTP, where tensors may also travel as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..classic.lazy_names import lazy_names
from ..classic.tensors import Input, pack_array
from ..codec import rest_infer
from ..datatypes import pack_bytes
from ..messages import Infer
from ..operations import NO_PARAMETERS
from ..utils import raise_error

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..datatypes import Array


class InferInput(Input):
    """An input: from an array, of which it takes a copy, or from shared memory.

    Args:
        name: the input's name.
        shape: its shape, a sequence of numbers.
        datatype: its datatype, such as "FP32".
    """

    def __init__(self, name: str, shape: Sequence[int], datatype: str) -> None:
        super().__init__(name, shape, datatype)

    def set_data_from_numpy(self, input_tensor: Array, binary_data: bool = True) -> Self:
        """Take a copy of an array as the input's data; returns the input itself.

        Args:
            input_tensor: an array of the input's shape and datatype. BYTES take bytes, texts and
                objects; BF16 takes bfloat16 and float32, which is rounded.
            binary_data: False to send the elements as JSON.

        Raises:
            InferenceServerException: the array does not fit the input, or has no JSON form.
        """
        data = pack_array(input_tensor, self._shape, self._datatype)
        self._data = data if binary_data else _for_json(input_tensor, data, self._datatype)
        self._binary = binary_data
        self._parameters = NO_PARAMETERS
        return self

    def _get_tensor(self) -> dict[str, Any]:
        """Return the input as JSON of the request."""
        return {**json_of(Infer("", (self._tensor(),)), "inputs"), "shape": self._shape}

    def _get_binary_data(self) -> bytes | None:
        """Return the binary data of the input, or None if there is none."""
        return self._data if self._binary else None

    @property
    def _raw_data(self) -> bytes | None:
        """The binary data, under the name by which programs read and set it."""
        return self._get_binary_data()

    @_raw_data.setter
    def _raw_data(self, data: bytes | None) -> None:
        self._data, self._binary = data, True


def _for_json(array: Array, packed: bytes, datatype: str) -> bytes:
    """The wire bytes of an array that is to be sent as JSON, if it has such a form."""
    if datatype == "BF16":
        raise_error(
            "BF16 inputs must be sent as binary data over HTTP. Please set binary_data=True"
        )
    if datatype == "BYTES":
        return pack_bytes(np.array([_text(item) for item in array.flat], object))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise_error("NaN and infinities have no JSON form. Please set binary_data=True")
    return packed


def _text(item: Any) -> str:
    if not isinstance(item, bytes):
        return str(item)
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise_error(
            f'Failed to encode "{item!r}" using UTF-8. Please use binary_data=True, if you want '
            "to pass a byte array."
        )


def json_of(request: Infer, kind: str) -> dict[str, Any]:
    """Return the first input or output of a request as JSON."""
    _, body = rest_infer.encode_request(request)
    return json.loads(bytes(body[0]))[kind][0]  # type: ignore[no-any-return]


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
