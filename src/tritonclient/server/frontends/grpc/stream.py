"""One call of ModelStreamInfer: many requests at a time, and the responses to each.

Requests are queued to their models in the order of arrival; a thread per request then waits for
the responses. As in Triton, responses have the order of their requests, except those of decoupled
models, which are sent at once.

There is back-pressure on both sides. The stream reads no more requests while many are running or
many bytes wait to be sent. A client that does not read blocks the thread of a response, and
thereby the model.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Executor
from typing import TypeAlias

from ....codec import rpc_infer, rpc_refusals, rpc_request
from ....datatypes import Buffer
from ....engine.coding import Compressed
from ....errors import InferenceServerException, Internal, InvalidArgument
from ....messages import InferResponse, InferStreamResponse
from ....operations import NO_PARAMETERS
from ...core import InferenceServer
from ...inference import Responses, StreamItem
from ...jobs.errors import UNEXPECTED
from ..forwarding import HeaderForwarding
from ..refusals import frameless, refusal
from .call import Call
from .compression import Coder, decompressed

_log = logging.getLogger("tritonclient.server.grpc")

#: Running requests of one stream.
_REQUESTS = 256
#: Bytes of running requests and of responses that wait for their turn; one alone may be larger.
_BYTES = 1 << 26
#: Call metadata with which the first error ends the stream and becomes its status.
_ERRORS_END_STREAM = ("triton_grpc_error", "true")


#: The parts of a message, and its coding; None if it is not compressed.
Message: TypeAlias = "tuple[Sequence[Buffer], str | None]"


class _PendingRequest:
    """A running request, in the view of the event loop.

    Attributes:
        size: bytes of its message.
        cancelled: set to cancel it.
        taken: set when its model has queued it.
        turn: set when its response may be sent; None if it may be sent at any time.
        waits: True while its response waits for `turn`.
        responded: set when its response is sent, or there will be none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.cancelled = threading.Event()
        self.taken = asyncio.Event()
        self.turn: asyncio.Event | None = None
        self.waits = False
        self.responded = asyncio.Event()


