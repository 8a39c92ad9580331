"""`AsyncClient`: every operation of the protocol, awaited; the twin of `client`."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import messages as m
from ..call_log import record_end
from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException, Unavailable
from ..transport.call import NO_OPTIONS, Call, Options
from ..transport.endpoint import Security
from ..transport.settings import Grpcio, KeepAlive, check_timeout
from . import flows
from .base import BaseClient
from .infer_calls import InferArguments
from .mapping.calls import AsyncMapCalls
from .models import AsyncModel
from .options import (
    CLIENT_DEFAULT,
    MAX_CONNECTIONS,
    CallOptions,
    InferOptions,
    StreamOptions,
    Timeout,
    carrying_of,
    check_arguments,
    check_call,
    check_model_name,
    check_streams,
    explains_missing,
    load_request,
    make_transport_options,
    settings,
    settle,
    split,
    stream_requests,
    trace_request,
)
from .recovery import recover, time_left
from .refusals import explain
from .requests import TensorLike
from .results import InferResult
from .transports import aio_transport

if TYPE_CHECKING:
    from typing_extensions import Never, Self, Unpack

    from .aio_stream import AsyncInferStream, Requests
    from .shared_memory import AsyncSharedMemory

T = TypeVar("T")


class AsyncClient(AsyncMapCalls, BaseClient):
    """The client for coroutines, with the methods and arguments of `Client`.

    It can be made anywhere, also outside a running event loop, and used on several loops, each of
    which gets connections of its own:

        async with AsyncClient("http://localhost:8000") as client:
            result = await client.infer("simple", {"INPUT0": a, "INPUT1": b})

    Cancelling a task that waits for a response tells the server to stop.

    Args:
        max_connections: connections open at the same time per event loop.

    The other arguments are those of `Client`.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = 60.0,
        headers: Mapping[str, str | bytes] | None = None,
        tls: Security = None,
        max_connections: int = MAX_CONNECTIONS,
        max_request_size: int | None = None,
        max_response_size: int | None = None,
        keep_alive: KeepAlive | None = None,
        grpcio: Grpcio | None = None,
        binary: bool | None = None,
        **unknown: Never,
    ) -> None:
        check_arguments(unknown, AsyncClient.__init__)
        chosen = settings(url, headers, timeout, max_request_size, max_response_size, keep_alive)
        self._transport = aio_transport(chosen, tls, max_connections, grpcio)
        self._set_up(chosen, timeout, binary)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections of this event loop; later calls fail."""
        await self._transport.close()

    # How everything is asked

    async def send(self, call: Call[T], *, timeout: Timeout = CLIENT_DEFAULT) -> T:
        """Send a prepared request; see `prepare`."""
        check_call(call, self._protocol)
        return await self._send(call, self._seconds(timeout))

    async def ask(
        self,
        request: m.Request[T],
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        **unknown: object,
    ) -> T:
        """Ask for anything of `tritonclient.messages`; all methods below are shorthands."""
        if unknown:
            check_arguments(unknown, AsyncClient.ask)
        options = make_transport_options(headers, query)
        call = self._transport.prepare(request, options)
        return await self._send(call, self._seconds(timeout), carrying=options)

    async def _send(
        self,
        call: Call[T],
        seconds: float | None,
        arguments: InferArguments | None = None,
        carrying: Options | None = None,
    ) -> T:
        started = monotonic()
        try:
            return await self._carry(call, seconds, started)
        except InferenceServerException as error:
            end = None if seconds is None else started + seconds
            if carrying is None:
                carrying = carrying_of(call, arguments)
            flow = recover(error, call, arguments, self._calls, self._hints, end)
            return await self._drive(flow, carrying)

    async def _carry(self, call: Call[T], seconds: float | None, started: float) -> T:
        """Send a call and write its record."""
        try:
            response: T = await self._transport.send(call, seconds)
        except InferenceServerException as error:
            settle(error, call, seconds, self._url, started)
            raise
        record_end(self._url, call.request, started)
        return response

    async def _run(self, flow: flows.Flow[T], options: Options = NO_OPTIONS) -> T:
        """Drive a flow; an error that it ends with gets a hint."""
        started = monotonic()
        try:
            return await self._drive(flow, options)
        except InferenceServerException as error:
            left = time_left(error, self._timeout, started)
            await self._drive(explain(error, left, self._hints), options)
            raise

    async def _drive(self, flow: flows.Flow[T], options: Options) -> T:
        async def send(request: m.Request[Any], timeout: float | None) -> Any:
            call = self._transport.prepare(request, options)
            return await self._carry(call, timeout, monotonic())

        return await flows.run_async(flow, send, asyncio.sleep)

    # Inference

    @explains_missing
    async def infer(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run a model; see `Client.infer`."""
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return await self._run(*placed)
        call = self._calls.build(*arguments)
        response = await self._send(call, self._seconds(timeout), arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def prepare(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        **options: Unpack[InferOptions],
    ) -> Call[m.InferResponse]:
        """Build an inference request once, to send it many times; see `Client.prepare`."""
        return self._calls.build_prepared(model, inputs, version, outputs, options)

    async def infer_prepared(
        self, call: Call[m.InferResponse], *, timeout: Timeout = CLIENT_DEFAULT
    ) -> InferResult:
        """Run a model with a request made by `prepare`."""
        return InferResult(await self.send(call, timeout=timeout), self._url, call.request)

    async def _infer(
        self, call: Call[m.InferResponse], seconds: float | None, arguments: InferArguments
    ) -> InferResult:
        response = await self._send(call, seconds, arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def submit(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Task[InferResult]:
        """Run a model in a task of the running event loop; takes the arguments of `infer`.

        Arguments are checked before this returns.
        """
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return asyncio.get_running_loop().create_task(self._run(*placed))
        call = self._calls.build(*arguments)
        seconds = self._seconds(timeout)
        loop = asyncio.get_running_loop()
        return loop.create_task(self._infer(call, seconds, arguments))

    @overload
    def stream(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[StreamOptions],
    ) -> AsyncInferStream: ...

    @overload
    def stream(
        self,
        model: Requests,
        /,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> AsyncInferStream: ...

    def stream(
        self,
        model: str | Requests,
        inputs: Mapping[str, TensorLike] | None = None,
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Any,
    ) -> AsyncInferStream:
        """The responses of a decoupled model, or the responses to many requests on one stream.

        See `Client.stream`. Requests may also come from an asynchronous iterable; they are taken
        by a task.
        """
        arguments, carrying = split(options)
        requests = stream_requests(model, inputs, version, outputs, arguments)
        return self._open_stream(carrying, timeout, response_timeout, requests)

    def open_stream(
        self,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> AsyncInferStream:
        """A stream on which requests are sent one by one; see `Client.open_stream`."""
        carrying = make_transport_options(headers, request_compression=request_compression)
        return self._open_stream(carrying, timeout, response_timeout)

    def _open_stream(
        self,
        options: Options,
        timeout: float | None,
        response_timeout: Timeout,
        requests: Requests | None = None,
    ) -> AsyncInferStream:
        from .aio_stream import AsyncInferStream

        check_streams(self._url)
        seconds = self._seconds(response_timeout)
        check_timeout(seconds, "response_timeout")
        check_timeout(timeout)
        return AsyncInferStream(
            lambda: self._transport.open(options, timeout), self._url, seconds, requests
        )

    async def model(
        self,
        name: str,
        version: str = "",
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        cast: bool = False,
        **unknown: Never,
    ) -> AsyncModel:
        """A handle on a model; see `Client.model`."""
        check_arguments(unknown, AsyncClient.model)
        check_model_name(name)
        flow = flows.describe_model(name, version, self._seconds(timeout))
        return AsyncModel(self, await self._run(flow, make_transport_options(headers, query)), cast)

    # Health

    async def is_server_live(self, **call: Unpack[CallOptions]) -> bool:
        """Return True if the server is live; False also if it is unreachable."""
        return await self._health(m.IsServerLive(), call)

    async def is_server_ready(self, **call: Unpack[CallOptions]) -> bool:
        """Return True if the server accepts requests; False also if it is unreachable."""
        return await self._health(m.IsServerReady(), call)

    async def is_model_ready(
        self, model: str, version: str = "", **call: Unpack[CallOptions]
    ) -> bool:
        """Return True if a model is ready; False also if the server is unreachable."""
        return await self._health(m.IsModelReady(model, version), call)

    async def _health(self, request: m.Request[bool], call: CallOptions) -> bool:
        try:
            return await self.ask(request, **call)
        except (ConnectionFailed, DeadlineExceeded, Unavailable):
            return False

    async def wait_until_ready(
        self,
        model: str = "",
        version: str = "",
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> None:
        """Wait until the server, or a model, is ready; see `Client.wait_until_ready`."""
        check_arguments(unknown, AsyncClient.wait_until_ready)
        seconds = self._seconds(timeout)
        check_timeout(seconds)
        flow = flows.wait_until_ready(self._url, model, version, seconds)
        await self._run(flow, make_transport_options(headers, query))

    # Metadata, configuration, statistics

    async def server_metadata(self, **call: Unpack[CallOptions]) -> m.ServerMetadata:
        """Name, version and extensions of the server."""
        return await self.ask(m.GetServerMetadata(), **call)

    async def model_metadata(
        self, model: str, version: str = "", **call: Unpack[CallOptions]
    ) -> m.ModelMetadata:
        """Inputs and outputs of a model."""
        return await self.ask(m.GetModelMetadata(model, version), **call)

    async def model_config(
        self, model: str, version: str = "", **call: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """A model's configuration, as the JSON form of Triton's `ModelConfig` message."""
        return await self.ask(m.GetModelConfig(model, version), **call)

    async def statistics(
        self, model: str = "", version: str = "", **call: Unpack[CallOptions]
    ) -> tuple[m.ModelStatistics, ...]:
        """Statistics of a model, or of all models."""
        return await self.ask(m.GetStatistics(model, version), **call)

    # Model repository

    async def repository_index(
        self, *, ready: bool = False, **call: Unpack[CallOptions]
    ) -> tuple[m.ModelIndex, ...]:
        """The models in the repository, or only the ready ones."""
        return await self.ask(m.GetRepositoryIndex(ready), **call)

    async def load_model(
        self,
        model: str,
        *,
        config: str | Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Load or reload a model; see `Client.load_model`."""
        await self.ask(load_request(model, config, files), **call)

    async def unload_model(
        self, model: str, *, unload_dependents: bool = False, **call: Unpack[CallOptions]
    ) -> None:
        """Unload a model, and with `unload_dependents` those that it brought along."""
        await self.ask(m.UnloadModel(model, unload_dependents), **call)

    # Trace and log settings

    async def trace_settings(self, model: str = "", **call: Unpack[CallOptions]) -> dict[str, Any]:
        """Trace settings of a model, or the server's."""
        return await self.ask(m.GetTraceSettings(model), **call)

    async def update_trace_settings(
        self,
        settings: Mapping[str, m.TraceValue],
        model: str = "",
        **call: Unpack[CallOptions],
    ) -> dict[str, Any]:
        """Change trace settings; None as a value resets one. Returns all that are in force."""
        return await self.ask(trace_request(settings, model), **call)

    async def log_settings(self, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """The server's log settings."""
        return await self.ask(m.GetLogSettings(), **call)

    async def update_log_settings(
        self, settings: Mapping[str, m.LogValue], **call: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Change log settings. Returns all that are in force."""
        return await self.ask(m.UpdateLogSettings(settings), **call)

    # Shared memory

    def shared_memory(
        self, byte_size: int = 1 << 20, *, device: int | None = None, mode: int = 0o600
    ) -> AsyncSharedMemory:
        """Memory that the server shares; see `Client.shared_memory`."""
        from .shared_memory import AsyncSharedMemory  # which few need

        return AsyncSharedMemory(self._run, self._url, self._timeout, byte_size, device, mode)

    async def system_shared_memory_status(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> tuple[m.SystemSharedMemoryRegion, ...]:
        """The registered region of a name, or all."""
        return await self.ask(m.GetSystemSharedMemoryStatus(name), **call)

    async def register_system_shared_memory(
        self, name: str, key: str, byte_size: int, offset: int = 0, **call: Unpack[CallOptions]
    ) -> None:
        """Register `byte_size` bytes at `offset` of the POSIX shared memory object `key`."""
        await self.ask(m.RegisterSystemSharedMemory(name, key, byte_size, offset), **call)

    async def unregister_system_shared_memory(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> None:
        """Unregister a region, or all regions."""
        await self.ask(m.UnregisterSystemSharedMemory(name), **call)

    async def cuda_shared_memory_status(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> tuple[m.CudaSharedMemoryRegion, ...]:
        """The registered CUDA region of a name, or all."""
        return await self.ask(m.GetCudaSharedMemoryStatus(name), **call)

    async def register_cuda_shared_memory(
        self,
        name: str,
        raw_handle: bytes,
        device_id: int,
        byte_size: int,
        **call: Unpack[CallOptions],
    ) -> None:
        """Register GPU memory by its 64-byte CUDA IPC handle."""
        await self.ask(m.RegisterCudaSharedMemory(name, raw_handle, device_id, byte_size), **call)

    async def unregister_cuda_shared_memory(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> None:
        """Unregister a CUDA region, or all CUDA regions."""
        await self.ask(m.UnregisterCudaSharedMemory(name), **call)
