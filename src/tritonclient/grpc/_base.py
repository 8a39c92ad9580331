"""Base of the blocking and the asyncio client: everything except sending."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from operator import index
from typing import Any, TypeVar

from .. import messages as m
from ..call_log import record_end
from ..classic.arguments import check_settings
from ..classic.calls import inputs_of, outputs_of, template_key
from ..classic.plugins import InferenceServerClientBase
from ..classic.secrets import Verbose, masked
from ..client.templates import TemplateCache
from ..codec import rpc, rpc_infer
from ..codec.rpc_status import error_of
from ..datatypes import Buffer
from ..errors import Cancelled, ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..extras import optional_import
from ..transport.call import NO_OPTIONS, Options
from ..transport.endpoint import parse_url
from ..transport.grpc_call import GrpcCall, GrpcSettings, metadata
from ..transport.settings import Grpcio, RequestTooLarge, check_size, check_timeout
from ._calls import InferCall, MessageCall
from ._channel import KeepAliveOptions, make_route, warn_of_ignored
from ._errors import as_grpc_error, get_cancelled_error
from ._infer_input import InferInput
from ._infer_result import InferResult
from ._requested_output import InferRequestedOutput
from ._utils import coding_of, infer_request

C = TypeVar("C", bound="MessageCall | InferCall")

#: Seconds that connecting may take, as with grpcio.
CONNECT_TIMEOUT = 20.0
_WORDS = re.compile("(?<=[a-z])(?=[A-Z])")
#: Methods that are named otherwise than their requests.
_NAMES = {
    "get_repository_index": "get_model_repository_index",
    "get_statistics": "get_inference_statistics",
}


class GrpcClientBase(InferenceServerClientBase):
    """A client over gRPC, less the sending; for the arguments see `InferenceServerClient`."""

    _awaited = False
    # A subclass that brings its own channel may leave out `__init__`.
    _closed = False
    _verbose: Verbose = False
    _plugin = None
    _stream: Any = None
    _own_channel: Any = None
    _own_stub: Any = None
    _transport: Any

    def __init__(
        self,
        url: str,
        verbose: Verbose,
        ssl: bool,
        root_certificates: str | None,
        private_key: str | None,
        certificate_chain: str | None,
        creds: Any,
        keepalive_options: KeepAliveOptions | None,
        channel_args: Iterable[tuple[str, Any]] | None,
        max_response_size: int | None,
    ) -> None:
        super().__init__()
        warn_of_ignored(
            ssl,
            creds,
            keepalive_options,
            channel_args,
            root_certificates=root_certificates,
            private_key=private_key,
            certificate_chain=certificate_chain,
        )
        self._verbose = verbose
        self._closed = False
        arguments = (
            url,
            ssl,
            root_certificates,
            private_key,
            certificate_chain,
            creds,
            keepalive_options,
            None if channel_args is None else tuple(channel_args),
            max_response_size,
        )
        self._route = make_route(*arguments)
        self._by_grpcio = partial(make_route, *arguments, through_grpcio=True)
        self._settings = self._route.settings

    # For programs that call the procedures themselves

    @property
    def _channel(self) -> Any:
        """A channel of grpcio to the same server, or the one that a program has set."""
        if self._own_channel is None:
            with optional_import("grpcio", "a stub", "grpcio"):
                from ..transport.grpcio.channel import make_channel
            settings, tls, grpcio = self._by_grpcio()
            self._own_channel = make_channel(
                settings, tls, grpcio or Grpcio(), awaited=self._awaited
            )
        return self._own_channel

    @_channel.setter
    def _channel(self, channel: Any) -> None:
        self._own_channel = channel
        self._call_by_stub()

    @property
    def _client_stub(self) -> Any:
        """The server's procedures as functions of messages."""
        if self._own_stub is None:
            from .service_pb2_grpc import GRPCInferenceServiceStub

            self._own_stub = GRPCInferenceServiceStub(self._channel)
        return self._own_stub

    @_client_stub.setter
    def _client_stub(self, stub: Any) -> None:
        self._own_stub = stub
        self._call_by_stub()

    @abstractmethod
    def _call_by_stub(self) -> None:
        """Send all further calls through the stub."""

    @cached_property
    def _settings(self) -> GrpcSettings:
        """Settings of calls for a client without a URL of its own."""
        return GrpcSettings(parse_url("grpc://channel"))

    @cached_property
    def _templates(self) -> TemplateCache[InferCall]:
        return TemplateCache()

    # Calls

    def _message_call(
        self, request: m.Request[Any], headers: Mapping[Any, Any] | None
    ) -> MessageCall:
        options = self._options(headers)
        call = self._made(MessageCall, request, options)
        if self._verbose:
            name = _WORDS.sub("_", type(request).__name__).lower()
            message = rpc.parse(f"{call.method}Request", call.message())
            note = ""
            if isinstance(request, m.LoadModel):
                note = "override files omitted:\n"
                for path in [name for name in message.parameters if name != "config"]:
                    del message.parameters[path]
            heading = _heading(_NAMES.get(name, name), options, self._verbose)
            print(heading, f"{note}{message}", sep="\n")
        return call

    def _infer_call(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str,
        outputs: Sequence[InferRequestedOutput] | None,
        request_id: str,
        sequence_id: int | str,
        sequence_start: bool,
        sequence_end: bool,
        priority: int,
        timeout: int | None,
        headers: Mapping[str, str] | None,
        compression_algorithm: str | None,
        parameters: Mapping[str, Any] | None,
        name: str = "infer",
    ) -> InferCall:
        """Return the call for the arguments of `infer`.

        A call of nothing but tensors is made of a template, if there was one of its form before.
        """
        inputs = inputs_of(inputs)
        outputs = outputs_of(outputs)
        key = None
        if not (
            request_id
            or sequence_id
            or priority
            or timeout is not None
            or headers
            or compression_algorithm is not None
            or parameters
            or self._plugin is not None
            or self._verbose
        ):
            key, data = template_key(model_name, model_version, inputs, outputs)
            template = self._templates.get(key)
            if template is not None:
                return template.with_data(data)
            if not data:
                key = None  # there is nothing to take off
        request = infer_request(
            model_name,
            inputs,
            model_version,
            outputs,
            request_id,
            sequence_id,
            sequence_start,
            sequence_end,
            priority,
            timeout,
            parameters,
        )
        options = self._options(headers, compression_algorithm)
        call = self._made(InferCall, request, options)
        if key is not None:
            self._templates.store(key, call, m.Infer(model_name, (), model_version))
        if self._verbose:
            message = rpc.parse("ModelInferRequest", call.message())
            print(_heading(name, options, self._verbose), message, sep="\n")
        return call

    def _made(self, kind: type[C], request: m.Request[Any], options: Options) -> C:
        if self._closed:
            raise self._closed_error()
        try:
            return kind(request, self._settings, options)
        except ValueError as error:
            raise _refused(error) from error

    def _options(
        self, headers: Mapping[Any, Any] | None, compression_algorithm: str | None = None
    ) -> Options:
        coding = coding_of(compression_algorithm)
        given = {name: _value(name, value) for name, value in self._headers(headers).items()}
        if not (given or coding):
            return NO_OPTIONS
        try:
            metadata(given)
        except ValueError as error:
            raise _refused(error) from error
        return Options(given, request_compression=coding)

    def _stream_message(
        self, request: m.Infer, enable_empty_final_response: bool
    ) -> tuple[Buffer, ...]:
        """The message that a stream sends for a request."""
        if enable_empty_final_response:
            parameters = {**request.parameters, "triton_enable_empty_final_response": True}
            request = replace(request, parameters=parameters)
        try:
            message = rpc_infer.encode_request(request)
            check_size(sum(map(len, message)), self._settings.max_request_size)
        except ValueError as error:
            raise _refused(error) from error
        return message

    @property
    def _url(self) -> str:
        """The URL of the server, as the log names it."""
        return self._settings.endpoint.url

    def _record(self, call: GrpcCall[Any], started: float, outcome: Exception | str = "OK") -> None:
        """Write the record of a call that ended now; see `call_log`."""
        if isinstance(outcome, (str, InferenceServerException)):
            record_end(self._url, call.request, started, outcome)

    def _failure(self, error: Exception, timeout: float | None) -> Exception:
        """The error to raise when sending fails with this one."""
        if not isinstance(error, InferenceServerException):
            return self._closed_error() if self._closed else error
        ours = error.status() is None
        if self._closed and ours and isinstance(error, (Cancelled, ConnectionFailed)):
            return get_cancelled_error("Channel closed!")
        if timeout is None and ours and isinstance(error, DeadlineExceeded):
            text = f"can't connect in {CONNECT_TIMEOUT:g} s: {error.message()}"
            error = ConnectionFailed(text, endpoint=error.endpoint)
        return as_grpc_error(error)

    def _closed_error(self) -> ValueError:
        return closed()

    def _shown(self, result: InferResult) -> InferResult:
        if self._verbose:
            print(result.get_response())
        return result


