"""The classic `InferenceServerClient` over gRPC, awaited; the twin of `tritonclient.grpc`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from ...classic.arguments import Headers
from ...classic.lazy_names import lazy_names
from ...classic.plugins import InferenceServerClientBase
from ...classic.secrets import Verbose
from ...errors import InferenceServerException
from ...transport.call import Options
from ...transport.grpc_call import GrpcCall
from .. import (
    MAX_GRPC_MESSAGE_SIZE,
    InferenceServerClientPlugin,
    InferInput,
    InferRequestedOutput,
    InferResult,
    KeepAliveOptions,
    Request,
    raise_error,
    raise_error_grpc,
)
from .._asyncio import make_transport
from .._base import seconds
from ._admin import AsyncAdminClient
from ._responses import Responses

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...transport.call import AsyncGrpcStream
    from .. import model_config_pb2 as model_config_pb2
    from .. import service_pb2 as service_pb2
    from .. import service_pb2_grpc as service_pb2_grpc

T = TypeVar("T")

__all__ = [
    "MAX_GRPC_MESSAGE_SIZE",
    "InferInput",
    "InferRequestedOutput",
    "InferResult",
    "InferenceServerClient",
    "InferenceServerClientBase",
    "InferenceServerClientPlugin",
    "InferenceServerException",
    "KeepAliveOptions",
    "Request",
    "model_config_pb2",
    "raise_error",
    "raise_error_grpc",
    "service_pb2",
    "service_pb2_grpc",
]

_LAZY = frozenset(["model_config_pb2", "service_pb2", "service_pb2_grpc"])

if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


class InferenceServerClient(AsyncAdminClient):
    """A client of an inference server for coroutines; its methods are those of the blocking one.

    Takes the arguments of `tritonclient.grpc.InferenceServerClient`.
    """

    _awaited = True

    def __init__(
        self,
        url: str,
        verbose: Verbose = False,
        ssl: bool = False,
        root_certificates: str | None = None,
        private_key: str | None = None,
        certificate_chain: str | None = None,
        creds: Any = None,
        keepalive_options: KeepAliveOptions | None = None,
        channel_args: Iterable[tuple[str, Any]] | None = None,
        *,
        max_response_size: int | None = None,
    ) -> None:
        super().__init__(
            url,
            verbose,
            ssl,
            root_certificates,
            private_key,
            certificate_chain,
            creds,
            keepalive_options,
            channel_args,
            max_response_size,
        )
        self._transport = make_transport(self._route)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, type: Any, value: Any, traceback: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, and cancel streams; later calls fail."""
        self._closed = True
        await self._transport.close()
        if self._own_channel is not None:
            await self._own_channel.close()

    def _call_by_stub(self) -> None:
        from .._stub import AsyncStubTransport

        self._transport = AsyncStubTransport(self)

    async def _send(self, call: GrpcCall[T], client_timeout: float | None) -> T:
        timeout, started = seconds(client_timeout), monotonic()
        try:
            response: T = await self._transport.send(call, timeout)
        except (InferenceServerException, RuntimeError) as error:
            self._record(call, started, error)
            raise self._failure(error, timeout) from error.__cause__
        self._record(call, started)
        return response

    def _closed_error(self) -> ValueError:
        return ValueError("Channel is closed.")  # in the words of grpcio's own awaiting channels

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
        client_timeout: float | None = None,
        headers: Headers = None,
        compression_algorithm: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> InferResult:
        """Run a model; see the blocking client. Cancelling the task cancels the call.

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
            compression_algorithm,
            parameters,
        )
        return self._shown(await self._send(call, client_timeout))

    def stream_infer(
        self,
        inputs_iterator: AsyncIterator[Mapping[str, Any]],
        stream_timeout: float | None = None,
        headers: Headers = None,
        compression_algorithm: str | None = None,
    ) -> Responses:
        """Run models on a stream, which is opened at once; needs a running event loop.

        Args:
            inputs_iterator: gives the requests, each a dictionary with the arguments of
                `async_stream_infer` of the blocking client: `model_name`, `inputs` and others.
            stream_timeout: seconds until the stream must have ended, None for no limit.
            headers: metadata.
            compression_algorithm: "gzip" or "deflate", to compress the request.

        Returns:
            What gives a pair of result and error for each response, one of which is None, and can
            cancel the stream.

        Raises:
            InferenceServerException: the headers can't be sent. What ends the stream later, a
                request that can't be sent for instance, is raised by the iteration.
        """
        if not hasattr(inputs_iterator, "__aiter__"):
            raise TypeError(
                f"inputs_iterator is {type(inputs_iterator).__name__}, expected an asynchronous "
                "iterator, such as an async generator"
            )
        if self._closed:
            raise self._closed_error()
        options = self._options(headers, compression_algorithm)
        timeout = seconds(stream_timeout)
        return Responses(self, self._open(options, timeout), inputs_iterator)

    async def _open(self, options: Options, timeout: float | None) -> AsyncGrpcStream:
        try:
            stream: AsyncGrpcStream = await self._transport.open(options, timeout)
            return stream
        except (InferenceServerException, RuntimeError) as error:
            raise self._failure(error, timeout) from error.__cause__
