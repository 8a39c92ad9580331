"""The handlers between connections of gRPC and `InferenceServer`.

Requests are decoded, handled and encoded on a thread pool, so a slow model delays no other request.
What costs less than a change of threads is done on the event loop: methods that only read some
state of the server, and the beginning and the end of small inferences.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from ....codec import procedures, rpc, rpc_request
from ....datatypes import Buffer
from ....engine.coding import Compressed
from ....errors import (
    Cancelled,
    InferenceServerException,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from ....messages import Infer
from ...core import InferenceServer
from ...inference import EMPTY_FINAL, Outcome
from ...jobs.errors import DecoupledModel
from ...loop import SMALL
from ..forwarding import HeaderForwarding
from ..refusals import frameless, refusal
from ..starting import begin, is_light
from .call import Call
from .compression import Coder, decompressed
from .health import Health
from .stream import StreamCall

_log = logging.getLogger("tritonclient.server.grpc")

#: Requests handled at the same time, over all models. A waiting request costs a thread.
_THREADS = 256
#: Stream requests handled at the same time; a slow reader blocks their threads.
_STREAM_THREADS = 1024
#: Methods that only read state, and are handled on the event loop.
_QUICK = {
    *("ServerLive", "ServerReady", "ServerMetadata", "ModelMetadata", "ModelConfig"),
    *("ModelStatistics", "SystemSharedMemoryStatus", "CudaSharedMemoryStatus"),
}
_INFER = "ModelInfer"
_STREAM_INFER = "ModelStreamInfer"

#: Returns the message of a response, in parts, and its coding.
Work: TypeAlias = "Callable[[], tuple[Sequence[Buffer], str | None]]"


class GrpcService:
    """The handlers of all methods. Everything except `close` runs on the event loop.

    Args:
        forwarding: the headers that become parameters of inference requests.
        coder: compresses responses.
        max_requests: calls that may run; a stream is one. Further ones are refused.
    """

    def __init__(
        self,
        server: InferenceServer,
        forwarding: HeaderForwarding,
        coder: Coder,
        max_requests: int,
    ) -> None:
        self._server = server
        self._forwarding = forwarding
        self._coder = coder
        self._max_requests = max_requests
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tritonclient-request")
        self._stream_threads = ThreadPoolExecutor(
            _STREAM_THREADS, thread_name_prefix="tritonclient-stream"
        )
        self._loop = asyncio.get_running_loop()
        self._calls: set[Call] = set()
        self._streams: set[StreamCall] = set()
        self._working = 0  # requests that threads or models have, also of calls that are over
        self._closing = False
        self._health = Health(server)
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[str, Callable[[Call], None]]:
        handlers: dict[str, Callable[[Call], None]] = {
            f"/{rpc.SERVICE}/{method}": partial(self._unary, method)
            for method in dict.fromkeys(row.method for row in procedures.RPCS)
        }
        handlers[f"/{rpc.SERVICE}/{_STREAM_INFER}"] = self._stream
        return handlers | self._health.handlers()

    def accept(self, call: Call) -> None:
        """Handle a call, whose headers have come."""
        handler = self._handlers.get(call.path)
        if handler is None:
            call.end(Unimplemented("Method not found!"))
            return
        if max(len(self._calls), self._working) >= self._max_requests:
            # The words of grpcio's servers.
            call.end(ResourceExhausted("Concurrent RPC limit exceeded!"))
            return
        self._calls.add(call)
        call.on_end = partial(self._calls.discard, call)
        handler(call)

    # Shutdown

    def begin_shutdown(self) -> None:
        """Read no more requests from streams; idle streams end now."""
        self._closing = True
        self._health.close()
        for stream in [*self._streams]:
            stream.begin_shutdown(_shutting_down())

    def cancel(self) -> int:
        """Cancel all running calls and return their number."""
        calls = [*self._calls]
        for call in calls:
            call.abort(_shutting_down())
        return len(calls)

    def close(self) -> None:
        """Wait for running requests and end the threads."""
        self._threads.shutdown(wait=True)
        self._stream_threads.shutdown(wait=True)

    # Unary calls

    def _unary(self, method: str, call: Call) -> None:
        call.expect_message(partial(self._begin, method, call, time.perf_counter()))

    def _begin(self, method: str, call: Call, began: float) -> None:
        """Handle the request of a unary call, which has all come."""
        message = call.take()
        work = partial(self._respond_to, method, message, call)
        if isinstance(message, Compressed) or len(message) > SMALL:
            pass
        elif method == _INFER and not self._server.may_block:
            self._guarded(call, method, began, partial(self._infer, call, message, began))
            return
        elif method in _QUICK:
            self._guarded(call, method, began, lambda: self._reply(call, method, began, *work()))
            return
        del message  # only `work` refers to it, as long as necessary
        self._in_thread(call, method, began, work)

    def _infer(self, call: Call, message: Buffer, began: float) -> None:
        """Start a small inference, without a thread that waits for its response."""
        request = self._decoded(_INFER, message, call)
        if not is_light(request):
            work = partial(self._handled, _INFER, request, call)
            self._in_thread(call, _INFER, began, work)
            return
        done = partial(self._inferred, call, request, began)
        self._working += 1
        try:
            with _grpc_words(_INFER):
                begin(self._server, request, call.cancelled, done)
        except BaseException:
            self._working -= 1
            raise

    def _inferred(self, call: Call, request: Infer, began: float, outcome: Outcome) -> None:
        self._working -= 1
        if call.over:
            return
        work = partial(self._encoded, request, call, outcome.encode)
        if outcome.size <= SMALL:
            self._guarded(call, _INFER, began, lambda: self._reply(call, _INFER, began, *work()))
        else:
            self._in_thread(call, _INFER, began, work)

    def _in_thread(self, call: Call, method: str, began: float, work: Work) -> None:
        """Respond with what `work` returns on a thread."""

        def done(future: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(finish, future)

        # The future keeps its callbacks, so they must not refer to it: nobody would free the
        # tensors of the response.
        def finish(future: Future[Any]) -> None:
            self._working -= 1
            reply = partial(self._reply_with, future, call, method, began)
            self._guarded(call, method, began, reply)

        future = self._threads.submit(work)
        self._working += 1
        future.add_done_callback(done)

    def _reply_with(self, future: Future[Any], call: Call, method: str, began: float) -> None:
        self._reply(call, method, began, *future.result())

    def _guarded(self, call: Call, method: str, began: float, work: Callable[[], None]) -> None:
        """Do a part of the work for a call; an error ends the call."""
        try:
            work()
            return
        except InferenceServerException as error:
            refused = frameless(error)
        except Exception:
            call.failed()
            return
        _log_call(method, refused, began)
        call.abort(refused)

    def _reply(
        self,
        call: Call,
        method: str,
        began: float,
        message: Sequence[Buffer],
        coding: str | None,
    ) -> None:
        call.respond(message, coding)
        _log_call(method, None, began)

    def _respond_to(
        self, method: str, message: Buffer | Compressed, call: Call
    ) -> tuple[Sequence[Buffer], str | None]:
        if call.cancelled.is_set():
            raise Cancelled("the call is over")
        request = self._decoded(method, decompressed(message), call)
        return self._handled(method, request, call)

    def _decoded(self, method: str, message: Buffer, call: Call) -> Any:
        try:
            request = rpc.decode_request(method, message)
        except InferenceServerException as error:
            model = rpc_request.model_of(message) if method == _INFER else None
            raise refusal(self._server, error, model) from error
        if isinstance(request, Infer):
            request = self._forwarding.apply(request, call.headers)
            if EMPTY_FINAL in request.parameters:
                # As in Triton, a unary call may have this parameter, which only concerns streams.
                others = {k: v for k, v in request.parameters.items() if k != EMPTY_FINAL}
                request = replace(request, parameters=others)
        return request

    def _handled(
        self, method: str, request: Any, call: Call
    ) -> tuple[Sequence[Buffer], str | None]:
        def handle() -> Any:
            with _grpc_words(method):
                return self._server.handle(request, call.cancelled, call.peer)

        return self._encoded(request, call, handle)

    def _encoded(
        self, request: Any, call: Call, result: Callable[[], Any]
    ) -> tuple[Sequence[Buffer], str | None]:
        """Return the message of a result and its coding; raise the error that `result` raises."""
        value = result()
        try:
            message = rpc.encode_response(request, value)
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
        return self._coder.compressed(message, call.accepted)

    # Streams

    def _stream(self, call: Call) -> None:
        call.serve(self._serve)

    async def _serve(self, call: Call) -> None:
        began = time.perf_counter()
        stream = StreamCall(self._server, self._stream_threads, call, self._forwarding, self._coder)
        self._streams.add(stream)
        if self._closing:
            stream.begin_shutdown(_shutting_down())
        refused: InferenceServerException | None = None
        try:
            await stream.serve()
        except asyncio.CancelledError:
            refused = Cancelled("the call is over")
            raise
        except InferenceServerException as error:
            refused = frameless(error)
        finally:
            self._streams.discard(stream)
            _log_call(_STREAM_INFER, refused, began)
        call.end(refused)


@contextmanager
def _grpc_words(method: str) -> Iterator[None]:
    """Add Triton's words for gRPC to the error for a decoupled model."""
    try:
        yield
    except DecoupledModel as error:
        raise Unimplemented(f"{method} RPC {error.message()}") from error


def _shutting_down() -> Unavailable:
    return Unavailable("the server is shutting down")


def _log_call(method: str, error: InferenceServerException | None, began: float) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        status = "OK" if error is None else rpc.status_of(error)
        _log.debug("%s %s %.1f ms", method, status, 1000 * (time.perf_counter() - began))
