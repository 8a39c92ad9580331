"""Calls whose responses are given as they came, and requests as the classic client takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from .. import messages as m
from ..classic.arguments import check_version
from ..classic.errors import as_classic_error
from ..classic.loading import load_request as load_request
from ..classic.secrets import Verbose, masked, masked_target
from ..codec import rest
from ..datatypes import Buffer
from ..engine.http1 import Response
from ..engine.http1_head import Headers
from ..errors import DeadlineExceeded, InferenceServerException, ProtocolError
from ..operations import operation
from ..transport.http_call import HttpCall
from ..utils import raise_error
from ._infer_result import InferResult

K = TypeVar("K")


class SentHeaders(Mapping[str, str]):
    """A response's headers, by the names that the server wrote; looked up by names in any case."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers.sent)

    def __len__(self) -> int:
        return len(self._headers)


class RawResponse:
    """A response, whatever it says. Its body is no longer encoded, whatever the headers say.

    Attributes:
        status_code: HTTP's status.
        headers: its headers.
    """

    def __init__(self, response: Response) -> None:
        self.status_code = response.status
        self.headers = SentHeaders(response.headers)
        self._body = response.content()

    def __repr__(self) -> str:
        return self.shown(True)

    def shown(self, verbose: Verbose) -> str:
        """Return what `verbose` shows, which looks as it always did."""
        headers = masked(self.headers, verbose)
        return f"<HTTPSocketPoolResponse status={self.status_code} headers={headers}>"

    def get(self, header: str, default: Any = None) -> Any:
        """Return the value of a header, or `default`; Content-Encoding is hidden."""
        if header.lower() == "content-encoding":
            return default
        return self.headers.get(header, default)

    def read(self, length: int | None = None) -> bytes:
        """The body, or its first `length` bytes."""
        return bytes(self._body[:length])


#: Headers whose names aiohttp writes in its own way, whatever the server wrote.
_TITLED = frozenset(
    ["connection", "content-encoding", "content-length", "content-type", "date", "server",
     "transfer-encoding"]
)  # fmt: skip


def outcome_of(response: Any) -> str:
    """Return the status of a response for the log, "OK" if it is one of success."""
    status = getattr(response, "status_code", 200)
    return "OK" if 200 <= status < 300 else str(status)


class AwaitedResponse:
    """A response as the asyncio client returns it.

    Attributes:
        status: HTTP's status.
        headers: its headers.
    """

    def __init__(self, response: RawResponse, url: str) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self._response = response
        self._url = url

    def __repr__(self) -> str:
        return self.shown(True)

    def shown(self, verbose: Verbose) -> str:
        """Return what `verbose` shows, which looks as it always did."""
        known = HTTPStatus._value2member_map_.get(self.status)
        reason = known.phrase if isinstance(known, HTTPStatus) else ""
        headers = ", ".join(
            f"{(name.title() if name.lower() in _TITLED else name)!r}: {value!r}"
            for name, value in masked(self.headers, verbose).items()
        )
        first = f"<ClientResponse({masked_target(self._url, verbose)}) [{self.status} {reason}]>"
        return f"{first}\n<CIMultiDictProxy({headers})>\n"

    async def read(self) -> bytes:
        """The body."""
        return self._response.read()

    async def text(self) -> str:
        """The body as text."""
        return self._response.read().decode()

    async def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self._response.read())


@operation
class Raw(m.Request[RawResponse]):
    """A request in the words of HTTP."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]

    @property
    def log_name(self) -> str:
        """The name of the request in the log; see `call_log`."""
        return f"{self.method} {self.path}"


class RawCall(HttpCall[RawResponse]):
    """A call whose response is not looked into."""

    __slots__ = ()

    def _encode(self) -> rest.HttpRequest:
        raw: Any = self.request
        return rest.HttpRequest(raw.method, raw.path, raw.headers, raw.body)

    def finish(self, response: Response) -> RawResponse:
        return RawResponse(response)

    def target(self) -> str:
        """The path and the query that it asks for."""
        return self._head.split(b" ", 2)[1].decode("ascii")


class InferCall(HttpCall[Any]):
    """A call of a model."""

    __slots__ = ()

    def finish(self, response: Response) -> InferResult:
        try:
            decoded = super().finish(response)
        except ProtocolError:
            loose = InferResult._loosely(response.headers, response.content())
            if loose is None:
                raise
            return loose
        return InferResult._of(decoded, response.headers, response.content())


def raise_if_error(status: int, body: Buffer) -> None:
    """Raise the error of a response with an error status.

    Raises:
        InferenceServerException: the status is no success.
    """
    if not 200 <= status < 300:
        raise refused(rest.error_of(rest.HttpResponse(status, {}, (body,))))


def say_timed_out(error: DeadlineExceeded) -> None:
    """Let an error say what programs look for in texts.

    "timed out" is in that of `socket.timeout`, which the official client raises, and "Deadline
    Exceeded" in that of its client over gRPC.
    """
    if error.status() is None:
        error.reword(f"timed out, Deadline Exceeded: {error.message()}")


def refused(error: InferenceServerException) -> InferenceServerException:
    """A refusal as programs know it: with the body as details only where it has no "error"."""
    body = str(error.debug_details() or "")
    details = None if body.lstrip("{ \n").startswith('"error"') else body or None
    return as_classic_error(error, error.message() or "", error.status(), details)


def json_of(body: bytes, kind: type[K]) -> K:
    """The JSON value of a response's body, which must be of a kind.

    Raises:
        ProtocolError: the value is of another kind.
    """
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


def encode_request(request: m.Request[Any]) -> rest.HttpRequest:
    """Return a request as an HTTP request; raise the classic exception if it is wrong."""
    try:
        return rest.encode_request(request)
    except ValueError as error:
        raise InferenceServerException(str(error)) from error


def encode(request: m.Request[Any]) -> tuple[str, str, str]:
    """Method, URI and body of a request."""
    encoded = encode_request(request)
    body = b"".join(encoded.body).decode()
    if isinstance(request, m.GetRepositoryIndex):
        body = ""  # which asks for all, as "{}" does, and is what the official client sends
    return encoded.method, encoded.path.lstrip("/"), body


def done(request: m.Request[None]) -> str:
    """Return the text that `verbose` prints for a completed request."""
    match request:
        case m.LoadModel(model=model):
            return f"Loaded model '{model}'"
        case m.UnloadModel(model=model):
            return f"Unloaded model '{model}'"
        case m.RegisterSystemSharedMemory(name=name):
            return f"Registered system shared memory with name '{name}'"
        case m.RegisterCudaSharedMemory(name=name):
            return f"Registered cuda shared memory with name '{name}'"
    kind = "system" if isinstance(request, m.UnregisterSystemSharedMemory) else "cuda"
    name = getattr(request, "name", "")
    if name:
        return f"Unregistered {kind} shared memory with name '{name}'"
    return f"Unregistered all {kind} shared memory regions"


def statistics(model_name: str, model_version: str) -> m.GetStatistics:
    """The request that the arguments of `get_inference_statistics` make."""
    check_version(model_version)
    if model_version and not model_name:
        raise_error("a model version needs a model name")
    return m.GetStatistics(model_name, model_version)