class StreamCall:
    """One call of ModelStreamInfer; created and used on an event loop.

    Args:
        threads: wait for responses.
        forwarding: the headers that become parameters of each request.
        coder: compresses responses.
    """

    def __init__(
        self,
        server: InferenceServer,
        threads: Executor,
        call: Call,
        forwarding: HeaderForwarding,
        coder: Coder,
    ) -> None:
        self._server = server
        self._threads = threads
        self._call = call
        self._forwarding = forwarding
        self._coder = coder
        self._errors_end_stream = _ERRORS_END_STREAM in call.headers
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._requests: dict[asyncio.Future[None], _PendingRequest] = {}
        self._waiting: dict[asyncio.Task[None], int] = {}
        self._reading = asyncio.ensure_future(self._read())
        self._error: InferenceServerException | None = None
        self._ended = False
        self._last: asyncio.Event | None = None

    async def serve(self) -> None:
        """Respond to all requests.

        Raises:
            InferenceServerException: the status that the call must end with.
        """
        try:
            self._call.begin_response(self._coder.coding(self._call.accepted))
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.result()
            while (self._requests or self._waiting) and not self._ended:
                await self._any_done()
        finally:
            self._end()
        if self._error is not None:
            raise self._error

    def begin_shutdown(self, error: InferenceServerException) -> None:
        """Read no more requests; end with an error after the responses to the running ones."""
        if not self._reading.done():
            self._error = error
            self._reading.cancel()

    def _fail(self, error: InferenceServerException) -> None:
        """End with an error at once, unless the stream has ended."""
        if not self._ended:
            self._error = error
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._reading.cancel()
        for work, request in self._requests.items():
            request.cancelled.set()
            work.cancel()  # if it has not started
        for task in self._waiting:
            task.cancel()

    # On the event loop

    async def _read(self) -> None:
        while (message := await self._call.receive()) is not None:
            size = message.size if isinstance(message, Compressed) else len(message)
            request = _PendingRequest(size)
            while (self._requests or self._waiting) and not self._has_room(request):
                await self._any_done()
            work = self._loop.run_in_executor(self._threads, self._work, message, request)
            del message  # only the thread refers to it, as long as necessary
            self._requests[work] = request
            work.add_done_callback(self._done)
            await request.taken.wait()

    def _has_room(self, request: _PendingRequest) -> bool:
        size = request.size + sum(each.size for each in self._requests.values())
        size += sum(self._waiting.values())
        return len(self._requests) < _REQUESTS and size <= _BYTES

    async def _any_done(self) -> None:
        await asyncio.wait([*self._requests, *self._waiting], return_when=asyncio.FIRST_COMPLETED)

    def _take(self, request: _PendingRequest, decoupled: bool) -> None:
        """Read on; the response to this request follows those to earlier ones, unless decoupled."""
        if not decoupled:
            request.turn, self._last = self._last, request.responded
        request.taken.set()

    def _done(self, work: asyncio.Future[None]) -> None:
        request = self._requests.pop(work)
        if not request.waits:
            request.responded.set()
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("a request of a stream failed in an unforeseen way", exc_info=error)
            self._fail(Internal(UNEXPECTED))

    async def _send_in_turn(self, request: _PendingRequest, message: Message) -> bool:
        """Send a response, or keep it until its turn; return False if the stream has ended."""
        if request.turn is None or request.turn.is_set():
            await self._write(message)
        else:
            # It is the only response to its request, so no thread has to wait with it.
            request.waits = True
            task = asyncio.ensure_future(self._write_later(request, request.turn, message))
            self._waiting[task] = sum(map(len, message[0]))
            task.add_done_callback(self._waiting.pop)
        return not self._ended

    async def _write_later(
        self, request: _PendingRequest, turn: asyncio.Event, message: Message
    ) -> None:
        try:
            await turn.wait()
            await self._write(message)
        finally:
            request.responded.set()

    async def _write(self, message: Message) -> None:
        async with self._writing:
            if self._ended:
                return
            await self._call.write(*message)
            if self._call.over:
                self._end()  # the client disconnected

    # On a thread for each request

    def _work(self, message: Buffer | Compressed, request: _PendingRequest) -> None:
        id, responses = self._begin(message, request)
        for response in responses:
            if isinstance(response, InferenceServerException):
                frameless(response)
                if self._errors_end_stream:
                    self._loop.call_soon_threadsafe(self._fail, response)
                    return
            final = isinstance(responses, Responses) and responses.ended
            encoded = self._coder.compressed(_encode(response, id, final), self._call.accepted)
            if not self._send(request, encoded):
                return

    def _begin(
        self, message: Buffer | Compressed, request: _PendingRequest
    ) -> tuple[str, Iterable[StreamItem]]:
        """Queue a request to its model; return the request id and the responses."""
        decoupled = False
        try:
            message = decompressed(message)
        except InferenceServerException as error:
            self._loop.call_soon_threadsafe(self._fail, error)
            self._loop.call_soon_threadsafe(self._take, request, decoupled)
            return "", ()
        try:
            infer = rpc_request.decode_request(message)
            infer = self._forwarding.apply(infer, self._call.headers)
            responses = self._server.stream(infer, request.cancelled, self._call.peer)
            decoupled = responses.decoupled
            return infer.id, responses
        except ValueError as error:
            unreadable = Internal(rpc_refusals.unparsable(error))
            self._loop.call_soon_threadsafe(self._fail, unreadable)
            return "", ()
        except InferenceServerException as error:
            model = rpc_request.model_of(message)
            return error.request_id, (refusal(self._server, error, model),)
        finally:
            self._loop.call_soon_threadsafe(self._take, request, decoupled)

    def _send(self, request: _PendingRequest, message: Message) -> bool:
        """Wait until a response is sent or waits for its turn; return False to stop."""
        if request.cancelled.is_set():
            return False
        sending = asyncio.run_coroutine_threadsafe(self._send_in_turn(request, message), self._loop)
        try:
            return sending.result()
        except CancelledError:  # the server is stopping
            return False


def _encode(response: StreamItem, id: str, final: bool) -> Sequence[Buffer]:
    """Return the message of a response, in parts.

    Args:
        id: the id of the request.
        final: True if no response follows.
    """
    try:
        if not isinstance(response, InferenceServerException):
            whole = InferStreamResponse(response=response)
            return tuple(rpc_infer.encode_stream_response(whole))
    except ValueError as error:
        response = InvalidArgument(str(error))
    # As in Triton, only errors of models have parameters, not those of refused requests.
    parameters = {"triton_final_response": final} if response.model else NO_PARAMETERS
    rest = InferResponse(response.model, id=id, parameters=parameters)
    failed = InferStreamResponse(response.message() or "", rest)
    return tuple(rpc_infer.encode_stream_response(failed))
