"""Requests, responses and errors as values of messages."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..... import datatypes, errors
from .....errors import InferenceServerException, ProtocolError
from .....operations import NO_PARAMETERS
from ....jobs.job import JobOptions
from ....jobs.response import Response
from ....jobs.tensor import Tensor
from .channel import Body, Message

_NEVER = threading.Event()


def tensor_values(tensors: Iterable[Tensor], body: Body) -> list[Any]:
    """Add tensors to a body; return where each is."""
    return [
        [name, datatype, array.shape, *body.add(datatypes.pack(array, datatype))]
        for name, datatype, array in tensors
    ]


def tensors(values: Sequence[Any], message: Message) -> tuple[Tensor, ...]:
    """Return the tensors of a message.

    Raises:
        ProtocolError: the message does not have them.
    """
    try:
        return tuple(_tensor(message, *each) for each in values)
    except (TypeError, ValueError, KeyError) as error:
        raise ProtocolError(f"a message has a tensor that cannot be read: {error}") from error


def _tensor(
    message: Message, name: str, datatype: str, shape: list[int], start: int, size: int
) -> Tensor:
    # BF16 stays bit patterns.
    kind = "UINT16" if datatype == "BF16" else datatype
    array = datatypes.unpack(message.part(start, size), kind, tuple(shape))
    return Tensor(name, datatype, array)


def error_values(error: InferenceServerException) -> list[Any]:
    """Return an error as values."""
    return [type(error).__name__, error.message(), error.status()]


def error(values: Sequence[Any]) -> InferenceServerException:
    """Return the error that values stand for."""
    name, text, status = values
    kind = getattr(errors, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, InferenceServerException)):
        kind = errors.Internal
    return kind(str(text), None if status is None else str(status))


def response_values(response: Response, body: Body) -> dict[str, Any]:
    """Add the outputs of a response to a body; return the rest as values."""
    outputs, problem, final, parameters = response
    values: dict[str, Any] = {"final": final}
    if outputs is not None:
        values["outputs"] = tensor_values(outputs, body)
    if problem is not None:
        values["error"] = error_values(problem)
    if parameters:
        values["parameters"] = dict(parameters)
    return values


def response(values: Mapping[str, Any], message: Message) -> Response:
    """Return the response that values stand for."""
    outputs, problem = values.get("outputs"), values.get("error")
    return Response(
        None if outputs is None else tensors(outputs, message),
        None if problem is None else error(problem),
        bool(values["final"]),
        values.get("parameters", NO_PARAMETERS),
    )


def option_values(options: JobOptions) -> dict[str, Any]:
    """Return the options of a request, without its cancel flag, as values."""
    values: dict[str, Any] = {"outputs": options.outputs}
    if options.id:
        values["id"] = options.id
    if options.parameters:
        values["parameters"] = dict(options.parameters)
    if options.custom:
        values["custom"] = dict(options.custom)
    return values


def options(values: Mapping[str, Any]) -> JobOptions:
    """Return the options that values stand for, with a cancel flag that is never set."""
    return JobOptions(
        values.get("id", ""),
        tuple(values["outputs"]),
        values.get("parameters", NO_PARAMETERS),
        _NEVER,
        values.get("custom", NO_PARAMETERS),
    )
