"""The classic `InferenceServerClient` over HTTP, blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from .. import messages as m
from ..classic.arguments import NO_SETTINGS, Headers, check_version, cuda_region, warn_of_no_tls
from ..classic.lazy_names import lazy_names
from ..classic.secrets import Verbose
from ..client.executor import Workers
from ..datatypes import Buffer
from ..errors import ServerError
from . import _calls
from ._base import HttpClientBase, Post, Query
from ._calls import Answer, InferCall
from ._infer_input import InferInput
from ._infer_result import InferAsyncRequest, InferResult
from ._requested_output import InferRequestedOutput
from ._transport import Transport
from ._utils import _raise_if_error

if TYPE_CHECKING:
    import ssl as ssl_module

    from typing_extensions import Self

__all__ = ["InferenceServerClient", "_raise_if_error"]

K = TypeVar("K")


class InferenceServerClient(HttpClientBase):
    """A client of an inference server. Any number of threads may share one.

    Methods that ask the server take `headers`, which are sent along, and `query_params`, which are
    appended to the URL (a list as a value gives a parameter several times), and leave both as they
    are. All raise `InferenceServerException` when the server refuses or can't be reached.

    Args:
        url: `host[:port][/base/path]`, without a scheme.
        verbose: print requests and responses. The values of headers and query parameters
            that may be secrets are masked; a collection of names shows those, and all else.
        concurrency: largest number of connections, and of requests of `async_infer` in flight.
        connection_timeout: seconds that connecting may take, None for no limit.
        network_timeout: seconds to wait without receiving data, None for no limit.
        max_greenlets: number of threads for `async_infer`; `concurrency` by default.
        ssl: use TLS; without it the arguments that follow have no effect, and are warned of.
        ssl_options: `ca_certs` is a file of certificate authorities to trust, `certfile` and
            `keyfile` are the client's own certificate and key, `server_hostname` is the name to
            expect in the server's certificate; `ciphers`, `options` and `verify_flags` are those
            of `ssl.SSLContext`, and `cert_reqs=ssl.CERT_NONE` trusts any server.
        ssl_context_factory: makes a new `ssl.SSLContext`, instead of `ssl.create_default_context`.
            The other arguments are applied to it.
        insecure: do not hold the server's name against its certificate.
        max_response_size: refuse larger answers, in bytes, also after decompression. By default
            any size may be received, and a compressed answer may grow to 256 MiB.

    Raises:
        InferenceServerException: the URL has a scheme.
    """

    _CLOSED = "connection pool closed"

    def __init__(
        self,
        url: str,
        verbose: Verbose = False,
        concurrency: int = 1,
        connection_timeout: float | None = 60.0,
        network_timeout: float | None = 60.0,
        max_greenlets: int | None = None,
        ssl: bool = False,
        ssl_options: Mapping[str, Any] | None = None,
        ssl_context_factory: Callable[..., ssl_module.SSLContext] | None = None,
        insecure: bool = False,
        *,
        max_response_size: int | None = None,
    ) -> None:
        super().__init__(url, verbose, ssl, max_response_size)
        tls = None
        if not ssl:
            warn_of_no_tls(
                ssl_options=ssl_options,
                ssl_context_factory=ssl_context_factory,
                insecure=insecure,
            )
        else:
            from ._secure import make_tls

            tls = make_tls(ssl_options, ssl_context_factory, insecure)
        self._transport = Transport(
            self._settings,
            tls=tls,
            max_connections=concurrency,
            connect_timeout=connection_timeout,
            silence_timeout=network_timeout,
        )
        self._workers = Workers(min(concurrency, max_greenlets or concurrency))
        # Where pytriton and its like look to see which limits a client was given.
        limits = SimpleNamespace(
            connection_timeout=connection_timeout, network_timeout=network_timeout
        )
        self._client_stub = SimpleNamespace(_connection_pool=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        self.close()

    def __del__(self) -> None:
        # Of a client that was never made whole, or whose modules are gone already, too; with them
        # goes contextlib.
        try:
            self._workers.close(wait=False)
            self._transport.close()
        except Exception:
            pass

    def close(self) -> None:
        """Wait for what `async_infer` has sent, then close all connections; later calls fail."""
        self._workers.close()
        self._closed = True
        self._transport.close()

    # How everything is asked

    def _get(self, request_uri: str, headers: Headers, query_params: Query) -> Answer:
        call = self._raw_call("GET", request_uri, b"", headers, query_params)
        answer: Answer = self._transport.send(call)
        self._show(answer)
        return answer

    def _post(
        self, request_uri: str, request_body: Buffer | str, headers: Headers, query_params: Query
    ) -> Answer:
        call = self._raw_call("POST", request_uri, request_body, headers, query_params)
        answer: Answer = self._transport.send(call)
        self._show(answer)
        return answer

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
        answer = self._ask(request, headers, query_params)
        _raise_if_error(answer)
        body = answer.read()
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

    # Inference

    def infer(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str = "",
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        headers: Headers = None,
        query_params: Query = None,
        request_compression_algorithm: str | None = None,
        response_compression_algorithm: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> InferResult:
        """Run a model.

        Args:
            model_name: name of the model.
            inputs: the model's inputs.
            model_version: version of the model; "" leaves the choice to the server.
            outputs: what to return; None or none for all outputs, as binary data.
            request_id: an id that the server gives back.
            sequence_id: the sequence that this request belongs to; 0 or "" for none.
            sequence_start, sequence_end: whether it is the sequence's first or last.
            priority: 1 is the highest, 0 the model's default.
            timeout: microseconds that the request may wait in the server's queue.
            headers: further HTTP headers.
            query_params: query parameters of the URL.
            request_compression_algorithm: "gzip" or "deflate", to compress the request.
            response_compression_algorithm: "gzip" or "deflate", requested from the server.
            parameters: further parameters for the model.

        Raises:
            InferenceServerException: the server refused or can't be reached, or an argument
                has a wrong type or value.
        """
        call = self._infer_call(
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
            headers,
            query_params,
            request_compression_algorithm,
            response_compression_algorithm,
            parameters,
        )
        return self._send(call, bool(self._verbose))

    def async_infer(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str = "",
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        headers: Headers = None,
        query_params: Query = None,
        request_compression_algorithm: str | None = None,
        response_compression_algorithm: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> InferAsyncRequest:
        """Run a model on another thread; takes the arguments of `infer`.

        Arguments are checked before this returns. Failures of the call itself are raised by
        `get_result`.
        """
        call = self._infer_call(
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
            headers,
            query_params,
            request_compression_algorithm,
            response_compression_algorithm,
            parameters,
        )
        # A bound method keeps the client alive until the request is sent.
        future = self._workers.submit(self._send, call)
        if self._verbose:
            from concurrent.futures import wait

            # What is shown of a quick answer comes first, as it does with the official client.
            wait([future], 0.01)
            print(f"Sent request '{request_id}'" if request_id else "Sent request")
        return InferAsyncRequest(future, bool(self._verbose))

    def _send(self, call: InferCall | Post, verbose: bool = False) -> InferResult:
        if isinstance(call, InferCall):
            try:
                result: InferResult = self._transport.send(call)
                return result
            except ServerError as error:
                raise _calls.refused(error) from None
        answer = self._post(**call._asdict())
        _raise_if_error(answer)
        return InferResult(answer, verbose)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
