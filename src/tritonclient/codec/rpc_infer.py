"""Inference over gRPC: the messages ModelInferRequest, ModelInferResponse and
ModelStreamInferResponse.

A message is written as a head, which describes the tensors, followed by their raw contents. The
protobuf classes would copy these twice each way, so the messages are written and read here: what
is sent refers to the tensors' own memory, and the tensors of a response are views of its message.

Programs use the same tensors again and again, so encoded fields and decoded heads are kept as
templates. A head is kept without its id, which differs between calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ..caches import LARGEST, small_cache
from ..datatypes import Buffer, byte_size, check, element_count
from ..messages import (
    Infer,
    InferResponse,
    InferStreamResponse,
    InferTensor,
    Parameter,
    RequestedOutput,
)
from ..operations import NO_PARAMETERS
from . import contents, rpc_head, wire
from .checks import check_elements, check_name, check_shape, check_size
from .response_template import MAX_SIZE, store_template, templates

#: Fields of ModelInferRequest, ModelInferResponse and ModelStreamInferResponse.
_RAW_INPUT, _RAW_OUTPUT, _RESPONSE = 7, 6, 2
_OUTPUT = 5
_ID = 3
_DOUBLE = struct.Struct("<d")


# Writing


def encode_request(request: Infer) -> tuple[Buffer, ...]:
    """The message of a request: heads and tensors by turns.

    Raises:
        ValueError, TypeError: a value has no form over gRPC.
    """
    head = [_target(request.model, request.version)]
    if request.id:
        head.append(wire.text(_ID, request.id))
    if request.parameters:
        head.append(_parameters(4, request.parameters))
    head += map(_tensor, request.inputs)
    head += map(_requested, request.outputs)
    return _assemble(head, _RAW_INPUT, request.inputs)


def encode_response(response: InferResponse) -> tuple[Buffer, ...]:
    """The message of a response: heads and tensors by turns."""
    head = [_names(response.model_name, response.model_version)]
    if response.id:
        head.append(wire.text(_ID, response.id))
    if response.parameters:
        head.append(_parameters(4, response.parameters))
    head += map(_tensor, response.outputs)
    outputs = response.outputs
    if any(output.data is None for output in outputs):
        # A response has raw contents for each output, empty where the data is elsewhere.
        outputs = tuple([output._replace(data=output.data or b"") for output in outputs])
    return _assemble(head, _RAW_OUTPUT, outputs)


def encode_stream_response(response: InferStreamResponse) -> tuple[Buffer, ...]:
    """The message of a stream's response: heads and tensors by turns."""
    first, *rest = encode_response(response.response)
    size = wire.varint(len(first) + sum(map(len, rest)))
    tag = wire.tag(_RESPONSE, wire.DELIMITED)
    return (b"".join((wire.text(1, response.error), tag, size, first)), *rest)


def _assemble(head: list[bytes], number: int, tensors: Sequence[InferTensor]) -> tuple[Buffer, ...]:
    tag = wire.tag(number, wire.DELIMITED)
    parts: list[Buffer] = []
    for tensor in tensors:
        data = tensor.data
        if data is not None:
            head += (tag, wire.varint(len(data)))
            parts += (b"".join(head), data)
            head = []
    return tuple(parts) if parts else (b"".join(head),)


@small_cache(1024)
def _target(model: str, version: str) -> bytes:
    check_name("model", model, required=True)
    check_name("version", version, required=False)
    return _names(model, version)


@small_cache(1024)
def _names(model: str, version: str) -> bytes:
    return wire.text(1, model) + wire.text(2, version)


def _tensor(tensor: InferTensor) -> bytes:
    if not tensor.parameters:
        name, shape = tensor.name, tensor.shape
        encode = _plain_tensor if len(name) + len(shape) <= LARGEST else _encode_tensor
        return encode(name, tensor.datatype, shape)
    description = _description(tensor.name, tensor.datatype, tensor.shape)
    return wire.delimited(5, description + _parameters(4, tensor.parameters))


