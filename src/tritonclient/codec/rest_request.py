"""Inference requests over HTTP, as a server reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from ..datatypes import Buffer, element_count
from ..errors import Internal, InvalidArgument
from ..messages import Infer, InferTensor, Parameter, RequestedOutput
from . import rest_json
from .rest_infer import (
    HEAD_LENGTH,
    Described,
    SizeError,
    described,
    member,
    pack_values,
    read_tensors,
)
from .rest_refusals import check_head, check_input, check_outputs, json_elements

_HEADER = HEAD_LENGTH.lower()
#: Larger heads are parsed each time, because what a client sends can have any size.
_LARGEST_KNOWN = 2048
_NUMBER = re.compile(r"\s*[+-]?[0-9]+")


class RawInput(InferTensor):
    """The body of a raw binary request: the data of its model's only input, without a JSON head.

    A server that knows the model knows name, datatype and shape.
    """

    __slots__ = ()


def decode_request(fields: dict[str, str], headers: Mapping[str, str], body: Buffer) -> Infer:
    """The inference request in a body; its tensors are views of that body.

    Raises:
        ValueError, KeyError: the JSON is not that of an inference request.
        InvalidArgument: it is, but asks for what can't be, or does not fit the body.
    """
    try:
        return _decode_request(fields, headers, body)
    except SizeError as error:
        model = fields["model"]
        text = (
            f"unexpected size for input '{error.tensor}', expecting {error.missing} additional "
            f"bytes for model '{model}'"
            if error.tensor
            else f"unexpected additional input data for model '{model}'"
        )
        raise InvalidArgument(text, "400") from error


def _decode_request(fields: dict[str, str], headers: Mapping[str, str], body: Buffer) -> Infer:
    length = _head_length(headers, len(body))
    if length == 0:
        raw = RawInput("raw_input", "UINT8", (len(body),), memoryview(body))
        return Infer(fields["model"], (raw,), fields.get("version", ""), binary=True)
    view = memoryview(body)
    text = bytes(view[:length])
    head = _request_head(text) if length <= _LARGEST_KNOWN else None
    if head is None:
        inputs, value = _parse_inputs(text)
        tensors = read_tensors(inputs, view, length, pack_input)
        head = _Head(inputs, *_parse_rest(value))
    else:
        tensors = read_tensors(head.inputs, view, length, pack_input)
    return Infer(
        model=fields["model"],
        version=fields.get("version", ""),
        id=head.id,
        inputs=tensors,
        outputs=head.outputs,
        parameters=dict(head.parameters),
        binary=head.binary or bool(head.outputs),
    )


class _Head(NamedTuple):
    """The JSON of a request."""

    inputs: tuple[Described, ...]
    id: str
    outputs: tuple[RequestedOutput, ...]
    parameters: dict[str, Parameter]
    binary: bool


@lru_cache(maxsize=256)
def _request_head(text: bytes) -> _Head | None:
    """Return the head in a JSON text; None if it is none, so that the faults come in their order.

    Clients send the same head again and again.
    """
    try:
        inputs, value = _parse_inputs(text)
        return _Head(inputs, *_parse_rest(value))
    except Exception:
        return None


def _parse_inputs(text: bytes) -> tuple[tuple[Described, ...], Any]:
    """Return the inputs in a JSON text, and all of its value."""
    value = rest_json.loads(text)
    value = value if isinstance(value, dict) else {}  # as in Triton, it has no members then
    check_head(value)
    for each in member(value, "inputs", list, None):
        check_input(each)
    return tuple(map(_signed, described(value, "inputs"))), value


def _parse_rest(
    value: Any,
) -> tuple[str, tuple[RequestedOutput, ...], dict[str, Parameter], bool]:
    """Return the id, the outputs, the parameters and `binary` of a request."""
    check_outputs(value)
    outputs = tuple(map(_requested, value.get("outputs", ())))
    parameters = dict(member(value, "parameters", dict, {}))
    # It counts only where no outputs are listed; those have flags of their own.
    binary = bool(parameters.pop("binary_data_output", False))
    id = member(value, "id", str, "")
    for text in (id, *parameters, *filter(_is_text, parameters.values())):
        text.encode()  # models and logs get these
    return id, outputs, parameters, binary


def _signed(tensor: Described) -> Described:
    """Return a tensor whose dimensions are, as in Triton, of 64 bits with a sign."""
    if all(size < 1 << 63 for size in tensor.shape):
        return tensor
    return tensor._replace(shape=tuple(size - ((size >> 63) << 64) for size in tensor.shape))


def pack_input(name: str, datatype: str, shape: tuple[int, ...], values: list[Any]) -> Buffer:
    """Return the JSON data of an input as wire bytes.

    Raises:
        Internal: an element has the wrong type, or their number is not that of the shape.
        ValueError: an element is out of the datatype's range.
    """
    elements, count = json_elements(datatype, values), element_count(shape)
    if not count:
        return b""  # as in Triton, the data does not matter
    if datatype == "BYTES" or not shape:
        count = len(elements)  # which is compared with the shape when the model is known
    if len(elements) != count:
        raise Internal(
            "Unable to parse 'data': Shape does not match true shape of 'data' field", "500"
        )
    return pack_values(name, datatype, (count,), elements)


def _head_length(headers: Mapping[str, str], size: int) -> int:
    """Return the length of a request's JSON, which is the whole body without the header.

    As in Triton, the header's value is read up to the first character that is no digit, and
    without a digit it is 0.

    Raises:
        InvalidArgument: the length is below 0 or above that of the body.
    """
    text = headers.get(_HEADER)
    if text is None:
        return size
    digits = _NUMBER.match(text[:40])
    length = int(digits[0]) if digits else 0
    if not 0 <= length <= size:
        raise InvalidArgument(
            f"inference header size should be in range (0, {size}), got: {text:.40}", "400"
        )
    return length


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _requested(value: Any) -> RequestedOutput:
    parameters = dict(member(value, "parameters", dict, {}))
    return RequestedOutput(
        name=member(value, "name", str, None),
        classes=member(parameters, "classification", int, 0),
        binary=bool(parameters.pop("binary_data", False)),
        parameters={k: v for k, v in parameters.items() if k != "classification"},
    )
