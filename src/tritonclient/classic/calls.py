"""Keys of request templates for the classic clients; see `tritonclient.client.templates`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..datatypes import Buffer
from .tensors import Input, Output

In = TypeVar("In", bound=Input)
Out = TypeVar("Out", bound=Output)


def inputs_of(inputs: Iterable[In]) -> Sequence[In]:
    """Return the inputs that any iterable gives, such as a generator.

    Raises:
        TypeError: they are something else, such as arrays.
    """
    return _checked(inputs, Input, "inputs", "InferInput")


def outputs_of(outputs: Iterable[Out] | None) -> Sequence[Out] | None:
    """Return the requested outputs that any iterable gives, or None where there are none.

    Raises:
        TypeError: they are something else, such as names.
    """
    if outputs is None:
        return None
    return _checked(outputs, Output, "outputs", "InferRequestedOutput")


def _checked(items: Iterable[Any], kind: type, name: str, expected: str) -> Sequence[Any]:
    if not isinstance(items, (list, tuple)):
        if isinstance(items, (str, Mapping)):
            raise TypeError(
                f"{name} is {type(items).__name__}, expected a list of {expected} objects"
            )
        items = list(items)  # what is not iterable raises the official client's error
    for item in items:
        if not isinstance(item, kind):
            how = f"; {expected}({item!r:.60}) asks for it" if isinstance(item, str) else ""
            raise TypeError(f"{name} holds {type(item).__name__}, expected {expected} objects{how}")
    return items


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
