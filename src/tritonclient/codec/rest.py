"""The v2 protocol over HTTP, as one table; see `ROUTES`.

Each row says how one request and its answer look, for the client (`encode_request`,
`decode_response`) and the server (`decode_request`, `encode_response`) alike. Only inference,
whose tensors travel outside the JSON, has code of its own, in `rest_infer`.

Sources: KServe v2 REST specification; Triton's HTTP/REST extensions.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from .. import errors
from .. import messages as m
from ..caches import small_cache
from ..datatypes import Buffer
from . import rest_infer
from .checks import check_name
from .records import dump, load

T = TypeVar("T")


class HttpRequest(NamedTuple):
    """A request without what concerns only the connection. The path is percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]


class HttpResponse(NamedTuple):
    """An answer; header names are in lower case on arrival."""

    status: int
    headers: Mapping[str, str]
    body: tuple[Buffer, ...]


# The table


class Route(NamedTuple):
    """How one operation looks over HTTP.

    Attributes:
        path: template; a part in brackets is left out when its field is empty.
        body: JSON value of the request, or None for an empty body.
        arguments: decodes the fields of the request from that JSON value.
        answer: type of the response's JSON (see `records.load`); None for no response.
        dump: encodes the response as a JSON value, if it is not simply the record's.
        load: decodes that JSON value.
    """

    request: type[m.Request[Any]]
    method: str
    path: str
    answer: Any = None
    body: Callable[[Any], Any] | None = None
    arguments: Callable[[Any], dict[str, Any]] | None = None
    dump: Callable[[Any], Any] = dump
    load: Callable[[Any], Any] | None = None


_MODEL = "/v2/models/{model}[/versions/{version}]"
_SYSTEM = "/v2/systemsharedmemory"
_CUDA = "/v2/cudasharedmemory"


def _parameters(**values: Any) -> dict[str, Any]:
    return {"parameters": values} if values else {}


def _load_body(request: m.LoadModel) -> dict[str, Any]:
    values: dict[str, Any] = {} if request.config is None else {"config": request.config}
    for path, content in request.files.items():
        name = path if path.startswith("file:") else f"file:{path}"
        values[name] = base64.b64encode(content).decode()
    return _parameters(**values)


def _load_arguments(body: Any) -> dict[str, Any]:
    values = (body or {}).get("parameters", {})
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError("attempt to access JSON non-string as string")
        if name != "config" and not name.startswith("file:"):
            raise errors.Internal("unexpected error on creating Triton parameter", "500")
    files = {
        name.removeprefix("file:"): base64.b64decode(content)
        for name, content in values.items()
        if name.startswith("file:")
    }
    return {"config": values.get("config"), "files": files}


def _index_arguments(body: Any) -> dict[str, Any]:
    ready = (body or {}).get("ready", False)
    if not isinstance(ready, bool):
        raise TypeError("attempt to access JSON non-boolean as boolean")
    return {"ready": ready}


def _unload_arguments(body: Any) -> dict[str, Any]:
    values = (body or {}).get("parameters", {})
    return {"unload_dependents": bool(values.get("unload_dependents", False))}


def _cuda_body(request: m.RegisterCudaSharedMemory) -> dict[str, Any]:
    handle = base64.b64encode(request.raw_handle).decode()
    return {
        "raw_handle": {"b64": handle},
        "device_id": request.device_id,
        "byte_size": request.byte_size,
    }


def _cuda_arguments(body: Any) -> dict[str, Any]:
    arguments = _region_arguments(body, "raw_handle", "device_id", "byte_size")
    try:
        handle = base64.b64decode(arguments["raw_handle"]["b64"], validate=True)
    except (ValueError, KeyError, TypeError):
        handle = b""
    if len(handle) != 64:
        raise errors.InvalidArgument(
            "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t", "400"
        )
    return {**arguments, "raw_handle": handle}


def _region_arguments(body: Any, *names: str) -> dict[str, Any]:
    for name in names:
        if name not in body:
            text = f"Shared memory register request has no '{name}' field"
            raise errors.InvalidArgument(text, "400")
        if name != "raw_handle" and type(body[name]) is not (str if name == "key" else int):
            raise TypeError(f"{name!r} is {body[name]!r:.60}")
    return {name: body[name] for name in names}