def _heading(name: str, options: Options, verbose: Verbose) -> str:
    return f"{name}, metadata {masked(options.headers, verbose).items()}"


def _value(name: Any, value: Any) -> Any:
    """A header's value as gRPC takes it: bytes where the name ends so, otherwise text."""
    if isinstance(value, bytes):
        return value if str(name).lower().endswith("-bin") else value.decode("latin-1")
    return str(value)


def _refused(error: ValueError) -> InferenceServerException:
    """The error to raise for what can't be sent."""
    if isinstance(error, RequestTooLarge):
        text = f"Sent message larger than max ({error.size} vs. {error.limit})"
        return as_grpc_error(error_of(8, text))
    return InferenceServerException(str(error))


def closed(*, waited_for: bool = True) -> ValueError:
    """The error of calls to a client that is closed, in the words of grpcio's channels."""
    how = " on closed channel!" if waited_for else ": Channel closed!"
    return ValueError(f"Cannot invoke RPC{how}")


def seconds(timeout: float | None) -> float | None:
    """Return a timeout for transports; 0 or less times out at once."""
    if timeout is None or timeout == math.inf:
        return None
    timeout = max(float(timeout), 1e-6)
    check_timeout(timeout)  # which refuses what is not a number
    return timeout


def log_settings(settings: Mapping[str, Any]) -> m.UpdateLogSettings:
    """The request that the arguments of `update_log_settings` make."""
    check_settings(settings)
    return m.UpdateLogSettings({name: _log_value(name, value) for name, value in settings.items()})


def _log_value(name: str, value: Any) -> Any:
    """A setting in the kind that servers want; for "on" programs also give 1."""
    if isinstance(value, str):
        return value
    return index(value) if name == "log_verbose_level" else bool(value)


def trace_settings(settings: Mapping[str, Any], model_name: str | None) -> m.UpdateTraceSettings:
    """The request that the arguments of `update_trace_settings` make."""
    check_settings(settings)
    texts = {name: _texts(value) for name, value in settings.items()}
    return m.UpdateTraceSettings(texts, model_name or "")


def _texts(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else str(value)
