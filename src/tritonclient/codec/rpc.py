"""The v2 protocol over gRPC, by the table in `procedures`.

Messages go through the protobuf classes; only inference, whose tensors must not be copied, has
code of its own, in `rpc_infer`, and does without protobuf.

Sources: KServe v2 gRPC specification; Triton's gRPC extensions.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, NamedTuple, TypeVar

from .. import errors
from .. import messages as m
from ..datatypes import Buffer
from ..extras import optional_import
from . import messages_pb, rpc_infer
from .checks import check_name
from .procedures import RPCS
from .records import load
from .rpc_status import code_of as code_of
from .rpc_status import error_of
from .rpc_status import status_of as status_of

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
    """The response to a request.

    Raises:
        ProtocolError: the message is not a response of the protocol.
        ImportError: protobuf is not installed.
    """
    try:
        if isinstance(request, m.Infer):
            return rpc_infer.decode_response(message)  # type: ignore[return-value]
        rpc = _RPC_OF[type(request)]
        value = _parsed(f"{rpc.method}Response", message)
        if rpc.response_field:
            if rpc.response_field not in value:
                raise ValueError(f"{rpc.response_field!r} is missing")
            value = value[rpc.response_field]
        if rpc.load is not None:
            return rpc.load(value)  # type: ignore[no-any-return]
        return None if rpc.kind is None else load(rpc.kind, value)  # type: ignore[return-value]
    except ValueError as error:
        raise unreadable(request, message, error) from error


def unreadable(request: m.Request[Any], message: Buffer, error: ValueError) -> errors.ProtocolError:
    """The error to raise when a response can't be read because of this one."""
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
    from .rpc_refusals import unparsable  # only servers need them
    from .rpc_request import decode_request as decode_infer

    try:
        if method in ("ModelInfer", "ModelStreamInfer"):
            return decode_infer(message)
        rpcs = [rpc for rpc in RPCS if rpc.method == method]
        if not rpcs:
            raise error_of(12, "")
        body = _parsed(f"{method}Request", message)
    except ValueError as error:
        raise error_of(13, unparsable(error)) from error
    if body.get("repository_name"):
        raise error_of(12, "'repository_name' specification is not supported")
    rpc = rpcs[1] if body.get("settings") else rpcs[0]
    if rpc.arguments is not None:
        return rpc.request(**rpc.arguments(body))
    return rpc.request(**{ours: body[theirs] for ours, theirs in rpc.fields.items()})


def encode_response(request: m.Request[T], response: T) -> tuple[Buffer, ...]:
    """The message of a response to a request.

    Raises:
        ValueError: a value of the response has no form over gRPC.
        ImportError: protobuf is not installed.
    """
    if isinstance(response, m.InferResponse):
        return rpc_infer.encode_response(response)
    rpc = _RPC_OF[type(request)]
    value = {} if response is None else rpc.dump(response)
    if rpc.response_field:
        value = {rpc.response_field: value}
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
