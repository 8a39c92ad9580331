"""Calls through a stub of grpcio that a program has set: `client._client_stub = ...`.

Programs that bring a channel of their own, for load balancing for instance, set `_channel` and
`_client_stub` of a client, often without calling its `__init__`. Tests set a mock.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from ..codec import rpc
from ..datatypes import Buffer
from ..errors import InferenceServerException
from ..transport.call import Options
from ..transport.grpc_call import GrpcCall, metadata
from ._calls import InferCall
from ._errors import get_cancelled_error, get_error_grpc
from ._infer_result import InferResult
from ._infer_stream import Callback, _StubStream, call_back
from ._utils import _grpc_compression_type

T = TypeVar("T")


class _StubTransport:
    """Interface of both transports."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def _begin(self, call: GrpcCall[Any], timeout: float | None, future: bool = False) -> Any:
        """Call the procedure; return the response, or an awaitable of it."""
        method = call.path.rpartition("/")[2]
        message = rpc.parse(f"{method}Request", call.message())
        options = {
            "metadata": call.metadata,
            "timeout": timeout,
            "compression": _grpc_compression_type(call.coding),
        }
        procedure = getattr(self._client._client_stub, method)
        return (procedure.future if future else procedure)(request=message, **options)

    def _begin_stream(self, requests: Any, options: Options, timeout: float | None) -> Any:
        return self._client._client_stub.ModelStreamInfer(
            requests,
            metadata=metadata(options.headers),
            timeout=timeout,
            compression=_grpc_compression_type(options.request_compression),
        )


def _response(call: GrpcCall[T], response: Any) -> T:
    # A mock's response is no message, so it is given as it is.
    given: Any = InferResult(response) if isinstance(call, InferCall) else response
    result: T = given
    return result


class _StubFuture(Future[Any]):
    """The future of a response, whose call grpcio cancels."""

    def __init__(self, sent: Any) -> None:
        super().__init__()
        self.sent = sent

    def cancel(self) -> bool:
        """Cancel the call, which then ends with the error of a cancelled one."""
        return bool(self.sent.cancel())


class StubTransport(_StubTransport):
    """Sends requests through a client's stub."""

    def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response."""
        import grpc

        try:
            return _response(call, self._begin(call, timeout))
        except grpc.RpcError as error:
            raise get_error_grpc(error) from None

    def open(self, options: Options, timeout: float | None = None) -> Any:
        """Open a stream of inferences (ModelStreamInfer)."""
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        responses = self._begin_stream(_requests(requests), options, timeout)
        return _StubStream(responses, requests)

    def submit(
        self, client: Any, call: GrpcCall[Any], timeout: float | None, callback: Callback
    ) -> Any:
        """Send a request without waiting for its response; returns a future of it."""
        import grpc

        started = monotonic()

        def settle(sent: Any) -> None:
            try:
                result = _response(call, sent.result())
            except grpc.FutureCancelledError:
                error = get_cancelled_error()
            except grpc.RpcError as failure:
                error = get_error_grpc(failure)
            else:
                client._record(call, started)
                future.set_result(result)
                call_back(callback, result, None)
                return
            client._record(call, started, error)
            future.set_exception(error)
            call_back(callback, None, error)

        future = _StubFuture(self._begin(call, timeout, future=True))
        future.sent.add_done_callback(settle)
        return future

    def close(self) -> None:
        """Do nothing: the channel is closed by the client."""

    abort = close


def _requests(waiting: queue.SimpleQueue[Any]) -> Iterator[Any]:
    while (request := waiting.get()) is not None:
        yield request


class AsyncStubTransport(_StubTransport):
    """Sends requests through a client's stub of `grpc.aio`."""

    async def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response."""
        import grpc

        try:
            return _response(call, await self._begin(call, timeout))
        except grpc.RpcError as error:
            raise get_error_grpc(error) from None

    async def open(self, options: Options, timeout: float | None = None) -> _AsyncStubStream:
        """Open a stream of inferences (ModelStreamInfer)."""
        requests: asyncio.Queue[Any] = asyncio.Queue()
        responses = self._begin_stream(_async_requests(requests), options, timeout)
        return _AsyncStubStream(responses, requests)

    async def close(self) -> None:
        """Do nothing: the channel is closed by the client."""


async def _async_requests(waiting: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while (request := await waiting.get()) is not None:
        yield request


class _AsyncStubStream:
    """A stream on a stub of `grpc.aio`, in place of one of our own."""

    def __init__(self, responses: Any, requests: asyncio.Queue[Any]) -> None:
        self._call = responses
        self._responses = aiter(responses)
        self._requests = requests
        self.ended = False

    async def send(self, message: Sequence[Buffer]) -> None:
        self._requests.put_nowait(rpc.parse("ModelInferRequest", b"".join(message)))

    async def end(self) -> None:
        self._requests.put_nowait(None)

    async def receive(self, timeout: float | None = None) -> Buffer | None:
        import grpc

        try:
            response = await anext(self._responses, None)
        except grpc.RpcError as error:
            self.ended = True
            raise get_error_grpc(error) from None
        if response is None:
            self.ended = True
            return None
        message: bytes = response.SerializeToString()
        return message

    def cancel(self, error: InferenceServerException | None = None) -> None:
        self.ended = True
        self._call.cancel()
