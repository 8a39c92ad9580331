"""The generate extension: one response as JSON, or each as a server-sent event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from ....codec import generate, rest
from ....codec.generate import Generate
from ....errors import InferenceServerException, Unavailable
from ...core import InferenceServer
from ...inference import FINAL, StreamItem, plain_inference
from ...jobs.errors import as_server_error

_NOT_ONE = (
    b'{"error":"generate expects model to produce exactly 1 response, use generate stream for '
    b'model that generates various number of responses"}'
)
_JSON = {"Content-Type": "application/json"}
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
#: Calls a function on a thread.
InThread: TypeAlias = Callable[[Callable[[], "StreamItem | None"]], Awaitable["StreamItem | None"]]
#: Triton's status for an error of a model, whatever its kind.
_FAILED = 400


class Generation:
    """A request in execution, and the responses to it for a coroutine.

    No thread waits for the model: there may be more requests than threads.

    Args:
        cancelled: set to cancel the request.
        peer: the client's address.
        loop: the event loop of the coroutine; this itself is made on a thread.

    Raises:
        ServerError: the request is refused.
    """

    def __init__(
        self,
        server: InferenceServer,
        request: Generate,
        cancelled: threading.Event,
        peer: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        info = server.model_info(request.model, request.version)
        # As in Triton, headers are not forwarded.
        try:
            infer = plain_inference(info, request)
        except InferenceServerException:
            raise
        except Exception as error:
            raise as_server_error(error) from error
        self._stream = request.stream
        self._loop = loop
        self._arrived = asyncio.Event()
        self.cancelled = cancelled
        self._responses = server.stream(infer, cancelled, peer, self._notify)

    def _notify(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._arrived.set)

    def cancel(self) -> None:
        """Cancel the request, on the event loop; `next` returns at once."""
        self.cancelled.set()
        self._arrived.set()

    def close(self) -> None:
        """Cancel the request, unless it has ended, and stop reading."""
        self._responses.close()

    async def respond(self, in_thread: InThread) -> rest.HttpResponse | EventStream:
        """Return the response, or the stream of events whose first is there.

        Args:
            in_thread: calls a function on a thread.
        """
        try:
            first = await self.next(in_thread)
            if self._responses.refused and isinstance(first, InferenceServerException):
                return rest.encode_error(first)
            if self._stream:
                return EventStream(first, self)
            more = first is None or await self.next(in_thread) is not None
        except BaseException:
            self.close()
            raise
        self.close()
        text = _NOT_ONE if first is None or more else _text(first)
        # As in Triton, the first response decides about the status, also when there are others.
        return rest.HttpResponse(_status(first), _JSON, (text,))

    async def next(self, in_thread: InThread) -> StreamItem | None:
        """Return the next response; None if there is none, or the request is cancelled."""
        while self._responses.waits:
            self._arrived.clear()
            if self._responses.waits:
                await self._arrived.wait()
        if self.cancelled.is_set():
            return None
        return await in_thread(lambda: next(self._responses, None))


def _status(first: StreamItem | None) -> int:
    return _FAILED if isinstance(first, InferenceServerException) else 200


def _text(item: StreamItem) -> bytes:
    """Return the JSON of a response or an error."""
    if isinstance(item, InferenceServerException):
        return b"".join(rest.encode_error(item).body)
    return generate.encode_response(item, hidden=FINAL)


class EventStream:
    """The responses to a request as server-sent events, one at a time, so that a slow client slows
    the model.

    Args:
        first: the first response, which decides about the status; None if there is none.
        generation: gives those that follow it.

    Attributes:
        status: of the HTTP response.
    """

    def __init__(self, first: StreamItem | None, generation: Generation) -> None:
        self.status = _status(first)
        self._first = first
        self._generation = generation

    async def send(
        self,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        in_thread: InThread,
    ) -> None:
        """Send the events as an ASGI response; cancel the request when the client disconnects."""
        generation = self._generation
        leaving = asyncio.ensure_future(receive())  # after the body, it can only be a disconnect
        leaving.add_done_callback(lambda task: None if task.cancelled() else generation.cancel())
        last = b""
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": [_EVENTS]})
            item = self._first
            while item is not None:
                event = generate.event(_text(item))
                await send({"type": "http.response.body", "body": event, "more_body": True})
                item = await generation.next(in_thread)
        except asyncio.CancelledError:  # by the listener
            generation.cancel()
            last = generate.event(_text(Unavailable("the server is shutting down")))
        finally:
            leaving.cancel()
            generation.close()
        await send({"type": "http.response.body", "body": last, "more_body": False})
