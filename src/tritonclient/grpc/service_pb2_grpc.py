"""The service for programs that use grpcio themselves: stub, servicer and how to serve it.

The messages need protobuf, which is imported together with this module; grpcio is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec.rpc import SERVICE
from ..extras import optional_import
from . import service_pb2 as grpc__service__pb2

if TYPE_CHECKING:
    import grpc

__all__ = [
    "GRPCInferenceService",
    "GRPCInferenceServiceServicer",
    "GRPCInferenceServiceStub",
    "add_GRPCInferenceServiceServicer_to_server",
    "grpc__service__pb2",
]

_serialized: Callable[[Any], bytes] = methodcaller("SerializeToString")


class _Method(NamedTuple):
    """A procedure; `streams` is whether messages go both ways any number of times."""

    name: str
    request: Any
    response: Any
    streams: bool

    @property
    def path(self) -> str:
        """Path of the method in HTTP/2."""
        return f"/{SERVICE}/{self.name}"


def _methods() -> Iterable[_Method]:
    (service,) = grpc__service__pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods:
        request = getattr(grpc__service__pb2, method.input_type.name)
        response = getattr(grpc__service__pb2, method.output_type.name)
        # Descriptors do not tell it before protobuf 4.22.
        yield _Method(method.name, request, response, "Stream" in method.name)


_METHODS = tuple(_methods())


def _grpcio() -> Any:
    with optional_import("grpcio", "tritonclient.grpc.service_pb2_grpc", "grpcio"):
        import grpc
    return grpc


class GRPCInferenceServiceStub:
    """The procedures of a server as functions: `stub.ModelInfer(request, timeout=1.0)`.

    Args:
        channel: a `grpc.Channel` or `grpc.aio.Channel`.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        for method in _METHODS:
            make: Any = channel.stream_stream if method.streams else channel.unary_unary
            function = make(
                method.path,
                request_serializer=_serialized,
                response_deserializer=method.response.FromString,
            )
            setattr(self, method.name, function)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class GRPCInferenceServiceServicer:
    """A server's procedures, of which a subclass defines those that it has.

    Each takes a request (ModelStreamInfer an iterator of requests) and a context, and returns a
    response (ModelStreamInfer an iterator of responses).
    """


def add_GRPCInferenceServiceServicer_to_server(
    servicer: GRPCInferenceServiceServicer, server: grpc.Server
) -> None:
    """Register a servicer with a `grpc.Server` or `grpc.aio.Server`."""
    grpc = _grpcio()
    handlers = {}
    for method in _METHODS:
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.streams
            else grpc.unary_unary_rpc_method_handler
        )
        handlers[method.name] = make(
            getattr(servicer, method.name),
            request_deserializer=method.request.FromString,
            response_serializer=_serialized,
        )
    handler = grpc.method_handlers_generic_handler(SERVICE, handlers)
    server.add_generic_rpc_handlers((handler,))


class GRPCInferenceService:
    """The procedures of a server as functions that need no channel: they are given its address."""


def _unimplemented(method: _Method) -> Callable[..., Any]:
    def refuse(context: Any) -> Any:
        context.set_code(_grpcio().StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError("Method not implemented!")

    def unary(self: Any, request: Any, context: Any) -> Any:
        return refuse(context)

    def streaming(self: Any, request_iterator: Any, context: Any) -> Any:
        return refuse(context)

    return streaming if method.streams else unary


def _channelless(method: _Method) -> Callable[..., Any]:
    def call(request: Any, target: str, options: Any, **arguments: Any) -> Any:
        experimental = _grpcio().experimental
        make = experimental.stream_stream if method.streams else experimental.unary_unary
        return make(
            request,
            target,
            method.path,
            _serialized,
            method.response.FromString,
            options,
            **arguments,
        )

    def unary(
        request: Any,
        target: str,
        options: Any = (),
        channel_credentials: Any = None,
        call_credentials: Any = None,
        insecure: bool = False,
        compression: Any = None,
        wait_for_ready: bool | None = None,
        timeout: float | None = None,
        metadata: Any = None,
    ) -> Any:
        return call(
            request,
            target,
            options,
            channel_credentials=channel_credentials,
            call_credentials=call_credentials,
            insecure=insecure,
            compression=compression,
            wait_for_ready=wait_for_ready,
            timeout=timeout,
            metadata=metadata,
        )

    def streaming(
        request_iterator: Any,
        target: str,
        options: Any = (),
        channel_credentials: Any = None,
        call_credentials: Any = None,
        insecure: bool = False,
        compression: Any = None,
        wait_for_ready: bool | None = None,
        timeout: float | None = None,
        metadata: Any = None,
    ) -> Any:
        return call(
            request_iterator,
            target,
            options,
            channel_credentials=channel_credentials,
            call_credentials=call_credentials,
            insecure=insecure,
            compression=compression,
            wait_for_ready=wait_for_ready,
            timeout=timeout,
            metadata=metadata,
        )

    return streaming if method.streams else unary


for _method in _METHODS:
    for _kind, _function in (
        (GRPCInferenceServiceServicer, _unimplemented(_method)),
        (GRPCInferenceService, _channelless(_method)),
    ):
        _function.__name__ = _method.name
        _function.__qualname__ = f"{_kind.__name__}.{_method.name}"
        _static = _kind is GRPCInferenceService
        setattr(_kind, _method.name, staticmethod(_function) if _static else _function)
