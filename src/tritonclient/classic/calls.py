"""Inference calls of the classic clients, made quickly when they look like an earlier one.

What a call of nothing but tensors looks like is remembered, so that a further one like it brings
only its data; see `tritonclient.client.templates`, which does it for the modern client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ..datatypes import Buffer
from .tensors import Input, Output

T = TypeVar("T")


def listed(items: Iterable[T]) -> Sequence[T]:
    """The items of whatever gives them, a generator too, so that they can be gone through twice."""
    return items if isinstance(items, (list, tuple)) else list(items)


def looks(
    model: str,
    version: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output] | None,
) -> tuple[Any, list[Buffer]]:
    """What a call looks like, or None if it is out of the common, and its data."""
    data: list[Buffer] = []
    described: list[Any] = [model, version, len(inputs)]
    for tensor in inputs:
        content = tensor._data
        size = None
        if content is not None:
            if not tensor._binary:
                return None, data
            size = len(content)
            data.append(content)
        described += (tensor._name, tensor._datatype, tuple(tensor._shape), size)
        if tensor._parameters:
            described.append(tuple(tensor._parameters.values()))
    for output in outputs or ():
        described += (output._name, output._class_count, output._binary)
        if output._parameters:
            described.append(tuple(output._parameters.values()))
    return tuple(described), data
