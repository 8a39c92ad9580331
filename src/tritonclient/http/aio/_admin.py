"""Operations of the classic client on asyncio besides inference."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, TypeVar

from ... import messages as m
from ...call_log import record_end
from ...classic.arguments import NO_SETTINGS, Headers, check_settings, check_version, cuda_region
from ...datatypes import Buffer
from ...errors import ConnectionFailed, DeadlineExceeded, InferenceServerException, ServerError
from ...transport.aio.transport import Transport
from .. import _calls
from .._base import HttpClientBase, Query
from .._calls import AwaitedResponse, InferCall, RawCall
from ._errors import with_aiohttp_type

K = TypeVar("K")


class AdminClient(HttpClientBase):
    """The methods that ask about server, models and settings; see `InferenceServerClient`."""

    _shown_url: str
    _timeout: float | None
    _transport: Transport

    # How everything is asked

    async def _get(
        self, request_uri: str, headers: Headers, query_params: Query
    ) -> AwaitedResponse:
        call = self._raw_call("GET", request_uri, b"", headers, query_params)
        return await self._send_raw(call)

    async def _post(
        self, request_uri: str, request_body: Buffer | str, headers: Headers, query_params: Query
    ) -> AwaitedResponse:
        call = self._raw_call("POST", request_uri, request_body, headers, query_params)
        return await self._send_raw(call)

    _own_post = _post

    async def _send_raw(self, call: RawCall) -> AwaitedResponse:
        response = await self._send(call)
        awaited = AwaitedResponse(response, self._shown_url + call.target())
        self._show(awaited)
        return awaited

    async def _send(self, call: RawCall | InferCall) -> Any:
        try:
            return await self._send_recorded(call)
        except ServerError as error:
            raise _calls.refused(error) from None
        except (ConnectionFailed, DeadlineExceeded) as error:
            raise with_aiohttp_type(error, self._settings.endpoint) from error.__cause__

    async def _send_recorded(self, call: RawCall | InferCall) -> Any:
        url, started = self._settings.endpoint.url, monotonic()
        try:
            response = await self._transport.send(call, self._timeout)
        except InferenceServerException as error:
            record_end(url, call.request, started, error)
            raise
        record_end(url, call.request, started, _calls.outcome_of(response))
        return response

    async def _ask(self, request: m.Request[Any], headers: Headers, query_params: Query) -> Any:
        method, uri, body = _calls.encode(request)
        # By name, as programs' own `_get` and `_post` may expect.
        if method == "GET":
            return await self._get(request_uri=uri, headers=headers, query_params=query_params)
        return await self._post(
            request_uri=uri, request_body=body, headers=headers, query_params=query_params
        )

    async def _is(self, request: m.Request[bool], headers: Headers, query_params: Query) -> bool:
        return bool((await self._ask(request, headers, query_params)).status == 200)

    async def _do(self, request: m.Request[None], headers: Headers, query_params: Query) -> None:
        await body_of(await self._ask(request, headers, query_params))
        self._show(_calls.done(request))

    async def _read(
        self, kind: type[K], request: m.Request[Any], headers: Headers, query_params: Query
    ) -> K:
        body = await body_of(await self._ask(request, headers, query_params))
        self._show(body)
        return _calls.json_of(body, kind)

    # Health

    async def is_server_live(self, headers: Headers = None, query_params: Query = None) -> bool:
        """Return True if the server is live; raise if it is unreachable."""
        return await self._is(m.IsServerLive(), headers, query_params)

    async def is_server_ready(self, headers: Headers = None, query_params: Query = None) -> bool:
        """Return True if the server accepts requests; raise if it is unreachable."""
        return await self._is(m.IsServerReady(), headers, query_params)

    async def is_model_ready(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> bool:
        """Return True if a model is ready; raise if the server is unreachable."""
        check_version(model_version)
        return await self._is(m.IsModelReady(model_name, model_version), headers, query_params)

    # Metadata, configuration, statistics

    async def get_server_metadata(
        self, headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """Name, version and extensions of the server, as it sends them."""
        return await self._read(dict, m.GetServerMetadata(), headers, query_params)

    async def get_model_metadata(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Inputs and outputs of a model, as the server sends them."""
        check_version(model_version)
        request = m.GetModelMetadata(model_name, model_version)
        return await self._read(dict, request, headers, query_params)

    async def get_model_config(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """A model's configuration, as the server sends it."""
        check_version(model_version)
        request = m.GetModelConfig(model_name, model_version)
        return await self._read(dict, request, headers, query_params)

    async def get_inference_statistics(
        self,
        model_name: str = "",
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Statistics of a model, or of all models, as the server sends them."""
        request = _calls.statistics(model_name, model_version)
        return await self._read(dict, request, headers, query_params)

    # Model repository

    async def get_model_repository_index(
        self, headers: Headers = None, query_params: Query = None
    ) -> list[dict[str, Any]]:
        """The models in the repository, as the server sends them."""
        return await self._read(list, m.GetRepositoryIndex(), headers, query_params)

    async def load_model(
        self,
        model_name: str,
        headers: Headers = None,
        query_params: Query = None,
        config: str | Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Load or reload a model.

        Args:
            config: a model configuration as JSON text or mapping, instead of the repository's.
            files: contents by path, such as "file:1/model.onnx", instead of the repository's
                files; they need a `config`.
        """
        await self._do(_calls.load_request(model_name, config, files), headers, query_params)

    async def unload_model(
        self,
        model_name: str,
        headers: Headers = None,
        query_params: Query = None,
        unload_dependents: bool = False,
    ) -> None:
        """Unload a model, and with `unload_dependents` those that it brought along."""
        await self._do(m.UnloadModel(model_name, unload_dependents), headers, query_params)

    # Trace and log settings

    async def update_trace_settings(
        self,
        model_name: str | None = None,
        settings: Mapping[str, Any] = NO_SETTINGS,
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Change trace settings of a model, or the server's. None as a value resets one.

        Returns:
            All that are in force then.
        """
        check_settings(settings)
        request = m.UpdateTraceSettings(settings, model_name or "")
        return await self._read(dict, request, headers, query_params)

    async def get_trace_settings(
        self,
        model_name: str | None = None,
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Trace settings of a model, or the server's."""
        request = m.GetTraceSettings(model_name or "")
        return await self._read(dict, request, headers, query_params)

    async def update_log_settings(
        self, settings: Mapping[str, Any], headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """Change log settings, and return all that are in force then."""
        check_settings(settings)
        request = m.UpdateLogSettings(settings)
        return await self._read(dict, request, headers, query_params)

    async def get_log_settings(
        self, headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """The server's log settings."""
        return await self._read(dict, m.GetLogSettings(), headers, query_params)

    # Shared memory

    async def get_system_shared_memory_status(
        self, region_name: str = "", headers: Headers = None, query_params: Query = None
    ) -> Any:
        """The registered region of a name, or all, as the server sends them."""
        request = m.GetSystemSharedMemoryStatus(region_name)
        return await self._read(object, request, headers, query_params)

    async def register_system_shared_memory(
        self,
        name: str,
        key: str,
        byte_size: int,
        offset: int = 0,
        headers: Headers = None,
        query_params: Query = None,
    ) -> None:
        """Register `byte_size` bytes at `offset` of the POSIX shared memory object `key`."""
        request = m.RegisterSystemSharedMemory(name, key, byte_size, offset)
        await self._do(request, headers, query_params)

    async def unregister_system_shared_memory(
        self, name: str = "", headers: Headers = None, query_params: Query = None
    ) -> None:
        """Unregister a region, or all regions."""
        await self._do(m.UnregisterSystemSharedMemory(name), headers, query_params)

    async def get_cuda_shared_memory_status(
        self, region_name: str = "", headers: Headers = None, query_params: Query = None
    ) -> Any:
        """The registered CUDA region of a name, or all, as the server sends them."""
        request = m.GetCudaSharedMemoryStatus(region_name)
        return await self._read(object, request, headers, query_params)

    async def register_cuda_shared_memory(
        self,
        name: str,
        raw_handle: bytes | str,
        device_id: int,
        byte_size: int,
        headers: Headers = None,
        query_params: Query = None,
    ) -> None:
        """Register GPU memory by its CUDA IPC handle in base64."""
        request = cuda_region(name, raw_handle, device_id, byte_size)
        await self._do(request, headers, query_params)

    async def unregister_cuda_shared_memory(
        self, name: str = "", headers: Headers = None, query_params: Query = None
    ) -> None:
        """Unregister a CUDA region, or all CUDA regions."""
        await self._do(m.UnregisterCudaSharedMemory(name), headers, query_params)


async def body_of(response: Any) -> bytes:
    """The body of a response, unless it is an error, which is raised."""
    body: bytes = await response.read()
    _calls.raise_if_error(response.status, body)
    return body
