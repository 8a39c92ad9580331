"""One stream of inference: many requests at a time, and the responses to each as they come.

Requests are put to their models in the order in which they arrive; each then has a thread that
waits for its responses. Like Triton, a stream gives responses in the order of their requests, but
for those of decoupled models, which come when they come.

Both ends are held back: no more is read while much is in work or waits for its turn, and a
response for a client that does not read waits, and lets its model wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Iterable
from concurrent.futures import CancelledError, Executor
from typing import Any

from ..codec import rpc_infer, rpc_request
from ..errors import InferenceServerException, Internal, InvalidArgument
from ..messages import NO_PARAMETERS, InferResponse, InferStreamResponse
from .core import InferenceServer
from .extras import optional_import
from .inference import Responses, StreamItem

with optional_import("grpcio"):
    import grpc.aio

_log = logging.getLogger(__name__)

#: Requests of one stream in work at a time.
_REQUESTS = 256
#: Bytes of these, and of responses that wait for their turn, unless there is only one.
_BYTES = 1 << 26
#: Seconds that grpcio takes at most to notice that a client is gone.
_NOTICING = 1
#: With this in the call's metadata the first error ends the stream, and is its status.
_ERRORS_END_IT = ("triton_grpc_error", "true")


async def told(operation: Awaitable[None]) -> None:
    """Await what tells a client something; when the client is gone, until the call is cancelled.

    grpcio would log the failed operation. It notices by itself that a client is gone, and cancels
    the call then, but now and then a moment later.
    """
    try:
        await operation
    except grpc.aio.AbortError:
        raise
    except grpc.aio.BaseError:
        await asyncio.sleep(_NOTICING)
        raise


class _Request:
    """A request in work, as the event loop knows it.

    Attributes:
        size: bytes of its message.
        cancelled: set when nobody wants its responses any more.
        taken: set when its model has it.
        turn: set when it may be answered, or None when it may at any time.
        waits: whether its response waits for that.
        answered: set when its response is sent, or there will be none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.cancelled = threading.Event()
        self.taken = asyncio.Event()
        self.turn: asyncio.Event | None = None
        self.waits = False
        self.answered = asyncio.Event()


