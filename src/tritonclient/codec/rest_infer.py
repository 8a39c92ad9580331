"""Inference over HTTP: a JSON head that describes tensors, and their bytes behind it.

Source: KServe v2 REST specification, "Inference"; Triton's binary tensor extension: the header
Inference-Header-Content-Length gives the length of the JSON, after which the data of each binary
tensor follows, in order and without padding.

Programs use the same tensors again and again, so encoded JSON and decoded heads are kept as
templates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..caches import LARGEST
from ..datatypes import NUMPY, Array, Buffer, check, element_count, pack, unpack
from ..messages import Infer, InferResponse, InferTensor, Parameter, RequestedOutput
from ..operations import NO_PARAMETERS, RESERVED_PARAMETERS
from .checks import check_shape, check_size

HEAD_LENGTH = "Inference-Header-Content-Length"
_head_length = HEAD_LENGTH.lower()

#: What the error for a tensor without a JSON form ends with.
SEND_BINARY = "; send it as binary data"
_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# As Triton does, answers have NaN, Infinity, and bytes that are no UTF-8.
_response_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
#: Values that are encoded at once. No other thread runs meanwhile, such as one that serves others.
_AT_ONCE = 4096


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8; ValueError for NaN and infinities."""
    return _encoder.encode(value).encode()


# Writing


def encode_request(request: Infer) -> tuple[Mapping[str, str], tuple[Buffer, ...]]:
    """Headers and body of an inference request; tensor data is passed on, not copied."""
    id = f'"id":{_encoder.encode(request.id)},' if request.id else ""
    inputs = ",".join(map(_input, request.inputs))
    outputs = ",".join(map(_output, request.outputs))
    requested = f',"outputs":[{outputs}]' if outputs else ""
    parameters: Mapping[str, Parameter] = request.parameters
    if not request.outputs and request.binary:
        # Behind the protocol's own and before the caller's, where the official client puts it.
        own = {name: parameters[name] for name in RESERVED_PARAMETERS if name in parameters}
        parameters = {**own, "binary_data_output": True, **parameters}
    rest = f',"parameters":{_encoder.encode(dict(parameters))}' if parameters else ""
    head = f'{{{id}"inputs":[{inputs}]{requested}{rest}}}'
    return _assemble(head.encode(), request.inputs)


def encode_response(response: InferResponse) -> tuple[Mapping[str, str], tuple[Buffer, ...]]:
    """Headers and body of an inference response."""
    head: dict[str, Any] = {"id": response.id} if response.id else {}
    head |= {"model_name": response.model_name, "model_version": response.model_version}
    if response.parameters:
        head["parameters"] = dict(response.parameters)
    outputs = ",".join(map(_tensor, response.outputs))
    text = f'{_encoder.encode(head)[:-1]},"outputs":[{outputs}]}}'
    return _assemble(text.encode("utf-8", "surrogateescape"), response.outputs)


def _assemble(
    head: bytes, tensors: Sequence[InferTensor]
) -> tuple[Mapping[str, str], tuple[Buffer, ...]]:
    data = [tensor.data for tensor in tensors if tensor.binary and tensor.data is not None]
    if not data:
        return {"Content-Type": "application/json"}, (head,)
    headers = {"Content-Type": "application/octet-stream", HEAD_LENGTH: str(len(head))}
    return headers, (head, *data)


def _input(tensor: InferTensor) -> str:
    return _tensor(tensor, is_input=True)


def _tensor(tensor: InferTensor, is_input: bool = False) -> str:
    name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
    if tensor.binary and tensor.data is not None and not tensor.parameters:
        describe = _binary_tensor if len(name) + len(shape) <= LARGEST else _describe_binary
        return describe(name, datatype, shape, len(tensor.data), is_input)
    description = _description(name, datatype, shape, is_input)
    parameters = dict(tensor.parameters)
    if tensor.data is not None and tensor.binary:
        parameters["binary_data_size"] = len(tensor.data)
    if parameters:
        description["parameters"] = parameters
    encoder = _encoder if is_input else _response_encoder
    if tensor.data is None or tensor.binary:
        return encoder.encode(description)
    values = json_values(tensor, is_input)
    if len(values) <= _AT_ONCE:
        return encoder.encode({**description, "data": values})
    pieces = [
        encoder.encode(values[begin : begin + _AT_ONCE])[1:-1]
        for begin in range(0, len(values), _AT_ONCE)
    ]
    return f'{encoder.encode(description)[:-1]},"data":[{",".join(pieces)}]}}'


def _describe_binary(
    name: str, datatype: str, shape: tuple[int, ...], size: int, is_input: bool
) -> str:
    head = _description(name, datatype, shape, is_input)
    return _encoder.encode({**head, "parameters": {"binary_data_size": size}})


