"""The classic `InferenceServerClient` over HTTP, awaited; the twin of `tritonclient.http`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...classic.arguments import Headers, warn_of_no_tls
from ...classic.lazy_names import lazy_names
from ...classic.plugins import InferenceServerClientBase
from ...classic.secrets import Verbose
from ...codec.rest_infer import HEAD_LENGTH
from ...transport.aio.transport import Transport
from ...transport.endpoint import TLS
from ...transport.settings import check_timeout
from .. import (
    InferAsyncRequest,
    InferenceServerClientPlugin,
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
    InferResult,
    Request,
    _calls,
)
from .._base import Query
from .._calls import InferCall
from ._admin import AdminClient, body_of

if TYPE_CHECKING:
    import ssl as ssl_module

    from typing_extensions import Self

__all__ = [
    "InferAsyncRequest",
    "InferInput",
    "InferRequestedOutput",
    "InferResult",
    "InferenceServerClient",
    "InferenceServerClientBase",
    "InferenceServerClientPlugin",
    "InferenceServerException",
    "Request",
]


async def _get_error(response: Any) -> InferenceServerException | None:
    """Return the error of a response, or None.

    Args:
        response: something with a `status` and an awaited `read()`, as of aiohttp.
    """
    try:
        await _raise_if_error(response)
    except InferenceServerException as error:
        return error
    return None


async def _raise_if_error(response: Any) -> None:
    """Raise the error of a response with an error status; see `_get_error`.

    Raises:
        InferenceServerException: the status is no success.
    """
    status: int = response.status
    if not 200 <= status < 300:
        _calls.raise_if_error(status, await response.read())


class InferenceServerClient(AdminClient):
    """A client of an inference server on asyncio, with the methods of the blocking client.

    Args:
        url: `host[:port][/base/path]`, without a scheme.
        verbose: print requests and responses. The values of headers and query parameters
            that may be secrets are masked; a collection of names shows those, and all else.
        conn_limit: how many connections there may be.
        conn_timeout: seconds that a call may take from its beginning to its end, None for no limit.
        ssl: use TLS.
        ssl_context: an `ssl.SSLContext`; None to verify the server by the system's authorities,
            False to trust any server.
        max_response_size: refuse larger responses, in bytes, also after decompression. By default
            any size may be received, and a compressed response may grow to 256 MiB.

    Raises:
        InferenceServerException: the URL has a scheme.
    """

    _CLOSED = "Session is closed"

    def __init__(
        self,
        url: str,
        verbose: Verbose = False,
        conn_limit: int = 100,
        conn_timeout: float | None = 60.0,
        ssl: bool = False,
        ssl_context: ssl_module.SSLContext | bool | None = None,
        *,
        max_response_size: int | None = None,
    ) -> None:
        super().__init__(url, verbose, ssl, max_response_size)
        self._shown_url = f"{'https' if ssl else 'http'}://{self._settings.endpoint.authority}"
        if not ssl:
            warn_of_no_tls(ssl_context=ssl_context)
        if isinstance(ssl_context, bool) or ssl_context is None:
            tls = TLS(verify=ssl_context is not False)
        else:
            tls = TLS(context=ssl_context)
        check_timeout(conn_timeout, "conn_timeout")
        self._timeout = conn_timeout
        self._transport = Transport(self._settings, tls=tls, max_connections=conn_limit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, type: Any, value: Any, traceback: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; later calls fail."""
        self._closed = True
        await self._transport.close()

    # Inference

    async def infer(
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
        """Run a model; see the blocking client.

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
        if isinstance(call, InferCall):
            result: InferResult = await self._send(call)
            return result
        response = await self._post(**call._asdict())
        body = await body_of(response)
        length = response.headers.get(HEAD_LENGTH)
        return InferResult.from_response_body(
            body, bool(self._verbose), None if length is None else int(length)
        )


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