def _system_arguments(body: Any) -> dict[str, Any]:
    return _region_arguments({"offset": 0, **body}, "key", "byte_size", "offset")


def _settings(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("settings must be a JSON object")
    return {"settings": {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}}


ROUTES = (
    Route(m.IsServerLive, "GET", "/v2/health/live"),
    Route(m.IsServerReady, "GET", "/v2/health/ready"),
    Route(m.IsModelReady, "GET", _MODEL + "/ready"),
    Route(m.GetServerMetadata, "GET", "/v2", m.ServerMetadata),
    Route(
        m.GetStatistics,
        "GET",
        "/v2/models[/{model}][/versions/{version}]/stats",
        tuple[m.ModelStatistics, ...],
        dump=lambda answer: {"model_stats": dump(answer)},
        load=lambda value: load(tuple[m.ModelStatistics, ...], value["model_stats"]),
    ),
    Route(m.GetModelMetadata, "GET", _MODEL, m.ModelMetadata),
    Route(m.GetModelConfig, "GET", _MODEL + "/config", dict[str, Any]),
    Route(
        m.GetRepositoryIndex,
        "POST",
        "/v2/repository/index",
        tuple[m.ModelIndex, ...],
        # Triton takes no body for an empty object; others insist on one.
        body=lambda request: {"ready": True} if request.ready else {},
        arguments=_index_arguments,
        # Triton leaves empty members out of its index.
        dump=lambda answer: [{k: v for k, v in dump(row).items() if v} for row in answer],
    ),
    Route(
        m.LoadModel,
        "POST",
        "/v2/repository/models/{model}/load",
        body=_load_body,
        arguments=_load_arguments,
    ),
    Route(
        m.UnloadModel,
        "POST",
        "/v2/repository/models/{model}/unload",
        body=lambda request: _parameters(unload_dependents=request.unload_dependents),
        arguments=_unload_arguments,
    ),
    Route(m.GetTraceSettings, "GET", "/v2[/models/{model}]/trace/setting", dict[str, Any]),
    Route(
        m.UpdateTraceSettings,
        "POST",
        "/v2[/models/{model}]/trace/setting",
        dict[str, Any],
        body=lambda request: dump(request.settings),
        arguments=_settings,
    ),
    Route(m.GetLogSettings, "GET", "/v2/logging", dict[str, Any]),
    Route(
        m.UpdateLogSettings,
        "POST",
        "/v2/logging",
        dict[str, Any],
        body=lambda request: dump(request.settings),
        arguments=_settings,
    ),
    Route(
        m.GetSystemSharedMemoryStatus,
        "GET",
        _SYSTEM + "[/region/{name}]/status",
        tuple[m.SystemSharedMemoryRegion, ...],
    ),
    Route(
        m.RegisterSystemSharedMemory,
        "POST",
        _SYSTEM + "/region/{name}/register",
        body=lambda r: {"key": r.key, "offset": r.offset, "byte_size": r.byte_size},
        arguments=_system_arguments,
    ),
    Route(m.UnregisterSystemSharedMemory, "POST", _SYSTEM + "[/region/{name}]/unregister"),
    Route(
        m.GetCudaSharedMemoryStatus,
        "GET",
        _CUDA + "[/region/{name}]/status",
        tuple[m.CudaSharedMemoryRegion, ...],
    ),
    Route(
        m.RegisterCudaSharedMemory,
        "POST",
        _CUDA + "/region/{name}/register",
        body=_cuda_body,
        arguments=_cuda_arguments,
    ),
    Route(m.UnregisterCudaSharedMemory, "POST", _CUDA + "[/region/{name}]/unregister"),
    Route(m.Infer, "POST", _MODEL + "/infer"),
)

_ROUTE_OF = {route.request: route for route in ROUTES}
_HEALTH = (m.IsServerLive, m.IsServerReady, m.IsModelReady)
_NO_HEADERS: Mapping[str, str] = {}
_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


# Paths


def _fill(template: str, fields: Mapping[str, str]) -> str:
    for name, value in fields.items():
        check_name(name, value, required=f"/{{{name}}}]" not in template)

    def optional(match: re.Match[str]) -> str:
        (name,) = re.findall(r"{(\w+)}", match[1])
        return match[1] if fields[name] else ""

    path = re.sub(r"\[(.*?)\]", optional, template)
    return re.sub(r"{(\w+)}", lambda match: quote(fields[match[1]], safe=""), path)


@small_cache(1024)
def _infer_path(model: str, version: str) -> str:
    return _fill(_MODEL + "/infer", {"model": model, "version": version})


def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.sub(
        r"\[(.*?)\]",
        r"(?:\1)?",
        re.escape(template)
        .replace(r"\[", "[")
        .replace(r"\]", "]")
        .replace(r"\{", "{")
        .replace(r"\}", "}"),
    )
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern) + r"\Z")


