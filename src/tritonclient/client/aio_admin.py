"""Operations of the client on asyncio besides inference, and how every request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from .. import messages as m
from ..call_log import record, record_end, recording
from ..errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    ServerError,
    Unavailable,
)
from ..transport.call import NO_OPTIONS, Call, Options
from . import flows
from .admin_requests import cuda_region, load_request, log_request, system_region, trace_request
from .base import BaseClient
from .infer_calls import InferArguments
from .options import (
    CLIENT_DEFAULT,
    CallOptions,
    Timeout,
    carrying_of,
    check_call,
    make_transport_options,
    no_request,
    settle,
)
from .recovery import recover, stream_time_left, time_left
from .refusals import explain, is_of_unknown_model
from .signatures import check_passed_on, explains_arguments, explains_missing
from .suggestions import by_keyword

if TYPE_CHECKING:
    from typing_extensions import Never, Unpack


T = TypeVar("T")


@explains_arguments
class AsyncAdminClient(BaseClient):
    """The methods of `AsyncClient` that ask about server, models and settings."""

    # How everything is asked

    @explains_missing
    async def send(self, call: Call[T], *surplus: Never, timeout: Timeout = CLIENT_DEFAULT) -> T:
        """Send a prepared request; see `prepare`."""
        if surplus:
            raise by_keyword(surplus, AsyncAdminClient.send)
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
            check_passed_on(unknown, AsyncAdminClient.ask, CallOptions.__optional_keys__)
        if not isinstance(request, m.Request):
            raise no_request(request)
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
            response: T = await self._transport.send(call, seconds)
        except InferenceServerException as error:
            settle(error, call, seconds, self._url, started)
            if carrying is None:
                carrying = carrying_of(call, arguments)
            flow = recover(error, call, arguments, self._calls, self._hints, seconds, started)
            return await self._drive(flow, carrying)
        if (logger := recording()) is not None:
            record(logger, self._url, call.request, "OK", monotonic() - started)
        return response

    async def _run(self, flow: flows.Flow[T], options: Options = NO_OPTIONS) -> T:
        """Drive a flow; an error that it ends with gets a hint."""
        started = monotonic()
        try:
            return await self._drive(flow, options)
        except InferenceServerException as error:
            await self._explain(error, time_left(error, self._timeout, started), options)
            raise

    async def _explain(
        self, error: InferenceServerException, seconds: float | None, options: Options
    ) -> None:
        """Give an error a hint, in as many seconds."""
        with suppress(RuntimeError):  # the client was closed meanwhile
            await self._drive(explain(error, seconds, self._hints), options)

    async def _drive(self, flow: flows.Flow[T], options: Options) -> T:
        async def send(request: m.Request[Any], timeout: float | None) -> Any:
            started = monotonic()
            call = self._transport.prepare(request, options)
            try:
                response = await self._transport.send(call, timeout)
            except InferenceServerException as error:
                settle(error, call, timeout, self._url, started)
                raise
            record_end(self._url, call.request, started)
            return response

        return await flows.run_async(flow, send, asyncio.sleep)

    def _explainer(
        self, options: Options, timeout: float | None, response_timeout: float | None, model: str
    ) -> Callable[[InferenceServerException], Awaitable[None]]:
        """Return a function that gives the errors of a stream, begun now, their hints."""
        started = monotonic()

        async def explain(error: InferenceServerException) -> None:
            error.model = error.model or model
            seconds = stream_time_left(timeout, response_timeout, started)
            await self._explain(error, seconds, options)

        return explain

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
        """Return True if a model is ready; False also if it or the server is not there."""
        return await self._health(m.IsModelReady(model, version), call)

    async def _health(self, request: m.Request[bool], call: CallOptions) -> bool:
        try:
            return await self.ask(request, **call)
        except (ConnectionFailed, DeadlineExceeded, Unavailable):
            return False
        except ServerError as error:  # servers other than Triton refuse to say it of no model
            if not is_of_unknown_model(error):
                raise
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
        """Wait until the server, or a model, is ready; see `Client.wait_until_ready`."""
        seconds = self._seconds(timeout)
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
        settings: Mapping[str, m.TraceValue | int],
        model: str = "",
        **call: Unpack[CallOptions],
    ) -> dict[str, Any]:
        """Change trace settings; None as a value resets one. Returns all that are in force."""
        return await self.ask(trace_request(settings, model), **call)

    async def log_settings(self, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """The server's log settings."""
        return await self.ask(m.GetLogSettings(), **call)

    @explains_missing
    async def update_log_settings(
        self, settings: Mapping[str, m.LogValue], **call: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Change log settings. Returns all that are in force."""
        return await self.ask(log_request(settings), **call)

    # Shared memory

    async def system_shared_memory_status(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> tuple[m.SystemSharedMemoryRegion, ...]:
        """The registered region of a name, or all."""
        return await self.ask(m.GetSystemSharedMemoryStatus(name), **call)

    async def register_system_shared_memory(
        self, name: str, key: str, byte_size: int, offset: int = 0, **call: Unpack[CallOptions]
    ) -> None:
        """Register `byte_size` bytes at `offset` of the POSIX shared memory object `key`."""
        await self.ask(system_region(name, key, byte_size, offset), **call)

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
        await self.ask(cuda_region(name, raw_handle, device_id, byte_size), **call)

    async def unregister_cuda_shared_memory(
        self, name: str = "", **call: Unpack[CallOptions]
    ) -> None:
        """Unregister a CUDA region, or all CUDA regions."""
        await self.ask(m.UnregisterCudaSharedMemory(name), **call)