_binary_tensor = lru_cache(maxsize=1024)(_describe_binary)


def _description(
    name: str, datatype: str, shape: tuple[int, ...], is_input: bool
) -> dict[str, Any]:
    # The members' order is that of the official client and of Triton, whose JSON programs print.
    if is_input:
        return {"name": name, "shape": shape, "datatype": datatype}
    return {"name": name, "datatype": datatype, "shape": shape}


def _output(output: RequestedOutput) -> str:
    if not output.parameters:
        describe = _plain_output if len(output.name) <= LARGEST else _describe_output
        return describe(output.name, output.classes, output.binary)
    # What goes to shared memory is not sent, so it must not be asked for as binary data.
    binary = output.binary and "shared_memory_region" not in output.parameters
    parameters = {"binary_data": binary, **output.parameters}
    if output.classes:
        parameters["classification"] = output.classes
    return _encoder.encode({"name": output.name, "parameters": parameters})


def _describe_output(name: str, classes: int, binary: bool) -> str:
    parameters: dict[str, Parameter] = {"classification": classes} if classes else {}
    parameters["binary_data"] = binary
    return _encoder.encode({"name": name, "parameters": parameters})


_plain_output = lru_cache(maxsize=1024)(_describe_output)


class NoJsonForm(ValueError):
    """A tensor holds what JSON has no form for."""


def json_values(tensor: InferTensor, is_input: bool = False) -> list[Any]:
    """A tensor's elements as JSON values, flat in row-major order."""
    if tensor.datatype == "BF16":
        raise NoJsonForm(f"tensor {tensor.name!r}: BF16 has no JSON form{SEND_BINARY}")
    assert tensor.data is not None
    array = unpack(tensor.data, tensor.datatype, (element_count(tensor.shape),))
    values: list[Any] = array.tolist()
    if tensor.datatype != "BYTES":
        if is_input and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NoJsonForm(
                f"tensor {tensor.name!r}: NaN and infinities have no JSON form{SEND_BINARY}"
            )
        return values
    try:
        return [item.decode(errors="strict" if is_input else "surrogateescape") for item in values]
    except UnicodeDecodeError as error:
        raise NoJsonForm(
            f"tensor {tensor.name!r}: {error.object!r:.60} is not UTF-8{SEND_BINARY}"
        ) from error


# Reading


class SizeError(ValueError):
    """The body is shorter or longer than its JSON says.

    Attributes:
        tensor: the name of the tensor inside which it ends; "" if it ends behind the last.
        missing: how many bytes that tensor lacks.
    """

    def __init__(self, message: str, tensor: str = "", missing: int = 0) -> None:
        super().__init__(message)
        self.tensor = tensor
        self.missing = missing


