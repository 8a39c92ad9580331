"""Every operation over HTTP, as one table; see `ROUTES`.

Each row says how one request and its response look, for the client and the server alike.

Sources: KServe v2 REST specification; Triton's HTTP/REST extensions.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

from .. import errors
from .. import messages as m
from . import generate
from .checks import check_name
from .records import dump, load


class Route(NamedTuple):
    """How one operation looks over HTTP.

    Attributes:
        path: template; a part in brackets is left out when its field is empty.
        body: JSON value of the request, or None for an empty body.
        arguments: decodes the fields of the request from that JSON value.
        kind: type of the response's JSON (see `records.load`); None for no response.
        dump: encodes the response as a JSON value, if it is not simply the record's.
        load: decodes that JSON value.
    """

    request: type[m.Request[Any]]
    method: str
    path: str
    kind: Any = None
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
    values = body.get("parameters", {})
    if not isinstance(values, dict):
        raise errors.Internal("attempt to get members for non-object", "500")
    for name, value in values.items():
        if not isinstance(value, str):
            raise ValueError("attempt to access JSON non-string as string")
        if name != "config" and not name.startswith("file:"):
            raise errors.Internal("unexpected error on creating Triton parameter", "500")
    files = {
        name.removeprefix("file:"): _decoded(name, content)
        for name, content in values.items()
        if name.startswith("file:")
    }
    return {"config": values.get("config"), "files": files}


def _decoded(name: str, content: str) -> bytes:
    try:
        return base64.b64decode(content)
    except ValueError as error:
        raise ValueError(f"the content of {name!r:.80} is not base64") from error


def _index_arguments(body: Any) -> dict[str, Any]:
    ready = body.get("ready", False)
    if not isinstance(ready, bool):
        raise ValueError("attempt to access JSON non-boolean as boolean")
    return {"ready": ready}


def _unload_arguments(body: Any) -> dict[str, Any]:
    values = body.get("parameters", {})
    values = values if isinstance(values, dict) else {}
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
        value = body[name]
        if name == "key" and type(value) is not str:
            raise ValueError("attempt to access JSON non-string as string")
        if name not in ("key", "raw_handle") and not (type(value) is int and 0 <= value < 1 << 64):
            raise ValueError("attempt to access JSON non-unsigned-integer as unsigned-integer")
    return {name: body[name] for name in names}


def _system_arguments(body: Any) -> dict[str, Any]:
    return _region_arguments({"offset": 0, **body}, "key", "byte_size", "offset")


def _settings(body: Any) -> dict[str, Any]:
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
        dump=lambda response: {"model_stats": dump(response)},
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
        dump=lambda response: [{k: v for k, v in dump(row).items() if v} for row in response],
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
#: Requests that servers take and clients do not send.
SERVER_ROUTES = (
    Route(
        generate.Generate,
        "POST",
        _MODEL + "/generate",
        arguments=lambda value: generate.arguments(value, stream=False),
    ),
    Route(
        generate.Generate,
        "POST",
        _MODEL + "/generate_stream",
        arguments=lambda value: generate.arguments(value, stream=True),
    ),
)


# Paths


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return the path for these fields, which are checked and percent-encoded."""
    for name, value in fields.items():
        check_name(name, value, required=f"/{{{name}}}]" not in template)

    def optional(match: re.Match[str]) -> str:
        (name,) = re.findall(r"{(\w+)}", match[1])
        return match[1] if fields[name] else ""

    path = re.sub(r"\[(.*?)\]", optional, template)
    return re.sub(r"{(\w+)}", lambda match: quote(fields[match[1]], safe=""), path)


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
    # As Triton, a server knows no path whose version is not a number.
    pattern = pattern.replace("{version}", "(?P<version>[0-9]+)")
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern) + r"\Z")


@cache  # only servers need them
def patterns() -> list[tuple[re.Pattern[str], Route]]:
    """Return the pattern of each route's paths."""
    return [(_pattern(route.path), route) for route in (*ROUTES, *SERVER_ROUTES)]
