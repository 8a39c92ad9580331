"""The classic `InferenceServerClient` over HTTP, blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..classic.arguments import Headers, warn_of_no_tls
from ..classic.lazy_names import lazy_names
from ..classic.secrets import Verbose
from ..client.executor import Workers
from ..errors import ServerError
from . import _calls
from ._admin import AdminClient
from ._base import Post, Query
from ._calls import InferCall
from ._infer_input import InferInput
from ._infer_result import InferAsyncRequest, InferResult
from ._requested_output import InferRequestedOutput
from ._transport import Transport
from ._utils import _raise_if_error

if TYPE_CHECKING:
    import ssl as ssl_module

    from typing_extensions import Self

__all__ = ["InferenceServerClient", "_raise_if_error"]


class InferenceServerClient(AdminClient):
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
        max_response_size: refuse larger responses, in bytes, also after decompression. By default
            any size may be received, and a compressed response may grow to 256 MiB.

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
        self._workers = Workers(min(concurrency, max_greenlets or concurrency), url)
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

            # What is shown of a quick response comes first, as it does with the official client.
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
        response = self._post(**call._asdict())
        _raise_if_error(response)
        return InferResult(response, verbose)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
