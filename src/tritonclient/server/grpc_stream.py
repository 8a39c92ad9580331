"""One stream of inference: many requests at a time, and the answers to each as they come.

Requests are read and handed to their models in the order in which they arrive, and answered on
threads. Both ends are held back: no more is read while much is in work, and a request that has an
answer for a client that does not read waits with it, and lets its model wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeAlias

from ..codec import rpc_infer, rpc_request
from ..errors import InferenceServerException, Internal, InvalidArgument
from ..messages import Infer, InferResponse, InferStreamResponse
from .core import InferenceServer

_log = logging.getLogger(__name__)

#: Requests of one stream in work at a time, and bytes of requests unless it is only one.
_REQUESTS = 256
_BYTES = 1 << 26
#: With this in the call's metadata the first error ends the stream, and is its status.
_ERRORS_END_IT = ("triton_grpc_error", "true")

Answer: TypeAlias = "InferResponse | InferenceServerException"


class Stream:
    """Serves one call of ModelStreamInfer.

    Args:
        threads: those on which requests are answered.
        requests: the messages, as grpcio gives them.
        context: takes the answers' messages.
    """

    def __init__(
        self, server: InferenceServer, threads: Executor, requests: Any, context: Any
    ) -> None:
        self._server = server
        self._threads = threads
        self._requests = requests
        self._context = context
        self._errors_end_it = _ERRORS_END_IT in map(tuple, context.invocation_metadata() or ())
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._cancelled = threading.Event()
        self._works: dict[asyncio.Future[None], int] = {}
        self._reading = asyncio.ensure_future(self._read())
        self._end: InferenceServerException | None = None

    async def serve(self) -> None:
        """Answer all requests.

        Raises:
            InferenceServerException: what is to be the status of the call.
        """
        try:
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.result()
            while self._works and not self._cancelled.is_set():
                await asyncio.wait(self._works, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._cancelled.set()
            self._reading.cancel()
            for work in self._works:
                work.cancel()  # if it has not begun
        if self._end is not None:
            raise self._end

    def leave(self, error: InferenceServerException) -> None:
        """Read no more, and end with an error when what is in work is answered."""
        if not self._reading.done():
            self._end = error
            self._reading.cancel()

    def _fail(self, error: InferenceServerException) -> None:
        """End with an error at once."""
        self._end = error
        self._cancelled.set()
        self._reading.cancel()
        for work in self._works:
            work.cancel()

    # On the event loop

    async def _read(self) -> None:
        async for message in self._requests:
            size = len(message)
            while self._works and not self._has_room(size):
                await asyncio.wait(self._works, return_when=asyncio.FIRST_COMPLETED)
            taken = asyncio.Event()
            work = self._loop.run_in_executor(self._threads, self._work, message, taken)
            del message
            self._works[work] = size
            work.add_done_callback(self._ended)
            await taken.wait()

    def _has_room(self, size: int) -> bool:
        return len(self._works) < _REQUESTS and sum(self._works.values()) + size <= _BYTES

    def _ended(self, work: asyncio.Future[None]) -> None:
        del self._works[work]
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("a request of a stream failed in an unforeseen way", exc_info=error)
            self._fail(Internal(f"{type(error).__name__}: {error}"))

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            if not self._cancelled.is_set():
                await self._context.write(message)

    # On a thread for each request

    def _work(self, message: bytes, taken: asyncio.Event) -> None:
        try:
            id, answers = self._begin(message)
        finally:
            self._loop.call_soon_threadsafe(taken.set)
        for answer in answers:
            if isinstance(answer, InferenceServerException) and self._errors_end_it:
                self._loop.call_soon_threadsafe(self._fail, answer)
                return
            if not self._send(_message(answer, id)):
                return

    def _begin(self, message: bytes) -> tuple[str, Iterable[Answer]]:
        """Hand a request to its model; the request's id, and its answers as they come."""
        try:
            request = rpc_request.decode_request(message)
        except ValueError as error:
            unreadable = Internal(f"Unable to parse request: {error}")
            self._loop.call_soon_threadsafe(self._fail, unreadable)
            return "", ()
        except InferenceServerException as error:
            return error.request_id, (error,)
        return request.id, _answers(self._server, request, self._cancelled)

    def _send(self, message: bytes) -> bool:
        """Wait until a message is on its way; whether the client takes more."""
        if self._cancelled.is_set():
            return False
        try:
            asyncio.run_coroutine_threadsafe(self._write(message), self._loop).result()
        except Exception as error:  # grpcio's, whose classes are its own affair
            _log.debug("an answer can't be sent: %r", error)
            self._cancelled.set()
            return False
        return True


def _message(answer: Answer, id: str) -> bytes:
    try:
        if not isinstance(answer, InferenceServerException):
            response = InferStreamResponse(response=answer)
            return b"".join(rpc_infer.encode_stream_response(response))
    except ValueError as error:
        answer = InvalidArgument(str(error))
    failed = InferStreamResponse(answer.message() or "", InferResponse(id=id))
    return b"".join(rpc_infer.encode_stream_response(failed))


def _answers(
    server: InferenceServer, request: Infer, cancelled: threading.Event
) -> Iterator[Answer]:
    try:
        answer = server.handle(request, cancelled)
        yield answer._replace(parameters={**answer.parameters, "triton_final_response": True})
    except InferenceServerException as error:
        yield error
