"""The handlers between grpcio's asyncio server and `InferenceServer`.

Requests are decoded, handled and encoded on a thread pool, so a slow model delays no other request.
What costs less than a change of threads is done on the event loop: methods that only read some
state of the server, and the beginning and the end of small inferences.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, TypeAlias, TypeVar

from ....codec import procedures, rpc, rpc_request
from ....errors import InferenceServerException, InvalidArgument, Unavailable, Unimplemented
from ....messages import Infer
from ...core import InferenceServer
from ...extras import optional_import
from ...inference import EMPTY_FINAL
from ...jobs.errors import DecoupledModel
from ...loop import SMALL
from ..forwarding import HeaderForwarding
from ..refusals import refusal
from ..starting import is_light, start
from .health import Health
from .stream import StreamCall, await_send, peer_address

with optional_import("grpcio"):
    import grpc

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
#: Longest status message in bytes, so that the trailers fit the limits of clients.
_DETAILS = 4000
_CODES = {code.value[0]: code for code in grpc.StatusCode}

# Messages are bytes, so the types of grpcio's handlers do not help.
Context: TypeAlias = Any
Headers: TypeAlias = "Iterable[tuple[str, str | bytes]]"
T = TypeVar("T")


class GrpcService(grpc.GenericRpcHandler):
    """The handlers of all methods. Everything except `close` runs on the event loop.

    Args:
        forwarding: the headers that become parameters of inference requests.
    """

    def __init__(self, server: InferenceServer, forwarding: HeaderForwarding) -> None:
        self._server = server
        self._forwarding = forwarding
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tritonclient-request")
        self._stream_threads = ThreadPoolExecutor(
            _STREAM_THREADS, thread_name_prefix="tritonclient-stream"
        )
        self._calls: set[asyncio.Task[Any]] = set()
        self._streams: set[StreamCall] = set()
        self._closing = False
        self._health = Health(server)
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[str, Any]:
        handlers: dict[str, Any] = {
            f"/{rpc.SERVICE}/{method}": grpc.unary_unary_rpc_method_handler(self._unary(method))
            for method in dict.fromkeys(row.method for row in procedures.RPCS)
        }
        path = f"/{rpc.SERVICE}/ModelStreamInfer"
        handlers[path] = grpc.stream_stream_rpc_method_handler(self._stream)
        return handlers | self._health.handlers()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a method, or None."""
        return self._handlers.get(handler_call_details.method)

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
            call.cancel()
        return len(calls)

    def close(self) -> None:
        """Wait for running requests and end the threads."""
        self._threads.shutdown(wait=True)
        self._stream_threads.shutdown(wait=True)

    # Calls

    def _unary(self, method: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        quick, infers = method in _QUICK, method == "ModelInfer"

        async def call(message: bytes, context: Context) -> bytes:
            begin = time.perf_counter()
            cancelled = threading.Event()
            headers = context.invocation_metadata() or () if self._forwarding else ()
            small = infers and len(message) <= SMALL and not self._server.may_block
            peer = "" if small else peer_address(context)
            work = partial(self._respond, method, message, cancelled, headers, peer)
            try:
                if small:
                    response = await self._infer(method, message, cancelled, headers)
                elif quick:
                    response = work()
                else:
                    del message  # only `work` refers to it, as long as necessary
                    response = await self._finished(self._in_thread(work), cancelled)
            except InferenceServerException as error:
                await _abort(context, method, error, begin)
            _log_call(method, "OK", begin)
            return response

        return call

    async def _infer(
        self, method: str, message: bytes, cancelled: threading.Event, headers: Headers
    ) -> bytes:
        """Return the response to a small inference, without a thread that waits for it."""
        request = self._decoded(method, message, headers)
        if not is_light(request):
            work = partial(self._handled, method, request, cancelled, "")
            return await self._finished(self._in_thread(work), cancelled)
        with _grpc_words(method):
            pending = start(self._server, request, cancelled)
        outcome = await self._finished(pending, cancelled)
        encode = partial(_encoded, request, outcome.encode)
        return encode() if outcome.size <= SMALL else await self._in_thread(encode)

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _finished(self, response: asyncio.Future[T], cancelled: threading.Event) -> T:
        """Return the result of a future; raise Unavailable if the server is closed first."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            return await response
        except asyncio.CancelledError:
            # A queued request is dropped; a running one is cancelled, but not waited for.
            cancelled.set()
            if self._closing:
                raise _shutting_down() from None
            raise
        finally:
            self._calls.discard(task)

    def _respond(
        self, method: str, message: bytes, cancelled: threading.Event, headers: Headers, peer: str
    ) -> bytes:
        return self._handled(method, self._decoded(method, message, headers), cancelled, peer)

    def _decoded(self, method: str, message: bytes, headers: Headers) -> Any:
        try:
            request = rpc.decode_request(method, message)
        except InferenceServerException as error:
            model = rpc_request.model_of(message) if method == "ModelInfer" else None
            raise refusal(self._server, error, model) from error
        if isinstance(request, Infer):
            request = self._forwarding.apply(request, headers)
            if EMPTY_FINAL in request.parameters:
                # As in Triton, a unary call may have this parameter, which only concerns streams.
                others = {k: v for k, v in request.parameters.items() if k != EMPTY_FINAL}
                request = replace(request, parameters=others)
        return request

    def _handled(self, method: str, request: Any, cancelled: threading.Event, peer: str) -> bytes:
        def handle() -> Any:
            with _grpc_words(method):
                return self._server.handle(request, cancelled, peer)

        return _encoded(request, handle)

    async def _stream(self, requests: Any, context: Context) -> None:
        begin = time.perf_counter()
        task = asyncio.current_task()
        assert task is not None
        stream = StreamCall(self._server, self._stream_threads, requests, context, self._forwarding)
        self._calls.add(task)
        self._streams.add(stream)
        if self._closing:
            stream.begin_shutdown(_shutting_down())
        try:
            await stream.serve()
        except asyncio.CancelledError:
            if not self._closing:
                raise
            await _abort(context, "ModelStreamInfer", _shutting_down(), begin)
        except InferenceServerException as error:
            await _abort(context, "ModelStreamInfer", error, begin)
        finally:
            self._calls.discard(task)
            self._streams.discard(stream)
        _log_call("ModelStreamInfer", "OK", begin)


def _encoded(request: Any, result: Callable[[], Any]) -> bytes:
    """Return the message of a result; raise the error that `result` raises."""
    value = result()
    try:
        return b"".join(rpc.encode_response(request, value))
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


@contextmanager
def _grpc_words(method: str) -> Iterator[None]:
    """Add Triton's words for gRPC to the error for a decoupled model."""
    try:
        yield
    except DecoupledModel as error:
        raise Unimplemented(f"{method} RPC {error.message()}") from error


def _shutting_down() -> Unavailable:
    return Unavailable("the server is shutting down")


async def _abort(
    context: Context, method: str, error: InferenceServerException, begin: float
) -> NoReturn:
    """End a call with the status of an error."""
    code = _CODES[rpc.code_of(error)]
    _log_call(method, code.name, begin)
    await await_send(context.abort(code, _shorten(error.message() or "")))
    raise AssertionError("abort returned")


def _shorten(text: str) -> str:
    """Return a status message, cut to the size that clients accept."""
    size = 0
    for index, character in enumerate(text):
        # Other characters are percent-encoded, three characters a byte.
        size += 1 if " " <= character <= "~" else 3 * len(character.encode(errors="replace"))
        if size > _DETAILS:
            return text[:index] + "..."
    return text


def _log_call(method: str, status: str, begin: float) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s %s %.1f ms", method, status, 1000 * (time.perf_counter() - begin))
