"""The gRPC front: handlers between grpcio's asyncio server and `InferenceServer`.

As over HTTP, requests are decoded, handled and encoded on threads of a pool, so that the event
loop only moves messages; what merely reads a little of the server's state is answered at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, TypeAlias

from ..codec import rpc
from ..errors import InferenceServerException, InvalidArgument, Unavailable, Unimplemented
from .core import InferenceServer
from .extras import optional_import
from .grpc_health import Health
from .grpc_stream import Stream, told
from .inference import DecoupledModel

with optional_import("grpcio"):
    import grpc

_log = logging.getLogger(__name__)

#: Requests in work at a time, over all models. A waiting request costs a thread, not more.
_THREADS = 256
#: The same for the requests in streams, whose readers may keep them waiting.
_STREAM_THREADS = 1024
#: Procedures that are answered by looking something up.
_QUICK = {
    *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig"),
    *("ModelStatistics", "SystemSharedMemoryStatus", "CudaSharedMemoryStatus"),
}
#: What of a status text fits into the headers that clients take.
_DETAILS = 4000
_CODES = {code.value[0]: code for code in grpc.StatusCode}

# The types of grpcio's handlers are of little use here: all messages are bytes.
Context: TypeAlias = Any


class GrpcService(grpc.GenericRpcHandler):
    """The handlers of all procedures. But for `close`, to be used on the event loop only."""

    def __init__(self, server: InferenceServer) -> None:
        self._server = server
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tritonclient-request")
        self._stream_threads = ThreadPoolExecutor(
            _STREAM_THREADS, thread_name_prefix="tritonclient-stream"
        )
        self._calls: set[asyncio.Task[Any]] = set()
        self._streams: set[Stream] = set()
        self._leaving = False
        self._health = Health(server)
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[str, Any]:
        handlers: dict[str, Any] = {
            f"/{rpc.SERVICE}/{method}": grpc.unary_unary_rpc_method_handler(self._unary(method))
            for method in dict.fromkeys(row.method for row in rpc.RPCS)
        }
        path = f"/{rpc.SERVICE}/ModelStreamInfer"
        handlers[path] = grpc.stream_stream_rpc_method_handler(self._stream)
        return handlers | self._health.handlers()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a procedure, or None."""
        return self._handlers.get(handler_call_details.method)

    # Ending

    def leave(self) -> None:
        """Take no more requests from streams; those that wait for one end now."""
        self._leaving = True
        self._health.close()
        for stream in [*self._streams]:
            stream.leave(_shutting_down())

    def cancel(self) -> int:
        """Cancel what is still in work; how many calls that were."""
        calls = [*self._calls]
        for call in calls:
            call.cancel()
        return len(calls)

    def close(self) -> None:
        """Wait for the requests in work."""
        self._threads.shutdown(wait=True)
        self._stream_threads.shutdown(wait=True)

    # Calls

    def _unary(self, method: str) -> Callable[[bytes, Context], Awaitable[bytes]]:
        quick = method in _QUICK

        async def call(message: bytes, context: Context) -> bytes:
            begin = time.perf_counter()
            cancelled = threading.Event()
            work = partial(self._answer, method, message, cancelled)
            del message  # `work` alone keeps it, as long as it is needed
            try:
                answer = work() if quick else await self._in_thread(work, cancelled)
            except InferenceServerException as error:
                await _abort(context, method, error, begin)
            _log_call(method, "OK", begin)
            return answer

        return call

    async def _in_thread(self, work: Callable[[], bytes], cancelled: threading.Event) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except asyncio.CancelledError:
            # The request is told so and is left to end by itself, unless it has not begun.
            cancelled.set()
            if self._leaving:
                raise _shutting_down() from None
            raise
        finally:
            self._calls.discard(task)

    def _answer(self, method: str, message: bytes, cancelled: threading.Event) -> bytes:
        request = rpc.decode_request(method, message)
        try:
            answer = self._server.handle(request, cancelled)
        except DecoupledModel as error:
            raise Unimplemented(f"{method} RPC {error.message()}") from error
        try:
            parts = rpc.encode_response(request, answer)
        except ValueError as error:
            raise InvalidArgument(str(error)) from error
        return b"".join(parts)

    async def _stream(self, requests: Any, context: Context) -> None:
        begin = time.perf_counter()
        task = asyncio.current_task()
        assert task is not None
        stream = Stream(self._server, self._stream_threads, requests, context)
        self._calls.add(task)
        self._streams.add(stream)
        if self._leaving:
            stream.leave(_shutting_down())
        try:
            await stream.serve()
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            await _abort(context, "ModelStreamInfer", _shutting_down(), begin)
        except InferenceServerException as error:
            await _abort(context, "ModelStreamInfer", error, begin)
        finally:
            self._calls.discard(task)
            self._streams.discard(stream)
        _log_call("ModelStreamInfer", "OK", begin)


def _shutting_down() -> Unavailable:
    return Unavailable("the server is shutting down")


async def _abort(
    context: Context, method: str, error: InferenceServerException, begin: float
) -> NoReturn:
    """End a call with an error."""
    code = _CODES[rpc.code_of(error)]
    _log_call(method, code.name, begin)
    await told(context.abort(code, _fitting(error.message() or "")))
    raise AssertionError("abort returned")


def _fitting(text: str) -> str:
    """A status text, cut to what clients take."""
    size = 0
    for index, character in enumerate(text):
        # Others are written as percent signs and two digits a byte.
        size += 1 if " " <= character <= "~" else 3 * len(character.encode(errors="replace"))
        if size > _DETAILS:
            return text[:index] + "..."
    return text


def _log_call(method: str, status: str, begin: float) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s %s %.1f ms", method, status, 1000 * (time.perf_counter() - begin))
