"""Inputs and outputs of a model, as its configuration specifies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ...codec import messages_pb

DATATYPES = {
    "TYPE_BOOL": "BOOL",
    "TYPE_UINT8": "UINT8",
    "TYPE_UINT16": "UINT16",
    "TYPE_UINT32": "UINT32",
    "TYPE_UINT64": "UINT64",
    "TYPE_INT8": "INT8",
    "TYPE_INT16": "INT16",
    "TYPE_INT32": "INT32",
    "TYPE_INT64": "INT64",
    "TYPE_FP16": "FP16",
    "TYPE_FP32": "FP32",
    "TYPE_FP64": "FP64",
    "TYPE_STRING": "BYTES",
    "TYPE_BF16": "BF16",
}


_NAMES = {datatype: name for name, datatype in DATATYPES.items()}


def type_name(datatype: str) -> str:
    """Return the name that a datatype has in configurations, such as TYPE_FP32."""
    return _NAMES[datatype]


class Specification(NamedTuple):
    """One input or output of a model.

    Attributes:
        shape: dimensions without the batch dimension; -1 is variable.
        reshape: the shape that the model expects instead, or None.
        label_filename: the file with the class names of an output; else "".
        any_shape: True for an input of any number of dimensions, whatever `shape` says.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False
    label_filename: str = ""
    any_shape: bool = False

    @property
    def inner_shape(self) -> tuple[int, ...]:
        """The shape that the model expects."""
        return self.shape if self.reshape is None else self.reshape


def enum_name(message: Any, field: str) -> Any:
    return messages_pb.scalar(message.DESCRIPTOR.fields_by_name[field], getattr(message, field))


def specifications(tensors: Iterable[Any]) -> Iterator[Specification]:
    """Yield the specifications of a configuration's inputs or outputs."""
    for tensor in tensors:
        yield Specification(
            name=tensor.name,
            datatype=DATATYPES[enum_name(tensor, "data_type")],
            shape=tuple(tensor.dims),
            reshape=tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None,
            optional=getattr(tensor, "optional", False),
            label_filename=getattr(tensor, "label_filename", ""),
        )
