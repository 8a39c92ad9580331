"""The v2 protocol over gRPC, as one table; see `RPCS`.

Each row says how one request and its answer look, for the client (`encode_request`,
`decode_response`) and the server (`decode_request`, `encode_response`) alike. They go through the
protobuf classes; only inference, whose tensors must not be copied, has code of its own, in
`rpc_infer`, and does without protobuf.

Sources: KServe v2 gRPC specification; Triton's gRPC extensions.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple, TypeVar

from .. import errors
from .. import messages as m
from ..datatypes import Buffer
from ..extras import optional_import
from . import messages_pb, rpc_infer
from .checks import check_name
from .records import dump, load
from .rpc_status import code_of as code_of
from .rpc_status import error_of, refused

T = TypeVar("T")

SERVICE = "inference.GRPCInferenceService"


class RpcRequest(NamedTuple):
    """A request without what concerns only the connection.

    Attributes:
        method: the procedure's name within the service.
        message: the request message, in parts.
    """

    method: str
    message: tuple[Buffer, ...]


# The table


class Rpc(NamedTuple):
    """How one operation looks over gRPC; messages are meant in their JSON form.

    Attributes:
        method: the procedure, whose messages are named `{method}Request` and `{method}Response`.
        reads: whether it changes nothing, so that it may be asked twice.
        fields: the message's fields by the request's, where the request is no more than these.
        body: the request message, where it is more.
        arguments: the other way: the request's fields from the message, whose bytes are bytes.
        answer: the one field of the response message that is the answer, or "" for all of it.
        kind: type of the response (see `records.load`); None for no response.
        dump: JSON form of the answer, where it is not simply the record's.
        load: the other way.
    """

    request: type[m.Request[Any]]
    method: str
    reads: bool = False
    fields: Mapping[str, str] = {}
    body: Callable[[Any], dict[str, Any]] | None = None
    arguments: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    answer: str = ""
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


def _trace_answer(settings: dict[str, Any]) -> dict[str, Any]:
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
    return {"settings": _log_answer(body["settings"])}


def _log_answer(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, setting in settings.items() for value in setting.values()}


def _regions(regions: tuple[Any, ...]) -> dict[str, Any]:
    return {region.name: dump(region) for region in regions}


def _load_regions(kind: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda regions: load(
        tuple[kind, ...], [{**region, "name": name} for name, region in regions.items()]
    )


#: Where two operations share a procedure, a message without settings stands for the first.
RPCS = (
    Rpc(m.IsServerLive, "ServerLive", True, answer="live", kind=bool),
    Rpc(m.IsServerReady, "ServerReady", True, answer="ready", kind=bool),
    Rpc(m.IsModelReady, "ModelReady", True, _MODEL, answer="ready", kind=bool),
    Rpc(m.GetServerMetadata, "ServerMetadata", True, kind=m.ServerMetadata),
    Rpc(
        m.GetStatistics,
        "ModelStatistics",
        True,
        _MODEL,
        answer="model_stats",
        kind=tuple[m.ModelStatistics, ...],
    ),
    Rpc(m.GetModelMetadata, "ModelMetadata", True, _MODEL, kind=m.ModelMetadata),
    Rpc(m.GetModelConfig, "ModelConfig", True, _MODEL, answer="config", kind=dict[str, Any]),
    Rpc(
        m.GetRepositoryIndex,
        "RepositoryIndex",
        True,
        {"ready": "ready"},
        answer="models",
        kind=tuple[m.ModelIndex, ...],
    ),
    Rpc(m.LoadModel, "RepositoryModelLoad", body=_load_body, arguments=_load_arguments),
    Rpc(m.UnloadModel, "RepositoryModelUnload", body=_unload_body, arguments=_unload_arguments),
    Rpc(
        m.GetTraceSettings,
        "TraceSetting",
        True,
        {"model": "model_name"},
        answer="settings",
        kind=dict[str, Any],
        dump=_trace_message,
        load=_trace_answer,
    ),
    Rpc(
        m.UpdateTraceSettings,
        "TraceSetting",
        body=lambda r: {"model_name": r.model, "settings": _trace_message(r.settings)},
        arguments=_trace_arguments,
        answer="settings",
        kind=dict[str, Any],
        dump=_trace_message,
        load=_trace_answer,
    ),
    Rpc(
        m.GetLogSettings,
        "LogSettings",
        True,
        answer="settings",
        kind=dict[str, Any],
        dump=_log_message,
        load=_log_answer,
    ),
    Rpc(
        m.UpdateLogSettings,
        "LogSettings",
        body=lambda r: {"settings": _log_message(r.settings)},
        arguments=_log_arguments,
        answer="settings",
        kind=dict[str, Any],
        dump=_log_message,
        load=_log_answer,
    ),
    Rpc(
        m.GetSystemSharedMemoryStatus,
        "SystemSharedMemoryStatus",
        True,
        _NAME,
        answer="regions",
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
        answer="regions",
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

_RPC_OF = {rpc.request: rpc for rpc in RPCS}


def idempotent(request: m.Request[Any]) -> bool:
    """True if a request is read-only, so that it may be retried when its response is lost."""
    return _RPC_OF[type(request)].reads


# Client side


def encode_request(request: m.Request[Any]) -> RpcRequest:
    """Return the message that encodes a request.

    Raises:
        ValueError, TypeError: a value of the request has no form over gRPC.
        ImportError: protobuf is not installed.
    """
    if isinstance(request, m.Infer):
        return RpcRequest("ModelInfer", rpc_infer.encode_request(request))
    rpc = _RPC_OF[type(request)]
    _check_names(request)
    if rpc.body is not None:
        body = rpc.body(request)
    else:
        body = {theirs: getattr(request, ours) for ours, theirs in rpc.fields.items()}
    return RpcRequest(rpc.method, (_serialized(f"{rpc.method}Request", body),))


def _check_names(request: m.Request[Any]) -> None:
    for each in fields(request):  # type: ignore[arg-type]
        if each.name in ("model", "version", "name"):
            value = getattr(request, each.name)
            check_name(each.name, value, required=each.default is MISSING)


def decode_response(request: m.Request[T], message: Buffer) -> T:
    """The answer to a request.

    Raises:
        ProtocolError: the message is not an answer of the protocol.
        ImportError: protobuf is not installed.
    """
    try:
        if isinstance(request, m.Infer):
            return rpc_infer.decode_response(message)  # type: ignore[return-value]
        rpc = _RPC_OF[type(request)]
        value = _parsed(f"{rpc.method}Response", message)
        if rpc.answer:
            if rpc.answer not in value:
                raise ValueError(f"{rpc.answer!r} is missing")
            value = value[rpc.answer]
        if rpc.load is not None:
            return rpc.load(value)  # type: ignore[no-any-return]
        return None if rpc.kind is None else load(rpc.kind, value)  # type: ignore[return-value]
    except ValueError as error:
        raise unreadable(request, message, error) from error


def unreadable(request: m.Request[Any], message: Buffer, error: ValueError) -> errors.ProtocolError:
    """The error to raise when an answer can't be read because of this one."""
    return errors.ProtocolError(
        f"the answer to {type(request).__name__} can't be read: {error!s:.500}",
        debug_details=bytes(memoryview(message)[:500]),
    )


