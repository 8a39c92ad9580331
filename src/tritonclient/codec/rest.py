"""The v2 protocol over HTTP, by the table in `routes`.

Only inference, whose tensors travel outside the JSON, has code of its own, in `rest_infer`.

Sources: KServe v2 REST specification; Triton's HTTP/REST extensions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from .. import errors
from .. import messages as m
from ..caches import small_cache
from ..datatypes import Buffer
from . import rest_infer, rest_json, rest_request
from .generate import Generate
from .records import load
from .routes import ROUTES, Route, fill, patterns

T = TypeVar("T")


class HttpRequest(NamedTuple):
    """A request without what concerns only the connection. The path is percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]


class HttpResponse(NamedTuple):
    """A response; header names are in lower case on arrival."""

    status: int
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]


_ROUTE_OF = {route.request: route for route in ROUTES}
_HEALTH = (m.IsServerLive, m.IsServerReady, m.IsModelReady)
_NO_HEADERS: Mapping[str, str] = {}
_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}
_FIELDS_OF = {route.request: re.findall(r"{(\w+)}", route.path) for route in ROUTES}


@small_cache(1024)
def _infer_path(model: str, version: str) -> str:
    return fill(_ROUTE_OF[m.Infer].path, {"model": model, "version": version})


# Client side


def encode_request(request: m.Request[Any]) -> HttpRequest:
    """Return the HTTP request that encodes a request.

    Raises:
        ValueError: a value of the request has no form over HTTP.
    """
    if isinstance(request, m.Infer):
        headers, body = rest_infer.encode_request(request)
        return HttpRequest("POST", _infer_path(request.model, request.version), headers, body)
    route = _ROUTE_OF[type(request)]
    path = fill(route.path, {f: getattr(request, f) for f in _FIELDS_OF[type(request)]})
    value = None if route.body is None else route.body(request)
    if value is None:
        return HttpRequest(route.method, path, _NO_HEADERS, ())
    return HttpRequest(route.method, path, _JSON_HEADERS, (rest_infer.dumps(value),))


def decode_response(request: m.Request[T], response: HttpResponse) -> T:
    """The response to a request.

    Raises:
        ServerError: the server refused it.
        ProtocolError: the response is invalid.
    """
    status = response.status
    if isinstance(request, _HEALTH) and status not in (401, 403):
        return status == 200  # type: ignore[return-value]
    if not 200 <= status < 300:
        raise error_of(response)
    try:
        if isinstance(request, m.Infer):
            return rest_infer.decode_response(response.headers, response.body[0])  # type: ignore[return-value]
        route = _ROUTE_OF[type(request)]
        if route.kind is None:
            return None  # type: ignore[return-value]
        value = json.loads(bytes(response.body[0]))
        return route.load(value) if route.load else load(route.kind, value)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise errors.ProtocolError(
            f"the answer to {type(request).__name__} can't be read: {describe(error):.500}",
            debug_details=excerpt(response.body),
        ) from error


#: Errors by status. Of several statuses for one error, a server sends the first.
_STATUS_ERRORS: dict[int, type[errors.InferenceServerException]] = {
    400: errors.InvalidArgument,
    422: errors.InvalidArgument,
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.AlreadyExists,
    412: errors.FailedPrecondition,
    413: errors.ResourceExhausted,
    416: errors.OutOfRange,
    429: errors.ResourceExhausted,
    499: errors.Cancelled,
    500: errors.Internal,
    501: errors.Unimplemented,
    405: errors.Unimplemented,
    503: errors.Unavailable,
    502: errors.Unavailable,
    504: errors.DeadlineExceeded,
    408: errors.DeadlineExceeded,
}


#: Text of the official client for a response without a body.
_NO_TEXT = "client received an empty response from the server."


def error_of(response: HttpResponse) -> errors.InferenceServerException:
    """Return the error of a response with an error status."""
    kind = _STATUS_ERRORS.get(response.status, errors.ServerError)
    text = excerpt(response.body)
    message = _error_text(response) or text or _NO_TEXT
    if 300 <= response.status < 400 and "location" in response.headers:
        message = f"redirected to {response.headers['location']}, which is not followed"
    return kind(message, str(response.status), text)


