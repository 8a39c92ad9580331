"""Every operation over gRPC, as one table; see `RPCS`.

Each row says how one request and its response look, for the client and the server alike.

Sources: KServe v2 gRPC specification; Triton's gRPC extensions.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .. import messages as m
from .records import dump, load
from .rpc_status import refused


class Rpc(NamedTuple):
    """How one operation looks over gRPC; messages are meant in their JSON form.

    Attributes:
        method: the procedure, whose messages are named `{method}Request` and `{method}Response`.
        reads: whether it changes nothing, so that it may be asked twice.
        fields: the message's fields by the request's, where the request is no more than these.
        body: the request message, where it is more.
        arguments: the other way: the request's fields from the message, whose bytes are bytes.
        response_field: the one field of the message that is the response, or "" for all of it.
        kind: type of the response (see `records.load`); None for no response.
        dump: JSON form of the response, where it is not simply the record's.
        load: the other way.
    """

    request: type[m.Request[Any]]
    method: str
    reads: bool = False
    fields: Mapping[str, str] = {}
    body: Callable[[Any], dict[str, Any]] | None = None
    arguments: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    response_field: str = ""
    kind: Any = None
    dump: Callable[[Any], Any] = dump
    load: Callable[[Any], Any] | None = None


_MODEL = {"model": "name", "version": "version"}
_NAME = {"name": "name"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _load_body(request: m.LoadModel) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if request.config is not None:
        values["config"] = {"string_param": request.config}
    for path, content in request.files.items():
        name = path if path.startswith("file:") else f"file:{path}"
        values[name] = {"bytes_param": _base64(content)}
    return {"model_name": request.model, "parameters": values}


def _load_arguments(body: dict[str, Any]) -> dict[str, Any]:
    config, files = None, {}
    for name, parameter in body["parameters"].items():
        if name == "config":
            config = _choice(f"load parameter '{name}'", parameter, "string_param")
        elif name.startswith("file:"):
            content = _choice(f"load parameter '{name}'", parameter, "bytes_param")
            files[name.removeprefix("file:")] = content
        else:
            raise refused(f"unrecognized load parameter '{name}'.")
    return {"model": body["model_name"], "config": config, "files": files}


def _choice(what: str, parameter: dict[str, Any], kind: str) -> Any:
    if kind not in parameter:
        raise refused(f"invalid value type for {what}, expected {kind}.")
    return parameter[kind]


def _unload_body(request: m.UnloadModel) -> dict[str, Any]:
    value = {"bool_param": request.unload_dependents}
    return {"model_name": request.model, "parameters": {"unload_dependents": value}}


def _unload_arguments(body: dict[str, Any]) -> dict[str, Any]:
    dependents = False
    if "unload_dependents" in body["parameters"]:
        parameter = body["parameters"]["unload_dependents"]
        dependents = _choice("'unload_dependents' parameter", parameter, "bool_param")
    return {"model": body["model_name"], "unload_dependents": dependents}


def _cuda_body(request: m.RegisterCudaSharedMemory) -> dict[str, Any]:
    return {
        "name": request.name,
        "raw_handle": _base64(request.raw_handle),
        "device_id": request.device_id,
        "byte_size": request.byte_size,
    }


def _trace_message(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _trace_setting(name, value) for name, value in settings.items()}


def _trace_setting(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    values = value if isinstance(value, (list, tuple)) else (value,)
    for each in values:
        if not isinstance(each, str):
            raise TypeError(f"setting {name!r} is {value!r:.60}, expected text or texts")
    return {"value": list(values)}


def _trace_arguments(body: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, m.TraceValue] = {}
    for name, setting in body["settings"].items():
        values = setting["value"]
        if name == "trace_level" and values:
            settings[name] = tuple(values)
        elif len(values) > 1:
            raise refused(f"expect only 1 value for '{name}'")
        else:
            settings[name] = values[0] if values else None
    return {"model": body["model_name"], "settings": settings}


def _trace_response(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as HTTP has them: texts, but for the level, which is a list of texts."""
    values = {name: setting["value"] for name, setting in settings.items()}
    return {k: v if k == "trace_level" or len(v) != 1 else v[0] for k, v in values.items()}


_LOG_PARAMETERS = {bool: "bool_param", int: "uint32_param", str: "string_param"}
#: What the settings must be, in Triton's words for it; it ignores others.
_LOG_KINDS = {
    "log_file": ("string_param", "string"),
    "log_info": ("bool_param", "boolean"),
    "log_warning": ("bool_param", "boolean"),
    "log_error": ("bool_param", "boolean"),
    "log_verbose_level": ("uint32_param", "int32"),
    "log_format": ("string_param", "string"),
}


def _log_message(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _log_setting(name, value) for name, value in settings.items()}