class Stream:
    """Serves one call of ModelStreamInfer; made and used on an event loop.

    Args:
        threads: those on which responses are waited for.
        messages: the requests' messages, as grpcio gives them.
        context: takes the responses' messages.
    """

    def __init__(
        self, server: InferenceServer, threads: Executor, messages: Any, context: Any
    ) -> None:
        self._server = server
        self._threads = threads
        self._messages = messages
        self._context = context
        self._errors_end_it = _ERRORS_END_IT in map(tuple, context.invocation_metadata() or ())
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._open = asyncio.Event()
        self._requests: dict[asyncio.Future[None], _Request] = {}
        self._waiting: dict[asyncio.Task[None], int] = {}
        self._reading = asyncio.ensure_future(self._read())
        self._error: InferenceServerException | None = None
        self._ended = False
        self._last: asyncio.Event | None = None

    async def serve(self) -> None:
        """Answer all requests.

        Raises:
            InferenceServerException: what is to be the status of the call.
        """
        try:
            # At first, because grpcio can't end a call while it sends this with a response; nor can
            # it send a response, which would bring this too, while this is on its way.
            await told(self._context.send_initial_metadata(()))
            self._open.set()
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.result()
            while (self._requests or self._waiting) and not self._ended:
                await self._any_done()
        finally:
            self._end()
        if self._error is not None:
            raise self._error

    def leave(self, error: InferenceServerException) -> None:
        """Read no more, and end with an error when what is in work is answered."""
        if not self._reading.done():
            self._error = error
            self._reading.cancel()

    def _fail(self, error: InferenceServerException) -> None:
        """End with an error at once, unless the end has come already."""
        if not self._ended:
            self._error = error
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._reading.cancel()
        for work, request in self._requests.items():
            request.cancelled.set()
            work.cancel()  # if it has not begun
        for task in self._waiting:
            task.cancel()

    # On the event loop

    async def _read(self) -> None:
        await self._open.wait()
        async for message in self._messages:
            request = _Request(len(message))
            while (self._requests or self._waiting) and not self._has_room(request):
                await self._any_done()
            work = self._loop.run_in_executor(self._threads, self._work, message, request)
            del message  # the thread alone keeps it, as long as it is needed
            self._requests[work] = request
            work.add_done_callback(self._done)
            await request.taken.wait()

    def _has_room(self, request: _Request) -> bool:
        size = request.size + sum(each.size for each in self._requests.values())
        size += sum(self._waiting.values())
        return len(self._requests) < _REQUESTS and size <= _BYTES

    async def _any_done(self) -> None:
        await asyncio.wait([*self._requests, *self._waiting], return_when=asyncio.FIRST_COMPLETED)

    def _take(self, request: _Request, decoupled: bool) -> None:
        """Read on, and let a request be answered behind the last one."""
        if not decoupled:
            request.turn, self._last = self._last, request.answered
        request.taken.set()

    def _done(self, work: asyncio.Future[None]) -> None:
        request = self._requests.pop(work)
        if not request.waits:
            request.answered.set()
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("a request of a stream failed in an unforeseen way", exc_info=error)
            self._fail(Internal(f"{type(error).__name__}: {error}"))

    async def _give(self, request: _Request, message: bytes) -> bool:
        """Send a response, or let it wait for its turn; whether the stream takes more."""
        if request.turn is None or request.turn.is_set():
            await self._write(message)
        else:
            # No thread has to wait with it, since it is the only response to its request.
            request.waits = True
            task = asyncio.ensure_future(self._write_later(request, request.turn, message))
            self._waiting[task] = len(message)
            task.add_done_callback(self._waiting.pop)
        return not self._ended

    async def _write_later(self, request: _Request, turn: asyncio.Event, message: bytes) -> None:
        try:
            await turn.wait()
            await self._write(message)
        finally:
            request.answered.set()

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            if self._ended:
                return
            try:
                await self._context.write(message)
            except grpc.aio.BaseError as error:
                _log.debug("a response could not be sent: %r", error)
                self._end()  # the client is gone

    # On a thread for each request

    def _work(self, message: bytes, request: _Request) -> None:
        id, responses = self._begin(message, request)
        for response in responses:
            if isinstance(response, InferenceServerException) and self._errors_end_it:
                self._loop.call_soon_threadsafe(self._fail, response)
                return
            final = isinstance(responses, Responses) and responses.ended
            if not self._send(request, _encode(response, id, final)):
                return

    def _begin(self, message: bytes, request: _Request) -> tuple[str, Iterable[StreamItem]]:
        """Put a request to its model; the request's id, and its responses as they come."""
        decoupled = False
        try:
            infer = rpc_request.decode_request(message)
            responses = self._server.stream(infer, request.cancelled)
            decoupled = responses.decoupled
            return infer.id, responses
        except ValueError as error:
            unreadable = Internal(f"Unable to parse request: {error}")
            self._loop.call_soon_threadsafe(self._fail, unreadable)
            return "", ()
        except InferenceServerException as error:
            return error.request_id, (error,)
        finally:
            self._loop.call_soon_threadsafe(self._take, request, decoupled)

    def _send(self, request: _Request, message: bytes) -> bool:
        """Wait until a response is on its way, or waits for its turn; whether to go on."""
        if request.cancelled.is_set():
            return False
        giving = asyncio.run_coroutine_threadsafe(self._give(request, message), self._loop)
        try:
            return giving.result()
        except CancelledError:  # the server ends
            return False


def _encode(response: StreamItem, id: str, final: bool) -> bytes:
    """The message of a response to the request with this id."""
    try:
        if not isinstance(response, InferenceServerException):
            whole = InferStreamResponse(response=response)
            return b"".join(rpc_infer.encode_stream_response(whole))
    except ValueError as error:
        response = InvalidArgument(str(error))
    # Triton says more of an error that came from a model than of a request that was refused.
    parameters = {"triton_final_response": final} if response.model else NO_PARAMETERS
    answer = InferResponse(response.model, id=id, parameters=parameters)
    failed = InferStreamResponse(response.message() or "", answer)
    return b"".join(rpc_infer.encode_stream_response(failed))
