"""`AsyncInferStream`: a stream of inferences on asyncio; see `blocking_stream` for its twin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ..call_log import StreamRecord
from ..errors import Cancelled, InferenceServerException
from ..transport.call import AsyncGrpcStream
from .blocking_stream import StreamRequest, message_of, no_more_requests, result_of
from .requests import request as make_request
from .results import InferResult
from .signatures import explains_arguments, explains_missing
from .suggestions import STREAM_NAMES, by_keyword, no_attribute, not_picklable

if TYPE_CHECKING:
    from typing_extensions import Never, Self

Requests: TypeAlias = "Iterable[StreamRequest] | AsyncIterable[StreamRequest]"


@explains_arguments
class AsyncInferStream(AsyncIterator[InferResult]):
    """The responses of a stream as they are received; see `InferStream`.

    The stream is opened when something is first asked of it. One task may send while another
    iterates:

        async for response in client.stream("repeat_int32", inputs): ...
    """

    def __init__(
        self,
        open: Callable[[], Awaitable[AsyncGrpcStream]],
        url: str,
        response_timeout: float | None,
        requests: Requests | None,
        explain: Callable[[InferenceServerException], Awaitable[None]],
    ) -> None:
        if isinstance(requests, (list, tuple)):
            for request in requests:
                message_of(request)  # refused before anything is sent
        self._open = open
        self._url = url
        self._timeout = response_timeout
        self._explain = explain
        self._complete = "" if requests is None else "than those that stream() was given"
        self._requests = requests
        self._grpc_stream: AsyncGrpcStream | None = None
        self._opening: asyncio.Lock | None = None
        self._sender: asyncio.Task[None] | None = None
        self._record = StreamRecord(url)
        self._failures: list[BaseException] = []  # of taking the next request
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.cancel()

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        def __enter__(self) -> NoReturn:
            raise TypeError("this stream is on asyncio: use `async with`, or Client")

        def __exit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""

        def __iter__(self) -> NoReturn:
            raise TypeError("this stream is on asyncio: use `async for`, or Client")

        __next__ = __iter__

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, STREAM_NAMES)

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it is a call", "pass its results, or open one in each process")

    def __del__(self) -> None:
        if getattr(self, "_grpc_stream", None) is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.cancel()

    async def _opened(self) -> AsyncGrpcStream:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._grpc_stream is None:
                if self._closed:
                    raise Cancelled("the stream was cancelled")
                self._grpc_stream = await self._open()
                if self._requests is not None:
                    sending = _send_all(self._grpc_stream, self._requests, self._failures)
                    self._sender = asyncio.ensure_future(sending)
        return self._grpc_stream

    async def __anext__(self) -> InferResult:
        try:
            stream = self._grpc_stream or await self._opened()
            message = await stream.receive(self._timeout)
        except InferenceServerException as error:
            error.endpoint = self._url
            self._record.end(error)
            if self._failures:
                raise self._failures.pop() from None
            await self._explain(error)
            raise
        if message is None:
            self._record.end()
            raise StopAsyncIteration
        result = result_of(message, self._url, self._record)
        if isinstance(result, InferResult):
            return result
        await self._explain(result)
        try:
            raise result
        finally:
            del result  # it refers to this frame, which would be a circle

    @explains_missing
    async def send(
        self, model: str, inputs: Mapping[str, Any], *surplus: Never, **options: Any
    ) -> None:
        """Send a request; see `InferStream.send`."""
        if surplus:
            raise by_keyword(surplus, AsyncInferStream.send)
        if self._complete:
            raise no_more_requests(self._complete)
        stream = self._grpc_stream or await self._opened()
        await stream.send(message_of(make_request(model, inputs, **options)))

    async def end(self) -> None:
        """Half-close the stream; it ends with the last response."""
        self._complete = self._complete or "after end()"
        if self._closed:
            return
        stream = self._grpc_stream or await self._opened()
        await stream.end()

    def cancel(self) -> None:
        """End the stream at once; harmless when it has ended."""
        self._closed = True
        self._complete = "after cancel(), which the end of its `with` block calls as well"
        if self._sender is not None:
            self._sender.cancel()
        if self._grpc_stream is not None:
            if not self._grpc_stream.ended:
                self._grpc_stream.cancel()
            self._record.end("Cancelled")


async def _send_all(
    stream: AsyncGrpcStream, requests: Requests, failures: list[BaseException]
) -> None:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                await stream.send(message_of(request))
                if stream.ended:
                    return
        else:
            for request in requests:
                await stream.send(message_of(request))
                if stream.ended:
                    return
        await stream.end()
    except InferenceServerException:
        pass  # the receiver gets the error as well
    except Exception as error:
        failures.append(error)
        stream.cancel()
