"""`AsyncClient`: every operation of the protocol, awaited; the twin of `client`."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .. import messages as m
from ..errors import ConnectionFailed, DeadlineExceeded, Unavailable
from ..transport.aio.transport import Transport
from ..transport.call import NO_OPTIONS, Call, Options
from ..transport.endpoint import Security, security
from ..transport.settings import Grpcio, KeepAlive, Settings, check_timeout
from . import flows
from .infer_calls import InferCalls
from .model_spec import ModelSpec
from .options import (
    CLIENT_DEFAULT,
    MAX_CONNECTIONS,
    CallOptions,
    InferOptions,
    StreamOptions,
    Timeout,
    check_grpc,
    check_grpcio,
    check_streams,
    load_request,
    make_transport_options,
    settings,
    split,
    stream_requests,
)
from .requests import TensorLike
from .results import InferResult

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .aio_stream import AsyncInferStream, Requests
    from .shared_memory import AsyncSharedMemory

T = TypeVar("T")


def _transport(
    settings: Settings, tls: Security, max_connections: int, grpcio: Grpcio | None
) -> Any:
    secured = security(tls, settings.endpoint)
    if grpcio is not None:
        check_grpcio(grpcio, tls, max_connections)
        from ..transport.grpcio.aio import AsyncGrpcioTransport

        return AsyncGrpcioTransport(check_grpc(settings), grpcio, tls=secured)
    return Transport(settings, tls=secured, max_connections=max_connections)


class AsyncClient:
    """The client for coroutines, with the methods and arguments of `Client`.

    It can be made anywhere, also outside a running event loop, and used on several loops, each of
    which gets connections of its own:

        async with AsyncClient("http://localhost:8000") as client:
            result = await client.infer("simple", {"INPUT0": a, "INPUT1": b})

    Cancelling a task that waits for an answer tells the server to stop.

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
    ) -> None:
        chosen = settings(url, headers, timeout, max_request_size, max_response_size, keep_alive)
        self._url = url
        self._timeout = timeout
        self._transport = _transport(chosen, tls, max_connections, grpcio)
        self._calls = InferCalls(self._transport.prepare)

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
        return await self._transport.send(call, self._seconds(timeout))  # type: ignore[no-any-return]

    async def ask(
        self,
        request: m.Request[T],
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> T:
        """Ask for anything of `tritonclient.messages`; all methods below are shorthands."""
        call = self._transport.prepare(request, make_transport_options(headers, query))
        return await self._transport.send(call, self._seconds(timeout))  # type: ignore[no-any-return]

    def _seconds(self, timeout: Timeout) -> float | None:
        return self._timeout if timeout is CLIENT_DEFAULT else timeout

    async def _run(self, flow: flows.Flow[T], options: Options = NO_OPTIONS) -> T:
        async def send(request: m.Request[Any], timeout: float | None) -> Any:
            return await self._transport.send(self._transport.prepare(request, options), timeout)

        return await flows.run_async(flow, send, asyncio.sleep)

    # Inference

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
        if options and (memory := options.pop("shared_memory", None)) is not None:
            seconds = self._seconds(timeout)
            flow, transport_options = memory.inference(
                self._url, model, inputs, version, outputs, options, seconds
            )
            return await self._run(flow, transport_options)
        call = self._calls.build(model, inputs, version, outputs, options)
        answer = await self._transport.send(call, self._seconds(timeout))
        return InferResult(answer, self._url, call.request)

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
        if options and (memory := options.pop("shared_memory", None)) is not None:
            seconds = self._seconds(timeout)
            flow, transport_options = memory.inference(
                self._url, model, inputs, version, outputs, options, seconds
            )
            return asyncio.get_running_loop().create_task(self._run(flow, transport_options))
        call = self._calls.build(model, inputs, version, outputs, options)
        return asyncio.get_running_loop().create_task(self.infer_prepared(call, timeout=timeout))

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
        """The responses of a decoupled model, or the answers to many requests on one stream.

        See `Client.stream`. Requests may also come from an asynchronous iterable; they are taken
        by a task.
        """
        arguments, transport_options = split(options)
        requests = stream_requests(model, inputs, version, outputs, arguments)
        return self._open_stream(transport_options, timeout, response_timeout, requests)

    def open_stream(
        self,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> AsyncInferStream:
        """A stream on which requests are sent one by one; see `Client.open_stream`."""
        transport_options = make_transport_options(headers, request_compression=request_compression)
        return self._open_stream(transport_options, timeout, response_timeout)

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
    ) -> AsyncModel:
        """A handle on a model, which knows and checks its inputs and outputs."""
        flow = flows.describe_model(name, version, self._seconds(timeout))
        return AsyncModel(self, await self._run(flow, make_transport_options(headers, query)))

    # Health

    async def is_server_live(self, **call: Unpack[CallOptions]) -> bool:
        """True if the server is live; False also if it can't be reached."""
        return await self._health(m.IsServerLive(), call)

    async def is_server_ready(self, **call: Unpack[CallOptions]) -> bool:
        """True if the server is ready for inference; False also if it can't be reached."""
        return await self._health(m.IsServerReady(), call)

    async def is_model_ready(
        self, model: str, version: str = "", **call: Unpack[CallOptions]
    ) -> bool:
        """True if a model is ready for inference; False also if the server can't be reached."""
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
    ) -> None:
        """Wait until the server, or a model, is ready.

        Raises:
            DeadlineExceeded: it was not ready in time; the message tells why.
        """
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
        return await self.ask(m.UpdateTraceSettings(settings, model), **call)

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
        """Register a region: `byte_size` bytes at `offset` of the POSIX object `key`."""
        await self.ask(m.RegisterSystemSharedMemory(name, key, byte_size, offset), **call)

    async def unregister_system_shared_memory(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> None:
        """Unregister a region, or all."""
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
        """Register device memory by its 64-byte CUDA IPC handle."""
        await self.ask(m.RegisterCudaSharedMemory(name, raw_handle, device_id, byte_size), **call)

    async def unregister_cuda_shared_memory(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> None:
        """Unregister a CUDA region, or all."""
        await self.ask(m.UnregisterCudaSharedMemory(name), **call)


class AsyncModel:
    """A model of a server: `(await model(INPUT0=a, INPUT1=b))["OUTPUT0"]`.

    Attributes:
        name: the model's name.
        spec: the model's inputs and outputs, against which a call is checked before it is sent.
    """

    def __init__(self, client: AsyncClient, spec: ModelSpec) -> None:
        self._client = client
        self.spec = spec
        self.name = spec.name

    async def __call__(self, **inputs: TensorLike) -> InferResult:
        """Run the model; inputs are given by name."""
        return await self.infer(inputs)

    async def infer(
        self,
        inputs: Mapping[str, TensorLike],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run the model; takes the arguments of `AsyncClient.infer`.

        Raises:
            ValueError: an input or output is not the model's; nothing was sent.
        """
        return await self._client.infer(
            self.spec.name,
            self.spec.check(inputs, outputs),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )

    def submit(
        self,
        inputs: Mapping[str, TensorLike],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Task[InferResult]:
        """Run the model in a task; takes the arguments of `AsyncClient.infer`."""
        return self._client.submit(
            self.spec.name,
            self.spec.check(inputs, outputs),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )

    def __repr__(self) -> str:
        return f"<AsyncModel {self.spec}>"
