"""The generate extension: one response as JSON, or each as a server-sent event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ....codec import generate, rest
from ....codec.generate import Generate
from ....errors import InferenceServerException, InvalidArgument, Unavailable
from ...core import InferenceServer
from ...inference import FINAL, Responses, StreamItem, plain_inference

_NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that "
    "generates various number of responses"
)
_JSON = {"Content-Type": "application/json"}
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
#: Triton's status for an error of a model, whatever its kind.
_FAILED = 400


def respond(
    server: InferenceServer, request: Generate, cancelled: threading.Event, peer: str
) -> rest.HttpResponse | EventStream:
    """Return the response, or the stream of events whose first is there.

    Args:
        cancelled: set to cancel the request.
        peer: the client's address.

    Raises:
        ServerError: the request is refused.
    """
    info = server.model_info(request.model, request.version)
    # As in Triton, headers are not forwarded.
    responses = server.stream(plain_inference(info, request), cancelled, peer)
    first = next(responses, None)
    if responses.refused and isinstance(first, InferenceServerException):
        raise first
    if request.stream:
        return EventStream(first, responses, cancelled)
    if first is None or next(responses, None) is not None:
        responses.close()
        body = rest.encode_error(InvalidArgument(_NOT_ONE)).body
    else:
        body = (_text(first),)
    # As in Triton, the first response decides about the status, also when there are others.
    return rest.HttpResponse(_status(first), _JSON, body)


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
        responses: those that follow it.
        cancelled: the request's cancel flag.

    Attributes:
        status: of the HTTP response.
    """

    def __init__(
        self, first: StreamItem | None, responses: Responses, cancelled: threading.Event
    ) -> None:
        self.status = _status(first)
        self._first = first
        self._responses = responses
        self._cancelled = cancelled

    async def send(
        self,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        in_thread: Callable[[Callable[[], bytes | None]], Awaitable[bytes | None]],
    ) -> None:
        """Send the events as an ASGI response; cancel the request when the client disconnects.

        Args:
            in_thread: calls a function that waits, on a thread.
        """
        await send({"type": "http.response.start", "status": self.status, "headers": [_EVENTS]})
        leaving = asyncio.ensure_future(receive())  # after the body, it can only be a disconnect
        leaving.add_done_callback(self._left)
        try:
            event = None if self._first is None else generate.event(_text(self._first))
            while event is not None and not self._cancelled.is_set():
                await send({"type": "http.response.body", "body": event, "more_body": True})
                event = await in_thread(self._next)
            last = b""
        except asyncio.CancelledError:  # by the listener
            self._cancelled.set()
            last = generate.event(_text(Unavailable("the server is shutting down")))
        finally:
            leaving.cancel()
            self._responses.close()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _left(self, leaving: asyncio.Future[Any]) -> None:
        if not leaving.cancelled():
            self._cancelled.set()

    def _next(self) -> bytes | None:
        item = next(self._responses, None)
        return None if item is None else generate.event(_text(item))
