"""Calls whose answers are given as they came, and requests as the classic client takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .. import messages as m
from ..classic.arguments import check_version
from ..classic.errors import plain
from ..codec import rest
from ..datatypes import Buffer
from ..engine.http1 import Response
from ..errors import InferenceServerException, ProtocolError
from ..transport.http import HttpCall
from ..utils import raise_error
from ._infer_result import InferResult

K = TypeVar("K")
T = TypeVar("T")


class Answer:
    """An answer, whatever it says.

    Attributes:
        status_code: HTTP's status.
    """

    def __init__(self, response: Response) -> None:
        self.status_code = response.status
        self._headers = response.headers
        self._body = response.body

    def get(self, header: str, default: Any = None) -> Any:
        """The value of a header, or `default`."""
        return self._headers.get(header.lower(), default)

    def read(self, length: int | None = None) -> bytes:
        """The body, or its first `length` bytes."""
        return bytes(self._body[:length])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Raw(m.Request[Answer]):
    """A request in the words of HTTP."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]


class _Call(HttpCall[T]):
    __slots__ = ()

    def text(self) -> str:
        """What is sent, to be shown."""
        return f"{self._head.decode('latin-1').rstrip()}\n{b''.join(self._body)!r}"


class RawCall(_Call[Answer]):
    """A call whose answer is not looked into."""

    __slots__ = ()

    def _encode(self) -> rest.HttpRequest:
        raw: Any = self.request
        return rest.HttpRequest(raw.method, raw.path, raw.headers, raw.body)

    def finish(self, response: Response) -> Answer:
        return Answer(response)


class InferCall(_Call[Any]):
    """A call of a model."""

    __slots__ = ()

    def finish(self, response: Response) -> InferResult:
        return InferResult._of(super().finish(response), response.headers, response.body)


def raise_if_error(response: Any) -> None:
    """Raise what an answer with an error status stands for.

    Args:
        response: something with a `status_code` and `read()`.

    Raises:
        InferenceServerException: the status is no success.
    """
    if not 200 <= response.status_code < 300:
        answer = rest.HttpResponse(response.status_code, {}, (response.read(),))
        raise plain(rest.error_of(answer))


def json_of(answer: Any, kind: type[K]) -> K:
    """The JSON value of an answer, which must be of a kind.

    Raises:
        InferenceServerException: the status is no success.
        ProtocolError: the value is of another kind.
    """
    raise_if_error(answer)
    body = answer.read()
    try:
        value = json.loads(body)
        if not isinstance(value, kind):
            raise ValueError(f"it is {value!r:.80}")
        return value
    except (ValueError, RecursionError) as error:
        raise ProtocolError(
            f"the answer is not what was asked for: {rest.describe(error):.500}",
            debug_details=rest.excerpt((body,)),
        ) from error


# Requests


def encode(request: m.Request[Any]) -> tuple[str, str, Buffer]:
    """Method, URI and body of a request."""
    try:
        encoded = rest.encode_request(request)
    except ValueError as error:
        raise InferenceServerException(str(error)) from error
    return encoded.method, encoded.path.lstrip("/"), encoded.body[0] if encoded.body else b""


def statistics(model_name: str, model_version: str) -> m.GetStatistics:
    """The request that the arguments of `get_inference_statistics` make."""
    check_version(model_version)
    if model_version and not model_name:
        raise_error("a model version needs a model name")
    return m.GetStatistics(model_name, model_version)