class Described(NamedTuple):
    """A tensor as the JSON head describes it: with `size` bytes behind the head, or `values`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, Parameter]
    size: int | None
    values: list[Any] | None


class _Head(NamedTuple):
    members: dict[str, Any]
    tensors: tuple[Described, ...]


def decode_response(headers: Mapping[str, str], body: Buffer) -> InferResponse:
    """The response in a body; its tensors are views of that body.

    Raises:
        ValueError: the body is not an inference response.
    """
    head_bytes, view, position = _split(headers, body)
    head = _response_head(head_bytes) if len(head_bytes) <= 2048 else _parse_response(head_bytes)
    tensors = read_tensors(head.tensors, view, position, _pack_received)
    name, version, id, parameters = head.members.values()
    # A copy, since the head is remembered.
    given = dict(parameters) if parameters else NO_PARAMETERS
    return InferResponse(name, version, id, given, tensors)


def _split(headers: Mapping[str, str], body: Buffer) -> tuple[bytes, memoryview, int]:
    view = memoryview(body)
    text = headers.get(_head_length)
    if text is None:
        return bytes(view), view, len(view)
    if not text.isdecimal() or not 0 <= int(text) <= len(view):
        raise SizeError(f"{HEAD_LENGTH} is {text!r:.40} with a body of {len(view)} bytes")
    length = int(text)
    return bytes(view[:length]), view, length


def pack_values(name: str, datatype: str, shape: tuple[int, ...], values: list[Any]) -> Buffer:
    """JSON values, flat or nested, as wire bytes."""
    try:
        array = _array_of(datatype, _flat(values), element_count(shape))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the data of tensor {name!r} is not {datatype}: {error}") from error
    return pack(array, datatype)


def _pack_received(name: str, datatype: str, shape: tuple[int, ...], values: list[Any]) -> Buffer:
    """Pack the JSON values of a response, where null is a NaN: servers in Python write it so."""
    if datatype in ("FP16", "FP32", "FP64"):
        values = _flat(values)
        if None in values:
            values = [math.nan if value is None else value for value in values]
    return pack_values(name, datatype, shape, values)


def read_tensors(
    heads: tuple[Described, ...],
    view: memoryview,
    position: int,
    pack_values: Callable[..., Buffer],
) -> tuple[InferTensor, ...]:
    tensors = []
    for name, datatype, shape, parameters, size, values in heads:
        data: Buffer | None = None
        if size is not None:
            data = view[position : position + size]
            position += size
            if len(data) != size:
                missing = size - len(data)
                raise SizeError(f"the body ends inside the data of tensor {name!r}", name, missing)
        elif values is not None:
            data = pack_values(name, datatype, shape, values)
        given = dict(parameters) if parameters else NO_PARAMETERS
        tensors.append(InferTensor(name, datatype, shape, data, given, size is not None))
    if position != len(view):
        raise SizeError(f"{len(view) - position} bytes follow the last tensor")
    return tuple(tensors)


def _parse_response(head: bytes) -> _Head:
    # Triton writes BYTES that are no text into its JSON as they are; this keeps them.
    value = _without_nulls(json.loads(head.decode("utf-8", "surrogateescape")))
    if isinstance(value, dict) and not {"model_name", "outputs"} & value.keys():
        raise ValueError("neither 'model_name' nor 'outputs' is there")
    members = {
        "model_name": member(value, "model_name", str, ""),
        "model_version": member(value, "model_version", str, ""),
        "id": member(value, "id", str, ""),
        "parameters": member(value, "parameters", dict, {}),
    }
    "".join([members["model_name"], members["model_version"], members["id"]]).encode()
    value["outputs"] = list(map(_without_nulls, member(value, "outputs", list, [])))
    outputs = described(value, "outputs")
    for output in outputs:
        output.name.encode()  # only data may hold what is no text
        check_shape(output.name, output.shape)
        if output.size is not None:
            check_size(output.name, output.datatype, output.shape, output.size)
    return _Head(members, outputs)


def _without_nulls(value: Any) -> Any:
    """Return a value without null members, which KServe's servers write for missing ones."""
    if not isinstance(value, dict):
        return value
    return {name: member for name, member in value.items() if member is not None}


_response_head = lru_cache(maxsize=256)(_parse_response)


def described(value: dict[str, Any], kind: str) -> tuple[Described, ...]:
    return tuple(
        _describe_one(item, f"{kind}[{i}]") for i, item in enumerate(member(value, kind, list, []))
    )


def _describe_one(value: Any, where: str) -> Described:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r:.40}, expected an object")
    name = member(value, "name", str, None)
    datatype = member(value, "datatype", str, None)
    check(datatype)
    shape = tuple(member(value, "shape", list, None))
    parameters = dict(member(value, "parameters", dict, {}))
    size = parameters.pop("binary_data_size", None)
    values = value.get("data")
    if values is not None and not isinstance(values, list):
        raise ValueError(f"the data of tensor {name!r} is {values!r:.40}, expected a list")
    if size is not None and (type(size) is not int or size < 0):
        raise ValueError(f"binary_data_size of tensor {name!r} is {size!r:.40}")
    return Described(name, datatype, shape, parameters, size, values)


def member(value: Any, name: str, kind: type, default: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"the JSON is {value!r:.40}, expected an object")
    member = value.get(name, default)
    if not isinstance(member, kind):
        if member is None and name not in value:
            raise ValueError(f"{name!r} is missing")
        raise ValueError(f"{name!r} is {member!r:.40}, expected {kind.__name__}")
    return member


def _array_of(datatype: str, values: list[Any], count: int) -> Array:
    if len(values) != count:
        raise ValueError(f"{len(values)} elements, expected {count}")
    if datatype == "BYTES":
        array: Array = np.empty(count, object)
        array[:] = [_text(value) for value in values]
        return array
    kinds = {bool} if datatype == "BOOL" else {int, float} if "F" in datatype else {int}
    strange = [value for value in values if type(value) not in kinds]
    if strange:
        raise ValueError(f"it holds {strange[0]!r:.40}")
    if kinds == {int} and values:
        limits = np.iinfo(NUMPY[datatype])
        for value in (min(values), max(values)):
            if not limits.min <= value <= limits.max:  # older numpy cuts it off silently
                raise ValueError(f"{value} is out of range")
    with np.errstate(over="ignore"):  # too large a float is an infinity
        return np.array(values, np.float32 if datatype == "BF16" else NUMPY[datatype])


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"it holds {value!r:.40}, expected text")
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds {value!r:.40}, half of a surrogate pair") from error


def _flat(values: list[Any]) -> list[Any]:
    while values and isinstance(values[0], list):
        for row in values:
            if not isinstance(row, list):
                raise ValueError(f"it holds {row!r:.40} beside lists")
        values = [item for row in values for item in row]
    return values
