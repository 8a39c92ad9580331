"""Triton's generate extension over HTTP: JSON objects with a member for each tensor.

A member of the request that has the name of an input is its data: one element or a list of them,
without a shape. All other members are parameters for the model. Clients have no method for it.

Source: Triton's generate extension, as Triton 2.51 answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import InferenceServerException, Internal, InvalidArgument
from ..messages import Infer, InferResponse, InferTensor, Parameter
from ..operations import Request, operation
from .rest_infer import json_values
from .rest_json import Repeating
from .rest_refusals import check_json_datatype
from .rest_request import pack_input

_PARAMETERS = "parameters"
_INTEGERS = range(-1 << 63, 1 << 63)
_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True)


@operation
class Generate(Request[InferResponse]):
    """Run a model with the inputs and parameters that are members of a JSON object.

    Attributes:
        members: the JSON object.
        stream: True for any number of responses, False for exactly one.
    """

    model: str
    members: Mapping[str, Any]
    version: str = ""
    stream: bool = False


class PlainInfer(Infer):
    """An inference whose parameters only the model reads, whatever their names are.

    So `sequence_id` or `priority` mean nothing to the server.
    """

    __slots__ = ()


class Declared(NamedTuple):
    """Datatype and shape of an input, -1 for variable sizes, with the batch dimension."""

    datatype: str
    shape: tuple[int, ...]


def arguments(value: Any, stream: bool) -> dict[str, Any]:
    """Return the fields of a `Generate` that a JSON value holds.

    Raises:
        Internal: it is not an object, or its id is not a string.
    """
    if not isinstance(value, dict):
        raise Internal("attempt to get members for non-object", "500")
    if not isinstance(value.get("id", ""), str):
        raise Internal("Unable to parse 'id': attempt to access JSON non-string as string", "500")
    return {"members": value, "stream": stream}


def infer_request(request: Generate, declared: Mapping[str, Declared]) -> PlainInfer:
    """Return the inference that a request asks for.

    Args:
        declared: the inputs of its model, by name.

    Raises:
        InvalidArgument, Internal: a member does not fit its input, or no parameter has its type.
    """
    inference = _Members(request, declared)
    inference.add_all(request.members)
    return PlainInfer(
        request.model,
        tuple(inference.inputs.values()),
        request.version,
        id=inference.id,
        parameters=inference.parameters,
        binary=False,
    )


class _Members:
    """The inputs and parameters that were found in a request so far."""

    def __init__(self, request: Generate, declared: Mapping[str, Declared]) -> None:
        self._declared = declared
        self.id = _text("id", request.members.get("id", ""))
        self.inputs: dict[str, InferTensor] = {}
        self.parameters: dict[str, Parameter] = {}

    def add_all(self, members: Mapping[str, Any]) -> None:
        for name in _names(members):
            if name == _PARAMETERS:
                self._add_nested(members[name])
            else:
                self._add(name, members[name])

    def _add_nested(self, members: Any) -> None:
        if _PARAMETERS in self._declared:
            raise InvalidArgument(
                f"Keyword '{_PARAMETERS}' for nested schema also given as input tensor name", "400"
            )
        if not isinstance(members, dict):
            raise Internal(
                f"Expected JSON object for keyword: '{_PARAMETERS}': attempt to access JSON "
                "non-object as object",
                "500",
            )
        try:
            for name in _names(members):
                self._add(name, members[name])
        except InferenceServerException as error:
            text = f"Converting keyword: '{_PARAMETERS}': {error.message()}"
            raise type(error)(text, error.status()) from error

    def _add(self, name: str, value: Any) -> None:
        if name not in self._declared:
            self.parameters[_text(name, name)] = _parameter(name, value)
            return
        given = _input(name, value, self._declared[name])
        if self.inputs.setdefault(name, given) is not given:
            id = self.id or "<id_unknown>"
            raise InvalidArgument(
                f"[request id: {id}] input '{name}' already exists in request", "400"
            )


def _names(members: Mapping[str, Any]) -> Iterable[str]:
    """Return the names of members, which may be repeated: no input may be given twice."""
    return members.names if isinstance(members, Repeating) else members


def _parameter(name: str, value: Any) -> Parameter:
    if type(value) not in (bool, int, float, str):
        raise InvalidArgument(
            f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'.",
            "400",
        )
    if isinstance(value, str):
        return _text(name, value)
    if type(value) is not int or value in _INTEGERS:
        return value  # type: ignore[no-any-return]
    try:
        return float(value)
    except OverflowError as error:
        raise Internal(
            f"Unable to parse the request: parameter '{name:.80}' is too big for a double", "500"
        ) from error


def _text(name: str, value: str) -> str:
    """Return a string that models and logs get, which can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Internal(
            f"Unable to parse the request: the string of {name!a:.80} is not UTF-8", "500"
        ) from error
    return value


def _input(name: str, value: Any, declared: Declared) -> InferTensor:
    """Return the input with this data: one element, or a list of them."""
    elements = value if isinstance(value, list) else [value]
    shape = _shape(name, len(elements), declared.shape)
    check_json_datatype(name, declared.datatype)
    try:
        data = pack_input(name, declared.datatype, shape, elements)
    except ValueError as error:
        raise Internal(f"Unable to parse the request: {error}", "500") from error
    return InferTensor(name, declared.datatype, shape, data, binary=False)


def _shape(name: str, count: int, declared: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a number of elements.

    As in Triton, the last variable dimension gets what the fixed ones leave, and others get 1.
    """
    shape, rest = list(declared), count
    for size in declared:
        if size > 0:
            rest, surplus = divmod(rest, size)
            if surplus:
                raise _misfit(name)
    for place in reversed(range(len(shape))):
        if shape[place] < 0:
            shape[place], rest = rest, 1
    if rest != 1:
        raise _misfit(name)
    return tuple(shape)


def _misfit(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"The schema can not convert input '{name}' to tensor with proper shape", "400"
    )


# Responses


def encode_response(response: InferResponse, hidden: str) -> bytes:
    """Return the JSON of a response: outputs, parameters, and what it is from, ordered by name.

    Args:
        hidden: the name of a parameter that is left out.
    """
    members: dict[str, Any] = {}
    for output in response.outputs:
        values = json_values(output)
        members[output.name] = values[0] if len(values) == 1 else values
    members |= {name: value for name, value in response.parameters.items() if name != hidden}
    members |= {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        members["id"] = response.id
    return _encoder.encode(members).encode("utf-8", "surrogateescape")


def event(text: bytes) -> bytes:
    """Return the server-sent event with this text, which has no line breaks."""
    return b"data: " + text + b"\n\n"