def _log_setting(name: str, value: Any) -> dict[str, Any]:
    if type(value) not in _LOG_PARAMETERS:
        raise TypeError(f"setting {name!r} is {value!r:.60}, expected bool, int or str")
    if type(value) is int and not 0 <= value < 1 << 32:
        raise ValueError(f"setting {name!r} is {value}, expected 32 bits without a sign")
    return {_LOG_PARAMETERS[type(value)]: value}


def _log_arguments(body: dict[str, Any]) -> dict[str, Any]:
    for name, setting in body["settings"].items():
        parameter, kind = _LOG_KINDS.get(name, ("", ""))
        if kind and parameter not in setting:
            raise refused(f"expect {kind} for '{name}'")
    return {"settings": _log_response(body["settings"])}


def _log_response(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, setting in settings.items() for value in setting.values()}


def _regions(regions: tuple[Any, ...]) -> dict[str, Any]:
    return {region.name: dump(region) for region in regions}


def _load_regions(kind: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda regions: load(
        tuple[kind, ...], [{**region, "name": name} for name, region in regions.items()]
    )


#: Where two operations share a procedure, a message without settings stands for the first.
RPCS = (
    Rpc(m.IsServerLive, "ServerLive", True, response_field="live", kind=bool),
    Rpc(m.IsServerReady, "ServerReady", True, response_field="ready", kind=bool),
    Rpc(m.IsModelReady, "ModelReady", True, _MODEL, response_field="ready", kind=bool),
    Rpc(m.GetServerMetadata, "ServerMetadata", True, kind=m.ServerMetadata),
    Rpc(
        m.GetStatistics,
        "ModelStatistics",
        True,
        _MODEL,
        response_field="model_stats",
        kind=tuple[m.ModelStatistics, ...],
    ),
    Rpc(m.GetModelMetadata, "ModelMetadata", True, _MODEL, kind=m.ModelMetadata),
    Rpc(
        m.GetModelConfig, "ModelConfig", True, _MODEL, response_field="config", kind=dict[str, Any]
    ),
    Rpc(
        m.GetRepositoryIndex,
        "RepositoryIndex",
        True,
        {"ready": "ready"},
        response_field="models",
        kind=tuple[m.ModelIndex, ...],
    ),
    Rpc(m.LoadModel, "RepositoryModelLoad", body=_load_body, arguments=_load_arguments),
    Rpc(m.UnloadModel, "RepositoryModelUnload", body=_unload_body, arguments=_unload_arguments),
    Rpc(
        m.GetTraceSettings,
        "TraceSetting",
        True,
        {"model": "model_name"},
        response_field="settings",
        kind=dict[str, Any],
        dump=_trace_message,
        load=_trace_response,
    ),
    Rpc(
        m.UpdateTraceSettings,
        "TraceSetting",
        body=lambda r: {"model_name": r.model, "settings": _trace_message(r.settings)},
        arguments=_trace_arguments,
        response_field="settings",
        kind=dict[str, Any],
        dump=_trace_message,
        load=_trace_response,
    ),
    Rpc(
        m.GetLogSettings,
        "LogSettings",
        True,
        response_field="settings",
        kind=dict[str, Any],
        dump=_log_message,
        load=_log_response,
    ),
    Rpc(
        m.UpdateLogSettings,
        "LogSettings",
        body=lambda r: {"settings": _log_message(r.settings)},
        arguments=_log_arguments,
        response_field="settings",
        kind=dict[str, Any],
        dump=_log_message,
        load=_log_response,
    ),
    Rpc(
        m.GetSystemSharedMemoryStatus,
        "SystemSharedMemoryStatus",
        True,
        _NAME,
        response_field="regions",
        dump=_regions,
        load=_load_regions(m.SystemSharedMemoryRegion),
    ),
    Rpc(
        m.RegisterSystemSharedMemory,
        "SystemSharedMemoryRegister",
        fields={name: name for name in ("name", "key", "offset", "byte_size")},
    ),
    Rpc(m.UnregisterSystemSharedMemory, "SystemSharedMemoryUnregister", fields=_NAME),
    Rpc(
        m.GetCudaSharedMemoryStatus,
        "CudaSharedMemoryStatus",
        True,
        _NAME,
        response_field="regions",
        dump=_regions,
        load=_load_regions(m.CudaSharedMemoryRegion),
    ),
    Rpc(
        m.RegisterCudaSharedMemory,
        "CudaSharedMemoryRegister",
        body=_cuda_body,
        arguments=lambda body: body,
    ),
    Rpc(m.UnregisterCudaSharedMemory, "CudaSharedMemoryUnregister", fields=_NAME),
    Rpc(m.Infer, "ModelInfer"),
)
