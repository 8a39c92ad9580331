"""`Call`: one call of a client, as its handler sees it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from ....codec.rpc_status import code_of
from ....datatypes import Buffer
from ....engine.coding import Compressed
from ....engine.http2_server import Http2Server
from ....engine.served_stream import ServedStream
from ....errors import DeadlineExceeded, InferenceServerException, Internal
from ...jobs.errors import UNEXPECTED

_log = logging.getLogger("tritonclient.server.grpc")

#: Longest status message in bytes, so that the trailers fit the limits of clients.
_DETAILS = 4000


class Connection(Protocol):
    """What a call needs of its connection.

    Attributes:
        peer: the address of the client, such as "127.0.0.1:4711"; "" if it has none.
    """

    peer: str
    engine: Http2Server

    def schedule(self) -> None:
        """Send what there is to send."""


class Call:
    """One call. For use on the event loop, but for `cancelled`.

    Attributes:
        path: of the method, such as "/package.Service/Method".
        accepted: codings that the client can read.
        peer: the address of the client.
        cancelled: set when the call ends before its response is sent.
        on_end: called once, when the call is over.
    """

    __slots__ = (
        "_connection", "_on_request", "_reader", "_room", "_stream", "_timer", "accepted",
        "cancelled", "on_end", "path", "peer",
    )  # fmt: skip

    def __init__(self, connection: Connection, stream: ServedStream) -> None:
        head = stream.head
        self.path, self.accepted = head.path, head.accepted
        self.peer = connection.peer
        self.cancelled = threading.Event()
        self._on_request: Callable[[], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self._connection = connection
        self._stream = stream
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        stream.notify = self._notified
        if head.timeout is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(head.timeout, self._late)

    # What comes

    @property
    def headers(self) -> Iterator[tuple[str, str | bytes]]:
        """The metadata of the request."""
        return self._stream.head.metadata()

    @property
    def over(self) -> bool:
        """True if the call has ended."""
        return self._stream.result is not None

    def expect_message(self, on_request: Callable[[], None]) -> None:
        """Call a function once when the only message of the request has come."""
        self._on_request = on_request
        self._stream.single = True

    def take(self) -> Buffer | Compressed:
        """Return the next message that has come."""
        return self._stream.take_as_it_came()

    async def receive(self) -> Buffer | Compressed | None:
        """Return the next message; None if no more comes."""
        stream = self._stream
        while not stream.messages and not stream.half_closed and not self.over:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if not stream.messages or self.over:
            return None
        message = stream.take_as_it_came()
        self._connection.schedule()  # the window may have been opened
        return message

    def _notified(self, stream: ServedStream) -> None:
        """Handle that a message has come, that all of the request has, or that the call is over."""
        _wake(self._reader)
        if stream.result is not None:
            self._end()
        elif stream.half_closed and self._on_request is not None:
            on_request, self._on_request = self._on_request, None
            if len(stream.messages) == 1:
                self.guarded(on_request)
            else:
                count = len(stream.messages)
                self.abort(Internal(f"the request has {count} messages, expected one"))

    def _end(self) -> None:
        self._stream.notify = None  # which refers to this, a circle
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._stream.responded:
            self.cancelled.set()
        _wake(self._room)
        on_end, self.on_end, self._on_request = self.on_end, None, None
        if on_end is not None:
            on_end()

    def guarded(self, work: Callable[[], object]) -> None:
        """Do something for this call; an unforeseen error ends it."""
        try:
            work()
        except Exception:
            self.failed()

    def serve(self, work: Callable[[Call], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine until the call is over; an unforeseen error of it ends the call."""
        task = asyncio.ensure_future(self._serve(work))
        forget = self.on_end

        def end() -> None:
            task.cancel()
            if forget is not None:
                forget()

        self.on_end = end

    async def _serve(self, work: Callable[[Call], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(self)
        except Exception:
            self.failed()

    def failed(self) -> None:
        """End the call with the exception that is being handled, which nobody foresaw."""
        _log.exception("a call of %s failed in an unforeseen way", self.path)
        self.abort(Internal(UNEXPECTED))

    def _late(self) -> None:
        self.abort(DeadlineExceeded("Deadline Exceeded"))

    # What is sent; harmless when the call is over

    def respond(self, message: Sequence[Buffer], coding: str | None = None) -> None:
        """Send the only message of the response, and end the call.

        Args:
            coding: how the message is compressed, None if it is not.
        """
        self._connection.engine.respond(self._stream, message, coding)
        self._connection.schedule()

    def begin_response(self, coding: str | None = None) -> None:
        """Send the headers of the response."""
        self._connection.engine.begin_response(self._stream, coding)
        self._connection.schedule()

    async def write(self, message: Sequence[Buffer], coding: str | None = None) -> None:
        """Send one of several messages; return when there is room for more, or the call is over."""
        self._connection.engine.send_message(self._stream, message, coding)
        self._connection.schedule()
        if not self._stream.has_room:
            self._room = asyncio.get_running_loop().create_future()
            self._stream.on_room = partial(_wake, self._room)
            await self._room

    def end(self, error: InferenceServerException | None = None) -> None:
        """End the call behind its messages, with success or the status of an error."""
        code, text = (0, "") if error is None else _status(error)
        self._connection.engine.end(self._stream, code, text)
        self._connection.schedule()

    def abort(self, error: InferenceServerException) -> None:
        """End the call with an error at once, without the messages that wait to be sent."""
        self._connection.engine.abort(self._stream, *_status(error))
        self._connection.schedule()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _status(error: InferenceServerException) -> tuple[int, str]:
    """Return the code of an error and its message, cut to the size that clients accept."""
    text, size = error.message() or "", 0
    for index, character in enumerate(text):
        # Other characters are percent-encoded, three characters a byte.
        size += 1 if " " <= character <= "~" else 3 * len(character.encode(errors="replace"))
        if size > _DETAILS:
            return code_of(error), text[:index] + "..."
    return code_of(error), text
