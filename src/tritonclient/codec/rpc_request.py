"""Inference requests over gRPC, as a server reads them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ..datatypes import DATATYPES, Buffer
from ..errors import InferenceServerException
from ..messages import Infer, InferTensor, Parameter, RequestedOutput
from . import contents, rpc_head
from .rpc_refusals import check_contents, check_memory, check_parameters, classes_of
from .rpc_status import refused

_RAW_CONTENTS = 7
#: What Triton calls a datatype that it does not know, when the model refuses it.
_INVALID = "<invalid>"


class _Input(NamedTuple):
    """An input without its raw contents.

    Attributes:
        elsewhere: whether it lies in shared memory.
        contents: its typed contents, or None.
    """

    tensor: InferTensor
    elsewhere: bool
    contents: bytes | None


class _Request(NamedTuple):
    name: str
    version: str
    parameters: dict[str, Parameter]
    inputs: tuple[_Input, ...]
    outputs: tuple[RequestedOutput, ...]


def decode_request(message: Buffer) -> Infer:
    """The request in a message ModelInferRequest; its tensors are views of that message.

    Raises:
        ValueError: the message is not an inference request.
        InvalidArgument: it is, but asks for what can't be; the error knows the request's id.
    """
    head, id, raw, *_ = rpc_head.split(memoryview(message), _RAW_CONTENTS)
    try:
        request = _request_head(head) if len(head) <= rpc_head.MAX_TEMPLATE else _read(head)
        inputs = _inputs(request, raw)
    except InferenceServerException as error:
        error.request_id = id
        raise
    name, version, parameters, _, outputs = request
    # A copy, since the head is remembered.
    return Infer(name, inputs, version, outputs, id, dict(parameters))


def model_of(message: Buffer) -> tuple[str, str] | None:
    """Return the model and version in a message ModelInferRequest; None if it is no such message.

    Its tensors and parameters may be wrong.
    """
    try:
        head, *_ = rpc_head.split(memoryview(message), _RAW_CONTENTS)
        read = rpc_head.read(head)
    except (ValueError, InferenceServerException):
        return None
    return read.name, read.version


def _read(message: bytes) -> _Request:
    head = rpc_head.read(message)
    check_parameters(head.parameters)
    return _Request(
        head.name,
        head.version,
        _parameters(head.parameters),
        tuple([_input(tensor, head.name) for tensor in head.tensors]),
        tuple(map(_output, head.requested)),
    )


def _parameters(parameters: rpc_head.Choices) -> dict[str, Parameter]:
    found = dict(rpc_head.values(parameters))
    for name in rpc_head.UNSIGNED & found.keys():
        value = found[name]
        if isinstance(value, int) and value < 0:
            found[name] = value + (1 << 64)
    return found


_request_head = lru_cache(maxsize=256)(_read)


def _input(tensor: rpc_head.Tensor, model: str) -> _Input:
    name, datatype, shape, parameters, typed = tensor
    if datatype not in DATATYPES:
        datatype = _INVALID
    elsewhere = check_memory(name, parameters)
    if typed is not None:
        if elsewhere:
            raise refused(
                "unexpected 'content' provided when using shared memory for input tensor "
                f"'{name}' for model '{model}'"
            )
        typed = _contents(name, model, datatype, typed)
    plain = InferTensor(name, datatype, shape, None, rpc_head.values(parameters), not elsewhere)
    return _Input(plain, elsewhere, typed)


def _contents(name: str, model: str, datatype: str, message: bytes) -> bytes:
    check_contents(name, model, datatype, contents.fields(message))
    try:
        return contents.read(datatype, message).data
    except ValueError as error:
        raise refused(f"tensor {name!r}: {error}") from error


def _output(requested: rpc_head.Requested) -> RequestedOutput:
    name, parameters = requested
    elsewhere = check_memory(name, parameters)
    others = rpc_head.values({k: v for k, v in parameters.items() if k != "classification"})
    return RequestedOutput(name, classes_of(parameters), not elsewhere, others)


def _inputs(request: _Request, raw: list[Buffer]) -> tuple[InferTensor, ...]:
    """The inputs with their data. Whether it is of the right size is for the model to check."""
    entries = iter(raw)
    return tuple([_with_data(each, request.name, raw, entries) for each in request.inputs])


def _with_data(
    given: _Input, model: str, raw: list[Buffer], entries: Iterator[Buffer]
) -> InferTensor:
    name, datatype, shape, _, parameters, binary = given.tensor
    # A copy, since the head is remembered.
    parameters = dict(parameters) if parameters else parameters
    if given.elsewhere:
        return InferTensor(name, datatype, shape, None, parameters, binary)
    data: Buffer | None = given.contents
    if data is None:
        data = next(entries, None)
    elif raw:
        raise refused(
            "contents field must not be specified when using raw_input_contents for "
            f"'{name}' for model '{model}'"
        )
    if data is None:
        raise refused(
            f"unable to find data for input tensor '{name}' for model '{model}' in request."
        )
    return InferTensor(name, datatype, shape, data, parameters, binary)
