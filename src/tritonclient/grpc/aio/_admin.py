"""Operations of the classic asyncio client besides inference; see the blocking client."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from ... import messages as m
from ...classic.arguments import NO_SETTINGS, Headers, check_version, cuda_region
from ...classic.loading import load_request
from ...transport.grpc_call import GrpcCall
from .._base import GrpcClientBase, log_settings, trace_settings
from .._infer_result import as_dict

T = TypeVar("T")


class AsyncAdminClient(GrpcClientBase):
    """The methods that ask about server, models and settings; see `InferenceServerClient`."""

    @abstractmethod
    async def _send(self, call: GrpcCall[T], client_timeout: float | None) -> T:
        """Make a call and return its result."""

    async def _ask(
        self, request: m.Request[Any], headers: Headers, client_timeout: float | None
    ) -> Any:
        response = await self._send(self._message_call(request, headers), client_timeout)
        if self._verbose:
            print(response)
        return response

    async def _read(
        self,
        request: m.Request[Any],
        headers: Headers,
        as_json: bool,
        client_timeout: float | None,
    ) -> Any:
        response = await self._ask(request, headers, client_timeout)
        return as_dict(response) if as_json else response

    async def _do(
        self, done: str, request: m.Request[None], headers: Headers, client_timeout: float | None
    ) -> None:
        await self._send(self._message_call(request, headers), client_timeout)
        if self._verbose:
            print(done)

    # Health

    async def is_server_live(
        self, headers: Headers = None, client_timeout: float | None = None
    ) -> bool:
        """Return True if the server is live; raise if it is unreachable."""
        return bool((await self._ask(m.IsServerLive(), headers, client_timeout)).live)

    async def is_server_ready(
        self, headers: Headers = None, client_timeout: float | None = None
    ) -> bool:
        """Return True if the server accepts requests; raise if it is unreachable."""
        return bool((await self._ask(m.IsServerReady(), headers, client_timeout)).ready)

    async def is_model_ready(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        client_timeout: float | None = None,
    ) -> bool:
        """Return True if a model is ready; raise if the server is unreachable."""
        check_version(model_version)
        request = m.IsModelReady(model_name, model_version)
        return bool((await self._ask(request, headers, client_timeout)).ready)

    # Metadata, configuration, statistics

    async def get_server_metadata(
        self, headers: Headers = None, as_json: bool = False, client_timeout: float | None = None
    ) -> Any:
        """Name, version and extensions of the server: a ServerMetadataResponse."""
        return await self._read(m.GetServerMetadata(), headers, as_json, client_timeout)

    async def get_model_metadata(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """Inputs and outputs of a model: a ModelMetadataResponse."""
        check_version(model_version)
        request = m.GetModelMetadata(model_name, model_version)
        return await self._read(request, headers, as_json, client_timeout)

    async def get_model_config(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """A model's configuration: a ModelConfigResponse, whose `config` it is."""
        check_version(model_version)
        request = m.GetModelConfig(model_name, model_version)
        return await self._read(request, headers, as_json, client_timeout)

    async def get_inference_statistics(
        self,
        model_name: str = "",
        model_version: str = "",
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """Statistics of a model, or of all models: a ModelStatisticsResponse."""
        check_version(model_version)
        request = m.GetStatistics(model_name, model_version)
        return await self._read(request, headers, as_json, client_timeout)

    # Model repository

    async def get_model_repository_index(
        self, headers: Headers = None, as_json: bool = False, client_timeout: float | None = None
    ) -> Any:
        """The models in the repository: a RepositoryIndexResponse."""
        return await self._read(m.GetRepositoryIndex(), headers, as_json, client_timeout)

    async def load_model(
        self,
        model_name: str,
        headers: Headers = None,
        config: str | Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        client_timeout: float | None = None,
    ) -> None:
        """Load or reload a model.

        Args:
            config: a model configuration as JSON text or mapping, instead of the repository's.
            files: contents by path, such as "file:1/model.onnx", instead of the repository's
                files; they need a `config`.
        """
        request = load_request(model_name, config, files)
        await self._do(f"Loaded model '{model_name}'", request, headers, client_timeout)

    async def unload_model(
        self,
        model_name: str,
        headers: Headers = None,
        unload_dependents: bool = False,
        client_timeout: float | None = None,
    ) -> None:
        """Unload a model, and with `unload_dependents` those that it brought along."""
        request = m.UnloadModel(model_name, bool(unload_dependents))
        await self._do(f"Unloaded model '{model_name}'", request, headers, client_timeout)

    # Trace and log settings

    async def update_trace_settings(
        self,
        model_name: str | None = None,
        settings: Mapping[str, Any] = NO_SETTINGS,
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """Change trace settings of a model, or the server's. None as a value resets one.

        Returns:
            All that are in force then, as a TraceSettingResponse.
        """
        request = trace_settings(settings, model_name)
        return await self._read(request, headers, as_json, client_timeout)

    async def get_trace_settings(
        self,
        model_name: str | None = None,
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """Trace settings of a model, or the server's: a TraceSettingResponse."""
        request = m.GetTraceSettings(model_name or "")
        return await self._read(request, headers, as_json, client_timeout)

    async def update_log_settings(
        self,
        settings: Mapping[str, Any],
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """Change log settings, and return all that are in force then: a LogSettingsResponse."""
        return await self._read(log_settings(settings), headers, as_json, client_timeout)

    async def get_log_settings(
        self, headers: Headers = None, as_json: bool = False, client_timeout: float | None = None
    ) -> Any:
        """The server's log settings: a LogSettingsResponse."""
        return await self._read(m.GetLogSettings(), headers, as_json, client_timeout)

    # Shared memory

    async def get_system_shared_memory_status(
        self,
        region_name: str = "",
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """The registered region of a name, or all: a SystemSharedMemoryStatusResponse."""
        request = m.GetSystemSharedMemoryStatus(region_name)
        return await self._read(request, headers, as_json, client_timeout)

    async def register_system_shared_memory(
        self,
        name: str,
        key: str,
        byte_size: int,
        offset: int = 0,
        headers: Headers = None,
        client_timeout: float | None = None,
    ) -> None:
        """Register `byte_size` bytes at `offset` of the POSIX shared memory object `key`."""
        request = m.RegisterSystemSharedMemory(name, key, byte_size, offset)
        done = f"Registered system shared memory with name '{name}'"
        await self._do(done, request, headers, client_timeout)

    async def unregister_system_shared_memory(
        self, name: str = "", headers: Headers = None, client_timeout: float | None = None
    ) -> None:
        """Unregister a region, or all regions."""
        request = m.UnregisterSystemSharedMemory(name)
        done = f"Unregistered system shared memory with name '{name}'"
        if not name:
            done = "Unregistered all system shared memory regions"
        await self._do(done, request, headers, client_timeout)

    async def get_cuda_shared_memory_status(
        self,
        region_name: str = "",
        headers: Headers = None,
        as_json: bool = False,
        client_timeout: float | None = None,
    ) -> Any:
        """The registered CUDA region of a name, or all: a CudaSharedMemoryStatusResponse."""
        request = m.GetCudaSharedMemoryStatus(region_name)
        return await self._read(request, headers, as_json, client_timeout)

    async def register_cuda_shared_memory(
        self,
        name: str,
        raw_handle: bytes | str,
        device_id: int,
        byte_size: int,
        headers: Headers = None,
        client_timeout: float | None = None,
    ) -> None:
        """Register GPU memory by its CUDA IPC handle in base64."""
        request = cuda_region(name, raw_handle, device_id, byte_size)
        done = f"Registered cuda shared memory with name '{name}'"
        await self._do(done, request, headers, client_timeout)

    async def unregister_cuda_shared_memory(
        self, name: str = "", headers: Headers = None, client_timeout: float | None = None
    ) -> None:
        """Unregister a CUDA region, or all CUDA regions."""
        request = m.UnregisterCudaSharedMemory(name)
        done = f"Unregistered cuda shared memory with name '{name}'"
        if not name:
            done = "Unregistered all cuda shared memory regions"
        await self._do(done, request, headers, client_timeout)
