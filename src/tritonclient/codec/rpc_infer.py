"""Inference over gRPC: the messages ModelInferRequest, ModelInferResponse and
ModelStreamInferResponse.

A message is written as a head, which describes the tensors, followed by their raw contents. The
protobuf classes would copy these twice each way, so the messages are written and read here: what
is sent refers to the tensors' own memory, and the tensors of an answer are views of its message.

Describing the same tensors again is the common case, so the fields that are written and the heads
that are read are remembered. A head is remembered without its id, which differs between calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ..datatypes import Buffer
from ..messages import (
    NO_PARAMETERS,
    Infer,
    InferResponse,
    InferStreamResponse,
    InferTensor,
    Parameter,
    RequestedOutput,
)
from . import wire
from .rpc_head import Described, Head, read_head
from .rpc_status import refused
from .tensors import check_elements, check_size

#: The fields before the raw contents: model_name, model_version, id, parameters, inputs (of an
#: answer outputs), and requested outputs, which an answer has not.
_REQUEST_HEAD = frozenset(wire.tag(number, wire.DELIMITED)[0] for number in range(1, 7))
_ANSWER_HEAD = frozenset(wire.tag(number, wire.DELIMITED)[0] for number in range(1, 6))
_RAW_INPUT, _RAW_OUTPUT = 7, 6
_ID, _ID_TAG = 3, 0x1A
_DOUBLE = struct.Struct("<d")


# Writing


def encode_request(request: Infer) -> tuple[Buffer, ...]:
    """The message of a request: heads and tensors by turns.

    Raises:
        ValueError, TypeError: a value has no form over gRPC.
    """
    head = [_names(request.model, request.version)]
    if request.id:
        head.append(wire.text(_ID, request.id))
    if request.parameters:
        head.append(_parameters(4, request.parameters))
    head += map(_tensor, request.inputs)
    head += map(_requested, request.outputs)
    return _assemble(head, b"\x3a", request.inputs)


def encode_response(answer: InferResponse) -> tuple[Buffer, ...]:
    """The message of an answer: heads and tensors by turns."""
    head = [_names(answer.model_name, answer.model_version)]
    if answer.id:
        head.append(wire.text(_ID, answer.id))
    if answer.parameters:
        head.append(_parameters(4, answer.parameters))
    head += map(_tensor, answer.outputs)
    outputs = answer.outputs
    if any(output.data is None for output in outputs):
        # An answer has raw contents for each output, empty where the data is elsewhere.
        outputs = tuple([output._replace(data=output.data or b"") for output in outputs])
    return _assemble(head, b"\x32", outputs)


def encode_stream_response(answer: InferStreamResponse) -> tuple[Buffer, ...]:
    """The message of a stream's response: heads and tensors by turns."""
    error = wire.text(1, answer.error)
    if answer.error and answer.response == InferResponse():
        return (error,)
    first, *rest = encode_response(answer.response)
    size = len(first) + sum(map(len, rest))
    return (b"".join((error, b"\x12", wire.varint(size), first)), *rest)


def _assemble(
    head: list[bytes], raw: bytes, tensors: tuple[InferTensor, ...]
) -> tuple[Buffer, ...]:
    parts: list[Buffer] = []
    for tensor in tensors:
        data = tensor.data
        if data is not None:
            head += (raw, wire.varint(len(data)))
            parts += (b"".join(head), data)
            head = []
    return tuple(parts) if parts else (b"".join(head),)


@lru_cache(maxsize=1024)
def _names(model: str, version: str) -> bytes:
    return wire.text(1, model) + wire.text(2, version)


def _tensor(tensor: InferTensor) -> bytes:
    if not tensor.parameters:
        return _plain_tensor(tensor.name, tensor.datatype, tensor.shape)
    description = _description(tensor.name, tensor.datatype, tensor.shape)
    return wire.delimited(5, description + _parameters(4, tensor.parameters))


