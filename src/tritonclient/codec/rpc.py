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
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

from .. import errors
from .. import messages as m
from ..datatypes import Buffer
from ..extras import needs
from . import messages_pb, rpc_infer
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


@dataclass(frozen=True, slots=True)
class Rpc:
    """How one operation looks over gRPC; messages are meant in their JSON form.

    Attributes:
        method: the procedure, whose messages are named `{method}Request` and `{method}Response`.
        reads: whether it changes nothing, so that it may be asked twice.
        fields: the message's fields by the request's, where the request is no more than these.
        body: the request message, where it is more.
        arguments: the other way: the request's fields from the message, whose bytes are bytes.
        answer: the one field of the response message that is the answer, or "" for all of it.
        kind: what the answer is read as (see `records.load`); None for no answer.
        dump: JSON form of the answer, where it is not simply the record's.
        load: the other way.
    """

    request: type[m.Request[Any]]
    method: str
    reads: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
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
            config = _parameter(name, parameter, "string_param")
        elif name.startswith("file:"):
            files[name.removeprefix("file:")] = _parameter(name, parameter, "bytes_param")
        else:
            raise refused(
                f"unrecognized load parameter '{name}' in request for model '{body['model_name']}'"
            )
    return {"model": body["model_name"], "config": config, "files": files}


def _parameter(name: str, parameter: dict[str, Any], kind: str) -> Any:
    if kind not in parameter:
        raise refused(f"invalid value type for load parameter '{name}', expected {kind}.")
    return parameter[kind]


def _unload_body(request: m.UnloadModel) -> dict[str, Any]:
    value = {"bool_param": request.unload_dependents}
    return {"model_name": request.model, "parameters": {"unload_dependents": value}}


def _unload_arguments(body: dict[str, Any]) -> dict[str, Any]:
    value = body["parameters"].get("unload_dependents", {})
    return {
        "model": body["model_name"],
        "unload_dependents": value.get("bool_param", False),
    }


def _cuda_body(request: m.RegisterCudaSharedMemory) -> dict[str, Any]:
    return {
        "name": request.name,
        "raw_handle": _base64(request.raw_handle),
        "device_id": request.device_id,
        "byte_size": request.byte_size,
    }


def _trace_body(request: m.UpdateTraceSettings) -> dict[str, Any]:
    settings = {name: _trace_setting(name, value) for name, value in request.settings.items()}
    return {"model_name": request.model, "settings": settings}


def _trace_setting(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    values = value if isinstance(value, (list, tuple)) else [value]
    return {"value": [str(each) if type(each) is int else each for each in values]}


def _trace_arguments(body: dict[str, Any]) -> dict[str, Any]:
    settings = {
        name: None if not (values := setting["value"]) else _trace_value(name, tuple(values))
        for name, setting in body["settings"].items()
    }
    return {"model": body["model_name"], "settings": settings}


def _trace_value(name: str, values: tuple[str, ...]) -> Any:
    return values if name == "trace_level" or len(values) != 1 else values[0]


def _trace_answer(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as HTTP has them: all are texts but the level, which is a list."""
    values = {name: _trace_value(name, (*each["value"],)) for name, each in settings.items()}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _trace_message(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _trace_setting(name, value) for name, value in settings.items()}


def _log_body(request: m.UpdateLogSettings) -> dict[str, Any]:
    return {"settings": _log_message(request.settings)}


def _log_message(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _log_setting(name, value) for name, value in settings.items()}


def _log_setting(name: str, value: Any) -> dict[str, Any]:
    for kind, field_name in ((bool, "bool_param"), (int, "uint32_param"), (str, "string_param")):
        if isinstance(value, kind):
            return {field_name: value}
    raise TypeError(f"setting {name!r} is {value!r:.60}, expected bool, int or str")


def _log_answer(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, each in settings.items() for value in each.values()}


def _regions(regions: tuple[Any, ...]) -> dict[str, Any]:
    return {region.name: dump(region) for region in regions}


def _load_regions(kind: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda regions: load(tuple[kind, ...], [*regions.values()])


#: Where two operations share a procedure, the first is what a message without settings stands for.
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
        body=_trace_body,
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
        body=_log_body,
        arguments=lambda body: {"settings": _log_answer(body["settings"])},
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
    """Whether a request changes nothing, so that it may be sent again when an answer is lost."""
    return _RPC_OF[type(request)].reads


# Client side


def encode_request(request: m.Request[Any]) -> RpcRequest:
    """What to send for a request.

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
            if not isinstance(value, str):
                raise TypeError(f"{each.name} is {value!r:.60}, expected a text")
            if not value and each.default is MISSING:
                raise ValueError(f"{each.name} is '', expected a name")


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
            value = value.get(rpc.answer, {})
        if rpc.load is not None:
            return rpc.load(value)  # type: ignore[no-any-return]
        return None if rpc.kind is None else load(rpc.kind, value)  # type: ignore[return-value]
    except ValueError as error:
        raise errors.ProtocolError(
            f"the answer to {type(request).__name__} can't be read: {error!s:.500}",
            debug_details=bytes(memoryview(message)[:500]),
        ) from error


# Server side


def decode_request(method: str, message: Buffer) -> m.Request[Any]:
    """The request in a message.

    Raises:
        Unimplemented: there is no such procedure.
        Internal: the message is not what the procedure takes.
        InvalidArgument: it is, but asks for what can't be.
        ImportError: protobuf is not installed.
    """
    rpcs = [rpc for rpc in RPCS if rpc.method == method]
    if not rpcs:
        raise error_of(12, f"there is no procedure {method!r}")
    rpc = rpcs[0]
    try:
        if rpc.request is m.Infer:
            return rpc_infer.decode_request(message)
        body = _parsed(f"{method}Request", message)
    except ValueError as error:
        raise error_of(13, f"Unable to parse the request: {error!s:.500}") from error
    if body.get("settings"):
        rpc = rpcs[1]
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
    with needs("protobuf", "gRPC", "grpc"):
        kind = messages_pb.message(name)
        from google.protobuf import json_format
    try:
        data: bytes = json_format.ParseDict(value, kind()).SerializeToString()
    except json_format.ParseError as error:
        raise ValueError(f"{name}: {error}") from error
    return data


def _parsed(name: str, data: Buffer) -> dict[str, Any]:
    with needs("protobuf", "gRPC", "grpc"):
        kind = messages_pb.message(name)
        from google.protobuf.message import DecodeError
    try:
        return messages_pb.to_dict(kind.FromString(bytes(data)))
    except DecodeError as error:
        raise ValueError(f"{name}: {error}") from error
