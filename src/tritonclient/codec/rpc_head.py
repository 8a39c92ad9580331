"""The head of an inference message over gRPC: all but its id and its raw contents, read.

The same fields have the same numbers in ModelInferRequest and ModelInferResponse, and so have
those of their tensors; only the raw contents and the requested outputs share a number, and the
raw contents are not part of a head.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ..datatypes import Buffer, byte_size, check, element_count
from ..messages import NO_PARAMETERS, Parameter, RequestedOutput
from . import contents, wire
from .tensors import check_shape

_DOUBLE = struct.Struct("<d")
#: Heads up to this size are remembered.
_MAX_REMEMBERED = 2048


class Described(NamedTuple):
    """A tensor as the head describes it.

    Attributes:
        size: bytes of its data; None for BYTES, whose elements vary.
        contents: its elements, when they stand in the head.
        elsewhere: whether it lies in shared memory.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Parameter]
    size: int | None
    contents: contents.Contents | None
    elsewhere: bool


class Head(NamedTuple):
    """All of a message but its id and raw contents.

    Attributes:
        is_raw: whether every tensor takes its data from the raw contents.
        unset: names of parameters without a value.
    """

    name: str
    version: str
    parameters: Mapping[str, Parameter]
    tensors: tuple[Described, ...]
    requested: tuple[RequestedOutput, ...]
    is_raw: bool
    unset: tuple[str, ...]


def read_head(head: bytes) -> Head:
    """The meaning of a head, remembered when it is short.

    Raises:
        ValueError: it does not describe tensors.
    """
    return _remembered(head) if len(head) <= _MAX_REMEMBERED else _parse(head)


def _parse(head: bytes) -> Head:
    name = version = ""
    parameters: dict[str, Parameter] = {}
    tensors: list[Described] = []
    requested: list[RequestedOutput] = []
    unset: list[str] = []
    for number, kind, payload in wire.fields(head):
        if kind != wire.DELIMITED:
            continue
        if number == 1:
            name = str(payload, "utf-8")
        elif number == 2:
            version = str(payload, "utf-8")
        elif number == 3:
            str(payload, "utf-8")  # an id that a later one replaced
        elif number == 4:
            unset += _read_parameter(payload, parameters)
        elif number == 5:
            tensors.append(_read_tensor(payload, len(tensors)))
        elif number == 6:
            requested.append(_read_requested(payload))
    is_raw = not any(tensor.elsewhere or tensor.contents is not None for tensor in tensors)
    return Head(name, version, parameters, tuple(tensors), tuple(requested), is_raw, tuple(unset))


_remembered = lru_cache(maxsize=256)(_parse)


def _read_tensor(message: Buffer, index: int) -> Described:
    name = datatype = ""
    sizes: list[int] = []
    parameters: dict[str, Parameter] = {}
    typed: list[Buffer] = []
    try:
        for number, kind, payload in wire.fields(message):
            if number == 3 and kind in (wire.VARINT, wire.DELIMITED):
                sizes += wire.signed_varints(payload)
            elif kind != wire.DELIMITED:
                continue
            elif number == 1:
                name = str(payload, "utf-8")
            elif number == 2:
                datatype = str(payload, "utf-8")
            elif number == 4:
                _read_parameter(payload, parameters)
            elif number == 5:
                typed.append(payload)
    except ValueError as error:
        raise ValueError(f"tensor {name!r} at index {index}: {error}") from error
    return _described(name, datatype, tuple(sizes), parameters, typed)


def _described(
    name: str,
    datatype: str,
    shape: tuple[int, ...],
    parameters: dict[str, Parameter],
    typed: list[Buffer],
) -> Described:
    try:
        check(datatype)
    except ValueError as error:
        raise ValueError(f"tensor {name!r}: {error}") from error
    check_shape(name, shape)
    # Messages that stand one behind the other are one message.
    elements = contents.read(name, datatype, b"".join(typed)) if typed else None
    elsewhere = "shared_memory_region" in parameters
    if elsewhere and elements is not None:
        if elements.elements:
            raise ValueError(f"tensor {name!r} is in shared memory and has contents")
        elements = None
    size = byte_size(datatype, element_count(shape))
    return Described(name, datatype, shape, parameters, size, elements, elsewhere)


def _read_requested(message: Buffer) -> RequestedOutput:
    name = ""
    parameters: dict[str, Parameter] = {}
    for number, kind, payload in wire.fields(message):
        if kind == wire.DELIMITED and number == 1:
            name = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            _read_parameter(payload, parameters)
    classes = parameters.pop("classification", 0)
    if type(classes) is not int:
        raise ValueError(f"parameter 'classification' is {classes!r:.40}, expected an integer")
    # What goes to shared memory is not sent.
    binary = "shared_memory_region" not in parameters
    return RequestedOutput(name, classes, binary, parameters or NO_PARAMETERS)


def _read_parameter(entry: Buffer, into: dict[str, Parameter]) -> list[str]:
    """Read an entry of a map of parameters; its name when it has no value."""
    name = ""
    value: Parameter | None = None
    for number, kind, payload in wire.fields(entry):
        if kind == wire.DELIMITED and number == 1:
            name = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            value = _value(payload, value)
    if value is None:
        into.pop(name, None)
        return [name]
    into[name] = value
    return []


def _value(message: Buffer, value: Parameter | None) -> Parameter | None:
    """The value in a message InferParameter: the last one, or the one that was there before."""
    for number, kind, payload in wire.fields(message):
        if kind == wire.VARINT and number == 1:
            value = wire.unsigned(payload) != 0
        elif kind == wire.VARINT and number == 2:
            value = wire.signed(payload)
        elif kind == wire.DELIMITED and number == 3:
            value = str(payload, "utf-8")
        elif kind == wire.FIXED64 and number == 4:
            (value,) = _DOUBLE.unpack(payload)
        elif kind == wire.VARINT and number == 5:
            value = wire.unsigned(payload)
    return value