@lru_cache(maxsize=1024)
def _plain_tensor(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    return wire.delimited(5, _description(name, datatype, shape))


def _description(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(map(wire.varint, shape))
    packed = wire.delimited(3, sizes) if sizes else b""
    return wire.text(1, name) + wire.text(2, datatype) + packed


def _requested(output: RequestedOutput) -> bytes:
    if not output.parameters:
        return _plain_requested(output.name, output.classes)
    parameters = dict(output.parameters)
    if output.classes:
        parameters["classification"] = output.classes
    return wire.delimited(6, wire.text(1, output.name) + _parameters(2, parameters))


@lru_cache(maxsize=1024)
def _plain_requested(name: str, classes: int) -> bytes:
    parameters = _parameters(2, {"classification": classes}) if classes else b""
    return wire.delimited(6, wire.text(1, name) + parameters)


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
        # What is more than an int64 holds, and priorities always, are uint64.
        large = value >> 63 and value >= 0
        number, least, most = (5, 0, 1 << 64) if large or name == "priority" else (2, *_INT64)
        if not least <= value < most:
            raise ValueError(f"parameter {name!r} is {value}, which does not fit into 64 bits")
        return wire.delimited(2, wire.tag(number, wire.VARINT) + wire.varint(value))
    if isinstance(value, float):
        return wire.delimited(2, wire.tag(4, wire.FIXED64) + _DOUBLE.pack(value))
    raise TypeError(f"parameter {name!r} is {value!r:.60}, expected bool, int, float or str")


_INT64 = (-(1 << 63), 1 << 63)


# Reading


def decode_response(message: Buffer) -> InferResponse:
    """The answer in a message; its tensors are views of that message.

    Raises:
        ValueError: the message is not an inference answer.
    """
    head_bytes, id, raw = _split(memoryview(message), _ANSWER_HEAD, _RAW_OUTPUT)
    head = read_head(head_bytes)
    # A copy, since the head is remembered.
    given = dict(head.parameters) if head.parameters else NO_PARAMETERS
    return InferResponse(head.name, head.version, id, given, _outputs(head, raw))


def decode_stream_response(message: Buffer) -> InferStreamResponse:
    """The response of a stream; its tensors are views of that message.

    Raises:
        ValueError: the message is not a response of a stream.
    """
    error, answers = "", []
    for number, kind, payload in wire.fields(memoryview(message)):
        if kind == wire.DELIMITED and number == 1:
            error = str(payload, "utf-8")
        elif kind == wire.DELIMITED and number == 2:
            answers.append(payload)
    if not answers:
        return InferStreamResponse(error)
    # Messages that stand one behind the other are one message.
    answer = answers[0] if len(answers) == 1 else b"".join(answers)
    return InferStreamResponse(error, decode_response(answer))


def decode_request(message: Buffer) -> Infer:
    """The request in a message; its tensors are views of that message.

    Raises:
        ValueError: the message is not an inference request.
        InvalidArgument: it is, but asks for what can't be.
    """
    head_bytes, id, raw = _split(memoryview(message), _REQUEST_HEAD, _RAW_INPUT)
    head = read_head(head_bytes)
    for name in head.unset:
        raise refused(
            f"invalid value type for '{name}' parameter, expected int64_param, bool_param, or "
            "string_param."
        )
    return Infer(
        model=head.name,
        version=head.version,
        id=id,
        inputs=_inputs(head, raw),
        outputs=head.requested,
        parameters=dict(head.parameters),
    )


def data_offset(prefix: Buffer, *, stream: bool = False) -> int:
    """Where the first raw contents of an answer begin, told by the message's first bytes.

    Args:
        prefix: any number of them.
        stream: whether the message is a stream's response, in which the answer is wrapped.

    Returns:
        The offset from the message's beginning, or 0 when these bytes do not tell it.
    """
    view = memoryview(prefix)
    position, size = 0, len(view)
    try:
        while position < size:
            tag = view[position]
            length, start = wire.read_varint(view, position + 1)
            if tag == 0x12 and stream:  # infer_response: what follows is its own
                position, stream = start, False
            elif tag == 0x32 and not stream:
                return start
            elif tag in _ANSWER_HEAD:
                position = start + length
            else:
                return 0
    except ValueError:  # the prefix ends inside a length
        pass
    return 0


# The parts of a message


def _split(view: memoryview, heads: frozenset[int], raw: int) -> tuple[bytes, str, list[Buffer]]:
    """The fields that describe tensors, less the id; the id; and the raw contents."""
    position, size = 0, len(view)
    id_at = id_start = id_end = 0
    while position < size and (tag := view[position]) in heads:
        at = position
        length, start = wire.read_varint(view, position + 1)
        position = start + length
        if tag == _ID_TAG:
            id_at, id_start, id_end = at, start, position
    end = position
    raw_tag = raw << 3 | wire.DELIMITED
    entries: list[Buffer] = []
    while position < size and view[position] == raw_tag:
        length, start = wire.read_varint(view, position + 1)
        position = start + length
        entries.append(view[start:position])
    if position != size:
        return _split_unordered(view, raw)
    if not id_end:
        return bytes(view[:end]), "", entries
    head = bytes(view[:id_at]) + bytes(view[id_end:end])
    return head, str(view[id_start:id_end], "utf-8"), entries


def _split_unordered(view: memoryview, raw: int) -> tuple[bytes, str, list[Buffer]]:
    """The same when other fields stand between or behind, which protobuf allows."""
    head: list[Buffer] = []
    entries: list[Buffer] = []
    id = ""
    for number, kind, payload in wire.fields(view):
        if kind != wire.DELIMITED:
            continue
        if number == raw:
            entries.append(payload)
        elif number == _ID:
            id = str(payload, "utf-8")
        else:
            head += (wire.tag(number, kind), wire.varint(len(payload)), payload)
    return b"".join(head), id, entries


def _outputs(head: Head, raw: Sequence[Buffer]) -> tuple[InferTensor, ...]:
    tensors = head.tensors
    data_of: Iterable[Buffer | None] = raw
    if not head.is_raw or len(raw) != len(tensors):
        data_of = _matched(tensors, raw)
    outputs = []
    for (name, datatype, shape, parameters, size, _, _), data in zip(tensors, data_of, strict=True):
        if data is not None and len(data) != size:
            check_size(name, datatype, shape, len(data))
        given = dict(parameters) if parameters else NO_PARAMETERS
        outputs.append(InferTensor(name, datatype, shape, data, given, data is not None))
    return tuple(outputs)


def _matched(tensors: Sequence[Described], raw: Sequence[Buffer]) -> list[Buffer | None]:
    """The data of each output, taken from the raw contents by those without contents."""
    wanting = [tensor for tensor in tensors if tensor.contents is None]
    here = [tensor for tensor in wanting if not tensor.elsewhere]
    if not raw and not any(tensor.size for tensor in here):
        raw = [b""] * len(here)
    if len(raw) not in (len(wanting), len(here)):
        raise ValueError(f"{len(raw)} raw_output_contents for {len(wanting)} outputs")
    entries = iter(raw)
    data: list[Buffer | None] = []
    for tensor in tensors:
        if tensor.contents is not None:
            check_elements(tensor.name, tensor.shape, tensor.contents.elements)
            data.append(bytearray(tensor.contents.data))  # a copy, since the head is remembered
        elif not tensor.elsewhere:
            data.append(next(entries))
        else:
            if len(raw) == len(wanting) and len(next(entries)):
                raise ValueError(f"tensor {tensor.name!r} is in shared memory and has data")
            data.append(None)
    return data


def _inputs(head: Head, raw: Sequence[Buffer]) -> tuple[InferTensor, ...]:
    """The inputs of a request. Their sizes are for the model to check."""
    entries = iter(raw)
    inputs = []
    for name, datatype, shape, parameters, _, typed, elsewhere in head.tensors:
        data: Buffer | None = None
        where = f"'{name}' for model '{head.name}'"
        if not elsewhere and typed is not None:
            if raw:
                raise refused(
                    "contents field must not be specified when using raw_input_contents for "
                    + where
                )
            data = typed.data
        elif not elsewhere:
            data = next(entries, None)
            if data is None:
                raise refused(f"unable to find data for input tensor {where} in request.")
        given = dict(parameters) if parameters else NO_PARAMETERS
        inputs.append(InferTensor(name, datatype, shape, data, given, data is not None))
    return tuple(inputs)