# Server side


def decode_request(method: str, message: Buffer) -> m.Request[Any]:
    """The request in a message; for ModelStreamInfer, in one of the stream's messages.

    Raises:
        Unimplemented: there is no such procedure, or not all of it.
        Internal: the message is invalid for the procedure.
        InvalidArgument: it is, but asks for what can't be.
        ImportError: protobuf is not installed.
    """
    from .rpc_request import decode_request as decode_infer  # only servers need it

    try:
        if method in ("ModelInfer", "ModelStreamInfer"):
            return decode_infer(message)
        rpcs = [rpc for rpc in RPCS if rpc.method == method]
        if not rpcs:
            raise error_of(12, "")
        body = _parsed(f"{method}Request", message)
    except ValueError as error:
        raise error_of(13, f"Unable to parse request: {error!s:.500}") from error
    if body.get("repository_name"):
        raise error_of(12, "'repository_name' specification is not supported")
    rpc = rpcs[1] if body.get("settings") else rpcs[0]
    if rpc.arguments is not None:
        return rpc.request(**rpc.arguments(body))
    return rpc.request(**{ours: body[theirs] for ours, theirs in rpc.fields.items()})


def encode_response(request: m.Request[T], answer: T) -> tuple[Buffer, ...]:
    """The message of an answer to a request.

    Raises:
        ValueError: a value of the answer has no form over gRPC.
        ImportError: protobuf is not installed.
    """
    if isinstance(answer, m.InferResponse):
        return rpc_infer.encode_response(answer)
    rpc = _RPC_OF[type(request)]
    value = {} if answer is None else rpc.dump(answer)
    if rpc.answer:
        value = {rpc.answer: value}
    return (_serialized(f"{rpc.method}Response", value),)


# Messages


def _serialized(name: str, value: dict[str, Any]) -> bytes:
    with optional_import("protobuf", "gRPC", "grpc"):
        kind = messages_pb.message(name)
        from google.protobuf import json_format
    try:
        data: bytes = json_format.ParseDict(value, kind()).SerializeToString()
    except json_format.ParseError as error:
        raise ValueError(f"{name}: {error}") from error
    return data


def _parsed(name: str, data: Buffer) -> dict[str, Any]:
    return messages_pb.to_dict(parse(name, data))


def parse(name: str, data: Buffer) -> Any:
    """The protobuf message in bytes, by the name of its class.

    Raises:
        ValueError: the bytes are not such a message.
        ImportError: protobuf is not installed.
    """
    with optional_import("protobuf", "gRPC", "grpc"):
        kind = messages_pb.message(name)
        from google.protobuf.message import DecodeError
    try:
        return kind.FromString(bytes(data))
    except DecodeError as error:
        raise ValueError(f"{name}: {error}") from error
