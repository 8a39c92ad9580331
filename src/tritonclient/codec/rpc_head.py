"""Decoding of the head of a gRPC inference message: everything except id and raw contents.

The same fields have the same numbers in ModelInferRequest and ModelInferResponse, and so have
those of their tensors. Only the requested outputs of the one share theirs with the raw contents of
the other, which are not part of a head. Values of the fields are checked elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from ..datatypes import Buffer
from ..messages import Parameter
from ..operations import NO_PARAMETERS
from . import wire

#: Heads up to this size are kept as templates.
MAX_TEMPLATE = 2048
_DOUBLE = struct.Struct("<d")
_ID = 3

#: Fields of a message InferParameter, and 0 for a message in which none is set.
NOTHING, BOOL, INT64, STRING, DOUBLE, UINT64 = range(6)

#: Parameters that are unsigned numbers, though Triton takes them in the field for signed ones only.
UNSIGNED = frozenset(["sequence_id", "timeout"])


class Choice(NamedTuple):
    """The value of a parameter, and the field that contains it."""

    field: int = NOTHING
    value: Parameter = False


Choices: TypeAlias = "Mapping[str, Choice]"


class Tensor(NamedTuple):
    """An input of a request or an output of a response.

    Attributes:
        contents: the message InferTensorContents, or None when there is none.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Choices
    contents: bytes | None


class Requested(NamedTuple):
    """An output that a request names."""

    name: str
    parameters: Choices


class Head(NamedTuple):
    """The fields of a message."""

    name: str
    version: str
    parameters: Choices
    tensors: tuple[Tensor, ...]
    requested: tuple[Requested, ...]


class Parts(NamedTuple):
    """The parts of a message.

    The head is without the id, which differs between messages that are otherwise equal.

    Attributes:
        end: offset of the raw contents, which follow each other to the end of the message; 0 if the
            fields are in another order.
        id_start, id_end: offsets of the text of the id; both 0 without an id.
    """

    head: bytes
    id: str
    raw: list[Buffer]
    end: int
    id_start: int
    id_end: int


def split(view: memoryview, raw: int) -> Parts:
    """Split a message into its parts; its raw contents are in the field `raw`.

    Raises:
        ValueError: it is not a message, or its id is not UTF-8.
    """
    position, size = 0, len(view)
    id_at = id_start = id_end = 0
    raw_tag = raw << 3 | wire.DELIMITED
    while position < size and (tag := view[position]) < raw_tag and tag & 7 == wire.DELIMITED:
        at = position
        length, start = wire.read_varint(view, position + 1, wire.MAX_PREFIX)
        position = start + length
        if tag >> 3 == _ID:
            id_at, id_start, id_end = at, start, position
    end = position
    contents: list[Buffer] = []
    while position < size and view[position] == raw_tag:
        length, start = wire.read_varint(view, position + 1, wire.MAX_PREFIX)
        position = start + length
        contents.append(view[start:position])
    if position != size:
        return _split_unordered(view, raw)
    if not id_end:
        return Parts(bytes(view[:end]), "", contents, end, 0, 0)
    head = bytes(view[:id_at]) + bytes(view[id_end:end])
    return Parts(head, str(view[id_start:id_end], "utf-8"), contents, end, id_start, id_end)


def _split_unordered(view: memoryview, raw: int) -> Parts:
    """Split a message whose fields are in another order, which protobuf allows."""
    head: list[Buffer] = []
    contents: list[Buffer] = []
    id = ""
    for number, kind, payload in wire.fields(view):
        if kind != wire.DELIMITED:
            continue
        if number == raw:
            contents.append(payload)
        elif number == _ID:
            id = str(payload, "utf-8")
        else:
            head += (wire.tag(number, kind), wire.varint(len(payload)), payload)
    return Parts(b"".join(head), id, contents, 0, 0, 0)


def values(parameters: Choices) -> Mapping[str, Parameter]:
    """The parameters that have a value."""
    if not parameters:
        return NO_PARAMETERS
    return {name: each.value for name, each in parameters.items() if each.field != NOTHING}


def read(head: Buffer) -> Head:
    """The fields of a head.

    Raises:
        ValueError: it is not a message, or has text that is not UTF-8.
    """
    name = version = ""
    parameters: dict[str, Choice] = {}
    tensors: list[Tensor] = []
    requested: list[Requested] = []
    for number, kind, payload in wire.fields(head):
        if kind != wire.DELIMITED:
            continue
        if number == 1:
            name = str(payload, "utf-8")
        elif number == 2:
            version = str(payload, "utf-8")
        elif number == _ID:
            str(payload, "utf-8")  # an id that a later one has replaced
        elif number == 4:
            _read_parameter(payload, parameters)
        elif number == 5:
            tensors.append(_read_tensor(payload, len(tensors)))
        elif number == 6:
            requested.append(_read_requested(payload))
    return Head(name, version, parameters, tuple(tensors), tuple(requested))


def _read_tensor(message: Buffer, index: int) -> Tensor:
    name = datatype = ""
    sizes: list[int] = []
    parameters: dict[str, Choice] = {}
    contents: list[Buffer] = []
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
                contents.append(payload)
        joined = bytes(wire.merged(contents)) if contents else None
    except ValueError as error:
        raise ValueError(f"tensor {name!r} at index {index}: {error}") from error
    return Tensor(name, datatype, tuple(sizes), parameters, joined)


def _read_requested(message: Buffer) -> Requested:
    name = ""
    parameters: dict[str, Choice] = {}
    for number, kind, payload in wire.fields(message):
        if kind == wire.DELIMITED and number == 1:
            name = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            _read_parameter(payload, parameters)
    return Requested(name, parameters)


def _read_parameter(entry: Buffer, into: dict[str, Choice]) -> None:
    """Read an entry of a map of parameters; it replaces one of the same name."""
    name = ""
    choice = Choice()
    for number, kind, payload in wire.fields(entry):
        if kind == wire.DELIMITED and number == 1:
            name = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            choice = _read_choice(payload, choice)
    into[name] = choice


def _read_choice(message: Buffer, choice: Choice) -> Choice:
    """The last field of a message InferParameter, or that of the messages before it."""
    for number, kind, payload in wire.fields(message):
        if number == BOOL and kind == wire.VARINT:
            choice = Choice(BOOL, wire.unsigned(payload) != 0)
        elif number == INT64 and kind == wire.VARINT:
            choice = Choice(INT64, wire.signed(payload))
        elif number == STRING and kind == wire.DELIMITED:
            choice = Choice(STRING, str(payload, "utf-8"))
        elif number == DOUBLE and kind == wire.FIXED64:
            choice = Choice(DOUBLE, _DOUBLE.unpack(payload)[0])
        elif number == UINT64 and kind == wire.VARINT:
            choice = Choice(UINT64, wire.unsigned(payload))
    return choice