@cache  # only servers need them
def _patterns() -> list[tuple[re.Pattern[str], Route]]:
    return [(_pattern(route.path), route) for route in ROUTES]


_FIELDS_OF = {route.request: re.findall(r"{(\w+)}", route.path) for route in ROUTES}


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
    path = _fill(route.path, {f: getattr(request, f) for f in _FIELDS_OF[type(request)]})
    value = None if route.body is None else route.body(request)
    if value is None:
        return HttpRequest(route.method, path, _NO_HEADERS, ())
    return HttpRequest(route.method, path, _JSON_HEADERS, (rest_infer.dumps(value),))


def decode_response(request: m.Request[T], response: HttpResponse) -> T:
    """The answer to a request.

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
        if route.answer is None:
            return None  # type: ignore[return-value]
        value = json.loads(bytes(response.body[0]))
        return route.load(value) if route.load else load(route.answer, value)  # type: ignore[no-any-return]
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
    known = False
    for pattern, route in _patterns():
        match = pattern.match(request.path)
        if match is None:
            continue
        known = True
        if route.method == request.method:
            fields = {k: unquote(v) for k, v in match.groupdict().items() if v is not None}
            return _decode(route, fields, request)
    if known:
        raise errors.Unimplemented("Method Not Allowed", "405")
    raise errors.NotFound("Not Found", "404")


def _decode(route: Route, fields: dict[str, str], request: HttpRequest) -> m.Request[Any]:
    try:
        if route.request is m.Infer:
            body = b"".join(request.body) if len(request.body) != 1 else request.body[0]
            return rest_infer.decode_request(fields, request.headers, body)
        if route.arguments is None:
            return route.request(**fields)
        data = b"".join(request.body)
        return route.request(**fields, **route.arguments(json.loads(data) if data else None))
    # Triton answers 500 to what it can't parse, and so that is what its users know.
    except json.JSONDecodeError as error:
        text = f"failed to parse the request JSON buffer: {error.msg}. at {error.pos}"
        raise errors.Internal(text, "500") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.Internal(f"Unable to parse the request: {describe(error)}", "500") from error


def encode_response(request: m.Request[T], answer: T) -> HttpResponse:
    """Return the HTTP response that encodes a response."""
    if answer is True:
        return HttpResponse(200, _NO_HEADERS, ())
    if answer is False:
        of_model = isinstance(request, m.IsModelReady)
        text = rest_infer.dumps({"error": "Model version not ready"})
        return HttpResponse(400, _NO_HEADERS, (text,) if of_model else ())
    if isinstance(answer, m.InferResponse):
        headers, body = rest_infer.encode_response(answer)
        return HttpResponse(200, headers, body)
    if answer is None:
        return HttpResponse(200, _NO_HEADERS, ())
    value = _ROUTE_OF[type(request)].dump(answer)
    return HttpResponse(200, _JSON_HEADERS, (rest_infer.dumps(value),))


_ERROR_STATUS = {kind: status for status, kind in reversed([*_STATUS_ERRORS.items()])}


def encode_error(error: errors.InferenceServerException) -> HttpResponse:
    """Return the HTTP response that encodes an error."""
    status = error.status() or ""
    code = int(status) if status.isdecimal() else _ERROR_STATUS.get(type(error), 500)
    body = rest_infer.dumps({"error": error.message()})
    return HttpResponse(code, _JSON_HEADERS, (body,))
