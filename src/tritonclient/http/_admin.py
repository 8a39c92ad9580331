"""Operations of the classic blocking client besides inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .. import messages as m
from ..classic.arguments import NO_SETTINGS, Headers, check_settings, check_version, cuda_region
from ..datatypes import Buffer
from . import _calls
from ._base import HttpClientBase, Query
from ._calls import RawResponse
from ._transport import Transport
from ._utils import _raise_if_error

K = TypeVar("K")


class AdminClient(HttpClientBase):
    """The methods that ask about server, models and settings; see `InferenceServerClient`."""

    _transport: Transport

    # How everything is asked

    def _get(self, request_uri: str, headers: Headers, query_params: Query) -> RawResponse:
        call = self._raw_call("GET", request_uri, b"", headers, query_params)
        response: RawResponse = self._transport.send(call)
        self._show(response)
        return response

    def _post(
        self, request_uri: str, request_body: Buffer | str, headers: Headers, query_params: Query
    ) -> RawResponse:
        call = self._raw_call("POST", request_uri, request_body, headers, query_params)
        response: RawResponse = self._transport.send(call)
        self._show(response)
        return response

    _own_post = _post

    def _ask(self, request: m.Request[Any], headers: Headers, query_params: Query) -> Any:
        method, uri, body = _calls.encode(request)
        # By name, as programs' own `_get` and `_post` may expect.
        if method == "GET":
            return self._get(request_uri=uri, headers=headers, query_params=query_params)
        return self._post(
            request_uri=uri, request_body=body, headers=headers, query_params=query_params
        )

    def _is(self, request: m.Request[bool], headers: Headers, query_params: Query) -> bool:
        return bool(self._ask(request, headers, query_params).status_code == 200)

    def _do(self, request: m.Request[None], headers: Headers, query_params: Query) -> None:
        _raise_if_error(self._ask(request, headers, query_params))
        self._show(_calls.done(request))

    def _read(
        self, kind: type[K], request: m.Request[Any], headers: Headers, query_params: Query
    ) -> K:
        response = self._ask(request, headers, query_params)
        _raise_if_error(response)
        body = response.read()
        self._show(body)
        return _calls.json_of(body, kind)

    # Health

    def is_server_live(self, headers: Headers = None, query_params: Query = None) -> bool:
        """Return True if the server is live; raise if it is unreachable."""
        return self._is(m.IsServerLive(), headers, query_params)

    def is_server_ready(self, headers: Headers = None, query_params: Query = None) -> bool:
        """Return True if the server accepts requests; raise if it is unreachable."""
        return self._is(m.IsServerReady(), headers, query_params)

    def is_model_ready(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> bool:
        """Return True if a model is ready; raise if the server is unreachable."""
        check_version(model_version)
        return self._is(m.IsModelReady(model_name, model_version), headers, query_params)

    # Metadata, configuration, statistics

    def get_server_metadata(
        self, headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """Name, version and extensions of the server, as it sends them."""
        return self._read(dict, m.GetServerMetadata(), headers, query_params)

    def get_model_metadata(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Inputs and outputs of a model, as the server sends them."""
        check_version(model_version)
        request = m.GetModelMetadata(model_name, model_version)
        return self._read(dict, request, headers, query_params)

    def get_model_config(
        self,
        model_name: str,
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """A model's configuration, as the server sends it."""
        check_version(model_version)
        request = m.GetModelConfig(model_name, model_version)
        return self._read(dict, request, headers, query_params)

    def get_inference_statistics(
        self,
        model_name: str = "",
        model_version: str = "",
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Statistics of a model, or of all models, as the server sends them."""
        request = _calls.statistics(model_name, model_version)
        return self._read(dict, request, headers, query_params)

    # Model repository

    def get_model_repository_index(
        self, headers: Headers = None, query_params: Query = None
    ) -> list[dict[str, Any]]:
        """The models in the repository, as the server sends them."""
        return self._read(list, m.GetRepositoryIndex(), headers, query_params)

    def load_model(
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
        self._do(_calls.load_request(model_name, config, files), headers, query_params)

    def unload_model(
        self,
        model_name: str,
        headers: Headers = None,
        query_params: Query = None,
        unload_dependents: bool = False,
    ) -> None:
        """Unload a model, and with `unload_dependents` those that it brought along."""
        self._do(m.UnloadModel(model_name, unload_dependents), headers, query_params)

    # Trace and log settings

    def update_trace_settings(
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
        return self._read(dict, request, headers, query_params)

    def get_trace_settings(
        self,
        model_name: str | None = None,
        headers: Headers = None,
        query_params: Query = None,
    ) -> dict[str, Any]:
        """Trace settings of a model, or the server's."""
        request = m.GetTraceSettings(model_name or "")
        return self._read(dict, request, headers, query_params)

    def update_log_settings(
        self, settings: Mapping[str, Any], headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """Change log settings, and return all that are in force then."""
        check_settings(settings)
        request = m.UpdateLogSettings(settings)
        return self._read(dict, request, headers, query_params)

    def get_log_settings(
        self, headers: Headers = None, query_params: Query = None
    ) -> dict[str, Any]:
        """The server's log settings."""
        return self._read(dict, m.GetLogSettings(), headers, query_params)

    # Shared memory

    def get_system_shared_memory_status(
        self, region_name: str = "", headers: Headers = None, query_params: Query = None
    ) -> Any:
        """The registered region of a name, or all, as the server sends them."""
        request = m.GetSystemSharedMemoryStatus(region_name)
        return self._read(object, request, headers, query_params)

    def register_system_shared_memory(
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
        self._do(request, headers, query_params)

    def unregister_system_shared_memory(
        self, name: str = "", headers: Headers = None, query_params: Query = None
    ) -> None:
        """Unregister a region, or all regions."""
        self._do(m.UnregisterSystemSharedMemory(name), headers, query_params)

    def get_cuda_shared_memory_status(
        self, region_name: str = "", headers: Headers = None, query_params: Query = None
    ) -> Any:
        """The registered CUDA region of a name, or all, as the server sends them."""
        request = m.GetCudaSharedMemoryStatus(region_name)
        return self._read(object, request, headers, query_params)

    def register_cuda_shared_memory(
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
        self._do(request, headers, query_params)

    def unregister_cuda_shared_memory(
        self, name: str = "", headers: Headers = None, query_params: Query = None
    ) -> None:
        """Unregister a CUDA region, or all CUDA regions."""
        self._do(m.UnregisterCudaSharedMemory(name), headers, query_params)