def _encode_tensor(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    return wire.delimited(5, _description(name, datatype, shape))


_plain_tensor = lru_cache(maxsize=1024)(_encode_tensor)


def _description(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(map(wire.varint, shape))
    packed = wire.delimited(3, sizes) if sizes else b""
    return wire.text(1, name) + wire.text(2, datatype) + packed


def _requested(output: RequestedOutput) -> bytes:
    if not output.parameters:
        encode = _plain_requested if len(output.name) <= LARGEST else _encode_requested
        return encode(output.name, output.classes)
    parameters = dict(output.parameters)
    if output.classes:
        parameters["classification"] = output.classes
    return wire.delimited(6, wire.text(1, output.name) + _parameters(2, parameters))


def _encode_requested(name: str, classes: int) -> bytes:
    parameters = _parameters(2, {"classification": classes}) if classes else b""
    return wire.delimited(6, wire.text(1, name) + parameters)


_plain_requested = lru_cache(maxsize=1024)(_encode_requested)


def _parameters(number: int, parameters: Mapping[str, Parameter]) -> bytes:
    return b"".join(
        wire.delimited(number, wire.delimited(1, name.encode()) + _parameter(name, value))
        for name, value in parameters.items()
    )


def _parameter(name: str, value: Parameter) -> bytes:
    """The value in an entry of a map of parameters."""
    if isinstance(value, str):
        return wire.delimited(2, wire.delimited(3, value.encode()))
    if isinstance(value, bool):
        return b"\x12\x02\x08\x01" if value else b"\x12\x02\x08\x00"
    if isinstance(value, int):
        field, least, most = _integer(name, value)
        if not least <= value < most:
            raise ValueError(f"parameter {name!r} is {value}, which does not fit into 64 bits")
        return wire.delimited(2, wire.tag(field, wire.VARINT) + wire.varint(value))
    if isinstance(value, float):
        return wire.delimited(2, wire.tag(4, wire.FIXED64) + _DOUBLE.pack(value))
    kind = type(value).__name__  # the value may be secret
    raise TypeError(f"parameter {name!r} is {kind}, expected bool, int, float or str")


def _integer(name: str, value: int) -> tuple[int, int, int]:
    """The field of an integer, and the range that is allowed in it."""
    if name in rpc_head.UNSIGNED:
        return rpc_head.INT64, 0, 1 << 64
    if name == "priority" or value >= 1 << 63:
        return rpc_head.UINT64, 0, 1 << 64
    return rpc_head.INT64, -(1 << 63), 1 << 63


# Reading


class _Output(NamedTuple):
    """An output without its raw contents.

    Attributes:
        size: bytes of its data; None for elements of BYTES, which vary.
        elsewhere: whether it lies in shared memory.
        contents: its data, when it came as typed contents.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Parameter]
    size: int | None
    elsewhere: bool
    contents: bytes | None


class _ResponseHead(NamedTuple):
    """A response without its id and raw contents.

    Attributes:
        is_raw: whether the data of all outputs is in the raw contents.
    """

    name: str
    version: str
    parameters: Mapping[str, Parameter]
    outputs: tuple[_Output, ...]
    is_raw: bool


def decode_response(message: Buffer) -> InferResponse:
    """The response in a message.

    Its tensors can be written to: they are views of the message, or of a copy where the message is
    read-only or small.

    Raises:
        ValueError: the message is not an inference response.
    """
    if len(message) <= MAX_SIZE:
        if type(message) is not bytearray:
            message = bytearray(message)
        for template in templates.get(len(message), ()):
            response = template.read(message)
            if response is not None:
                return response
    view = memoryview(message)
    if view.readonly:
        view = memoryview(bytearray(message))
    parts = rpc_head.split(view, _RAW_OUTPUT)
    head = parts.head
    described = _response_head(head) if len(head) <= rpc_head.MAX_TEMPLATE else _read(head)
    # A copy, since the head is remembered.
    given = dict(described.parameters) if described.parameters else NO_PARAMETERS
    outputs = _outputs(described, parts.raw)
    response = InferResponse(described.name, described.version, parts.id, given, outputs)
    if described.is_raw:
        store_template(view, parts, response)
    return response


def decode_stream_response(message: Buffer) -> InferStreamResponse:
    """The response of a stream; its tensors are those of `decode_response`.

    MLServer sends responses as they are, without the message that says what is a response and what
    an error. The outputs in them tell.

    Raises:
        ValueError: the message is not a response of a stream.
    """
    view = memoryview(message)
    if len(view) and view[0] == _RESPONSE << 3 | wire.DELIMITED:
        length, start = wire.read_varint(view, 1, wire.MAX_PREFIX)
        if start + length == len(view):  # the common case: a response, and nothing else
            return InferStreamResponse("", decode_response(view[start:]))
    error, responses = "", []
    for number, kind, payload in wire.fields(view):
        if kind == wire.DELIMITED and number == 1:
            error = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            responses.append(payload)
        elif kind == wire.DELIMITED and number == _OUTPUT:
            return InferStreamResponse("", decode_response(view))
    if not responses:
        return InferStreamResponse(error)
    return InferStreamResponse(error, decode_response(wire.merged(responses)))


def data_offset(prefix: Buffer, *, stream: bool = False) -> int:
    """Return the offset of the first raw contents of a response, from its first bytes.

    Args:
        prefix: any number of them.
        stream: whether the message is a stream's response, in which the response is wrapped.

    Returns:
        The offset from the message's beginning, or 0 if these bytes are not enough.
    """
    view = memoryview(prefix)
    position, size = 0, len(view)
    try:
        while position < size:
            tag, start = wire.read_varint(view, position)
            if tag & 7 != wire.DELIMITED:
                return 0
            length, start = wire.read_varint(view, start)
            if stream and tag >> 3 == _RESPONSE:
                position, stream = start, False  # what follows is the response's own
            elif not stream and tag >> 3 == _RAW_OUTPUT:
                return start
            else:
                position = start + length
    except ValueError:  # the prefix ends inside a length
        pass
    return 0


def _read(message: bytes) -> _ResponseHead:
    head = rpc_head.read(message)
    outputs = tuple(map(_output, head.tensors))
    is_raw = not any(each.elsewhere or each.contents is not None for each in outputs)
    return _ResponseHead(head.name, head.version, rpc_head.values(head.parameters), outputs, is_raw)


_response_head = lru_cache(maxsize=256)(_read)


def _output(tensor: rpc_head.Tensor) -> _Output:
    name, datatype, shape, parameters, message = tensor
    elsewhere = "shared_memory_region" in parameters
    try:
        check(datatype)
        typed = None if message is None else contents.read(datatype, message)
    except ValueError as error:
        raise ValueError(f"tensor {name!r}: {error}") from error
    check_shape(name, shape)
    data = None
    if typed is not None:
        if not elsewhere:
            if typed.elements:  # empty contents are as good as none, see `_matched`
                check_elements(name, shape, typed.elements)
            data = typed.data
        elif typed.elements:
            raise ValueError(f"tensor {name!r} is in shared memory and has contents")
    count = element_count(shape)
    size = byte_size(datatype, count) if count else 0
    return _Output(name, datatype, shape, rpc_head.values(parameters), size, elsewhere, data)


def _outputs(response: _ResponseHead, raw: list[Buffer]) -> tuple[InferTensor, ...]:
    data_of: Iterable[Buffer | None] = raw
    if not response.is_raw or len(raw) != len(response.outputs):
        data_of = _matched(response.outputs, raw)
    outputs = []
    for (name, datatype, shape, parameters, size, _, _), data in zip(
        response.outputs, data_of, strict=True
    ):
        if data is not None and len(data) != size:
            if len(data):
                check_size(name, datatype, shape, len(data))
            else:  # Triton's way to say that it is in shared memory
                data = None
        given = dict(parameters) if parameters else NO_PARAMETERS
        outputs.append(InferTensor(name, datatype, shape, data, given, data is not None))
    return tuple(outputs)


def _matched(outputs: Sequence[_Output], raw: list[Buffer]) -> list[Buffer | None]:
    """Return the data of each output; those without contents take the raw contents in order.

    Servers such as MLServer set an empty message of contents beside raw contents. So an output
    with empty contents takes raw contents where there are enough of them.
    """
    for empty in (b"", None):
        wanting = [output for output in outputs if output.contents in (None, empty)]
        here = [output for output in wanting if not output.elsewhere]
        if len(raw) in (len(wanting), len(here)):
            break
        if not raw and all(output.size == 0 for output in here):
            raw = [bytearray() for _ in here]
            break
    else:
        names = ", ".join(repr(output.name) for output in wanting)
        raise ValueError(f"{len(raw)} raw_output_contents for the outputs {names:.200}")
    entries = iter(raw)
    found: list[Buffer | None] = []
    for output in outputs:
        if output.contents not in (None, empty):
            if not output.contents and output.size != 0:
                check_elements(output.name, output.shape, 0)
            found.append(bytearray(output.contents))  # a copy, since the head is remembered
        elif not output.elsewhere:
            found.append(next(entries))
        else:
            if len(raw) == len(wanting) and len(next(entries)):
                raise ValueError(f"tensor {output.name!r} is in shared memory and has data")
            found.append(None)
    return found
