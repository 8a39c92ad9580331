"""Requested outputs over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..classic.lazy_names import lazy_names
from ..classic.tensors import Output
from ..messages import Infer
from ._infer_input import message_of


class InferRequestedOutput(Output):
    """An output to return.

    Args:
        name: the output's name.
        class_count: return this many best classes instead of the tensor; 0 for the tensor.
    """

    def __init__(self, name: str, class_count: int = 0) -> None:
        self._name = name
        self._class_count = class_count

    def _get_tensor(self) -> Any:
        """The output as the message InferRequestedOutputTensor."""
        return message_of(Infer("-", (), outputs=(self._requested(),))).outputs[0]

    @property
    def _output(self) -> Any:
        """The message, under the name by which programs read it."""
        return self._get_tensor()


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
