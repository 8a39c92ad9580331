"""Keys of request templates for the classic clients; see `tritonclient.client.templates`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ..datatypes import Buffer
from .tensors import Input, Output

T = TypeVar("T")


def as_sequence(items: Iterable[T]) -> Sequence[T]:
    """Return the items of any iterable, such as a generator, as a sequence."""
    return items if isinstance(items, (list, tuple)) else list(items)


def template_key(
    model: str,
    version: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output] | None,
) -> tuple[Any, list[Buffer]]:
    """Return the key of a call's template, or None if it has none, and the data of its tensors."""
    data: list[Buffer] = []
    parts: list[Any] = [model, version, len(inputs)]
    for tensor in inputs:
        content = tensor._data
        size = None
        if content is not None:
            if not tensor._binary:
                return None, data
            size = len(content)
            data.append(content)
        parts += (tensor._name, tensor._datatype, tuple(tensor._shape), size)
        if tensor._parameters:
            parts.append(tuple(tensor._parameters.values()))
    for output in outputs or ():
        parts += (output._name, output._class_count, output._binary)
        if output._parameters:
            parts.append(tuple(output._parameters.values()))
    return tuple(parts), data