def _error_text(response: HttpResponse) -> str | None:
    # "error" is the protocol's; the others are what FastAPI-based servers and gateways send.
    try:
        value = json.loads(b"".join(response.body))
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        for key in ("error", "detail", "message"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return None


def excerpt(body: tuple[Buffer, ...], limit: int = 500) -> str:
    """The beginning of a body as text, for error messages."""
    data = b"".join(bytes(memoryview(part)[: limit + 1]) for part in body)
    text = data[:limit].decode("utf-8", "replace").strip()
    return text + ("..." if len(data) > limit else "")


def describe(error: Exception) -> str:
    """An error of the standard library in words that make sense to a caller."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__


# Server side


def decode_request(request: HttpRequest) -> m.Request[Any]:
    """Return the request in an HTTP request; header names must be in lower case.

    Raises:
        NotFound: no operation has this path.
        Unimplemented: the path has other methods.
        Internal, InvalidArgument: the body is invalid for the operation.
    """
    found = _routes(request.path)
    for route, fields in found:
        if route.method == request.method:
            return _decode(route, fields, request)
    if found:
        raise errors.Unimplemented("Method Not Allowed", "405")
    raise errors.NotFound("Not Found", "404")


@small_cache(256)
def _routes(path: str) -> tuple[tuple[Route, dict[str, str]], ...]:
    """Return the routes that have this path, each with the fields in it."""
    matches = ((route, pattern.match(path)) for pattern, route in patterns())
    return tuple(
        (route, {k: unquote(v) for k, v in match.groupdict().items() if v is not None})
        for route, match in matches
        if match is not None
    )


def model_of(request: HttpRequest) -> tuple[str, str] | None:
    """Return the model and version of an inference, by its path; None for other requests."""
    for route, fields in _routes(request.path):
        if route.request in (m.Infer, Generate) and route.method == request.method:
            return fields["model"], fields.get("version", "")
    return None


def takes_encodings(request: HttpRequest) -> bool:
    """Return True if the body may be compressed: in Triton, that of the generate extension not."""
    return all(route.request is not Generate for route, _ in _routes(request.path))


#: Requests that Triton takes without a body.
_EMPTY_BODIES = (m.LoadModel, m.UnloadModel, m.GetRepositoryIndex)


def _decode(route: Route, fields: dict[str, str], request: HttpRequest) -> m.Request[Any]:
    try:
        if route.request is m.Infer:
            body = b"".join(request.body) if len(request.body) != 1 else request.body[0]
            return rest_request.decode_request(fields, request.headers, body)
        if route.arguments is None:
            return route.request(**fields)
        data = b"".join(request.body)
        any_text = route.request is Generate  # its strings may be tensors
        if not any_text:
            data.decode()
        value = rest_json.loads(data) if data or route.request not in _EMPTY_BODIES else {}
        if not any_text and not isinstance(value, dict):
            value = {}  # as in Triton, what is no object has no members
        return route.request(**fields, **route.arguments(value))
    # Triton answers 500 to what it can't parse, and so that is what its users know.
    except json.JSONDecodeError as error:
        text = f"failed to parse the request JSON buffer: {error.msg}. at {error.pos}"
        raise errors.Internal(text, "500") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        text = _words(error)
        if not text.startswith("attempt to access"):  # Triton's words, as they are
            text = f"Unable to parse the request: {text}"
        raise errors.Internal(text, "500") from error


def _words(error: Exception) -> str:
    """Return what an exception says to a client: Python's own words are not for it."""
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    if isinstance(error, UnicodeError):
        return "the JSON is not UTF-8"
    if type(error) is ValueError or isinstance(error, KeyError):
        return describe(error)
    return "the JSON has another form than this request"


def encode_response(request: m.Request[T], response: T) -> HttpResponse:
    """Return the HTTP response that encodes a response."""
    if response is True:
        return HttpResponse(200, _NO_HEADERS, ())
    if response is False:
        of_model = isinstance(request, m.IsModelReady)
        text = rest_infer.dumps({"error": "Model version not ready"})
        return HttpResponse(400, _NO_HEADERS, (text,) if of_model else ())
    if isinstance(response, m.InferResponse):
        headers, body = rest_infer.encode_response(response)
        return HttpResponse(200, headers, body)
    if response is None:
        return HttpResponse(200, _NO_HEADERS, ())
    value = _ROUTE_OF[type(request)].dump(response)
    return HttpResponse(200, _JSON_HEADERS, (rest_infer.dumps(value),))


_ERROR_STATUS = {kind: status for status, kind in reversed([*_STATUS_ERRORS.items()])}


def encode_error(error: errors.InferenceServerException) -> HttpResponse:
    """Return the HTTP response that encodes an error."""
    status = error.status() or ""
    code = int(status) if status.isdecimal() else _ERROR_STATUS.get(type(error), 500)
    body = rest_infer.dumps({"error": error.message()})
    return HttpResponse(code, _JSON_HEADERS, (body,))
