"""`AsyncInferStream`: a stream of inferences, awaited; the twin of `streaming.InferStream`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..datatypes import Buffer
from ..errors import InferenceServerException
from .blocking_stream import StreamRequest, message_of, result_of
from .inference import InferResult
from .inference import request as make_request

if TYPE_CHECKING:
    from typing_extensions import Self

Requests: TypeAlias = "Iterable[StreamRequest] | AsyncIterable[StreamRequest]"


class Duplex(Protocol):
    """A stream as a transport on asyncio gives it."""

    @property
    def ended(self) -> bool: ...

    async def send(self, message: tuple[Buffer, ...]) -> None: ...
    async def end(self) -> None: ...
    async def receive(self, timeout: float | None = None) -> Buffer | None: ...
    def cancel(self, error: InferenceServerException | None = None) -> None: ...


class AsyncInferStream(AsyncIterator[InferResult]):
    """The responses of a stream as they come; see `streaming.InferStream`.

    The stream is opened when something is first asked of it. One task may send while another
    iterates:

        async for response in client.stream("repeat_int32", inputs): ...
    """

    def __init__(
        self,
        open: Callable[[], Awaitable[Duplex]],
        url: str,
        response_timeout: float | None,
        requests: Requests | None = None,
    ) -> None:
        if isinstance(requests, (list, tuple)):
            for request in requests:
                message_of(request)  # refused before anything is sent
        self._open = open
        self._url = url
        self._timeout = response_timeout
        self._requests = requests
        self._duplex: Duplex | None = None
        self._opening: asyncio.Lock | None = None
        self._feeder: asyncio.Task[None] | None = None
        self._failures: list[BaseException] = []  # of taking the next request
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.cancel()

    def __del__(self) -> None:
        if getattr(self, "_duplex", None) is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.cancel()

    async def _opened(self) -> Duplex:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._duplex is None:
                if self._closed:
                    raise RuntimeError("the stream is closed")
                self._duplex = await self._open()
                if self._requests is not None:
                    feeding = _feed(self._duplex, self._requests, self._failures)
                    self._feeder = asyncio.ensure_future(feeding)
        return self._duplex

    async def __anext__(self) -> InferResult:
        duplex = self._duplex or await self._opened()
        try:
            message = await duplex.receive(self._timeout)
        except InferenceServerException as error:
            error.endpoint = self._url
            if self._failures:
                raise self._failures.pop() from None
            raise
        if message is None:
            raise StopAsyncIteration
        result = result_of(message, self._url)
        if isinstance(result, InferResult):
            return result
        raise result

    async def send(self, model: str, inputs: Mapping[str, Any], **options: Any) -> None:
        """Send a request; see `InferStream.send`."""
        duplex = self._duplex or await self._opened()
        await duplex.send(message_of(make_request(model, inputs, **options)))

    async def end(self) -> None:
        """Tell the server that no more requests will come."""
        duplex = self._duplex or await self._opened()
        await duplex.end()

    def cancel(self) -> None:
        """End the stream at once; harmless when it has ended."""
        self._closed = True
        if self._feeder is not None:
            self._feeder.cancel()
        if self._duplex is not None and not self._duplex.ended:
            self._duplex.cancel()


async def _feed(duplex: Duplex, requests: Requests, failures: list[BaseException]) -> None:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                await duplex.send(message_of(request))
                if duplex.ended:
                    return
        else:
            for request in requests:
                await duplex.send(message_of(request))
                if duplex.ended:
                    return
        await duplex.end()
    except InferenceServerException:
        pass  # the receiver gets the error as well
    except Exception as error:
        failures.append(error)
        duplex.cancel()
