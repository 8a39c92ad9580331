"""Requested outputs over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..classic.lazy_names import lazy_names
from ..classic.tensors import Output
from ..messages import Infer
from ._infer_input import json_of


class InferRequestedOutput(Output):
    """An output to return.

    Args:
        name: the output's name.
        binary_data: False to have the elements returned as JSON.
        class_count: return this many best classes instead of the tensor; 0 for the tensor.
    """

    def __init__(self, name: str, binary_data: bool = True, class_count: int = 0) -> None:
        super().__init__(name, class_count, binary_data)

    def _get_tensor(self) -> dict[str, Any]:
        """Return the output as JSON of the request."""
        return json_of(Infer("", (), outputs=(self._requested(),)), "outputs")


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
