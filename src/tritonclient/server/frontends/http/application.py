"""The ASGI application between an ASGI server and `InferenceServer.handle`.

Requests are decoded, handled and encoded on a thread pool, so a slow model delays no other request.
What costs less than a change of threads is done on the event loop: GET requests, and the beginning
and the end of small inferences.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from .... import messages as m
from ....codec import rest
from ....codec.generate import Generate
from ....datatypes import Buffer
from ....errors import (
    InferenceServerException,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from ...core import InferenceServer
from ...jobs.errors import DecoupledModel
from ...loop import SMALL
from ..forwarding import HeaderForwarding
from ..limits import MAX_INPUT_SIZE, MAX_REQUESTS
from ..refusals import frameless, refusal
from ..starting import is_light, start
from . import compression
from .generate import EventStream, Generation

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")

_log = logging.getLogger("tritonclient.server.http")

#: Requests handled at the same time, over all models. A waiting request costs a thread.
_THREADS = 256
_ASKS_MODEL = re.compile("/models/.*/ready$")
_HEAD_LENGTH = "inference-header-content-length"
_ALIGNMENT = 64
#: The ASGI extension with the names of headers as the client sent them: ASGI has them in lower
#: case, and Triton forwards them as they are.
NAMES_AS_SENT = "tritonclient.header_names"
#: Seconds after which the client of a request is watched: most responses take less.
_UNWATCHED = 0.01
#: Bodies up to this size are joined, because a copy costs less than a system call.
_JOINED = 1 << 16


class _Disconnected(Exception):
    """The client disconnected before its request was complete."""


class HttpApplication:
    """The ASGI application and its threads.

    Args:
        max_input_size: largest request body, after decompression, in bytes.
        max_requests: requests that are executed or wait for it; further ones are refused.
        forwarding: the headers that become parameters of inference requests.
    """

    def __init__(
        self,
        server: InferenceServer,
        *,
        max_input_size: int = MAX_INPUT_SIZE,
        max_requests: int = MAX_REQUESTS,
        forwarding: HeaderForwarding | None = None,
    ) -> None:
        self._server = server
        self._max_requests = max_requests
        self._in_work = 0
        self._forwarding = forwarding or HeaderForwarding("")
        self._max_input_size = max_input_size
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tritonclient-request")

    def close(self) -> None:
        """Wait for running requests and end the threads."""
        self._threads.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begin = time.perf_counter()
        try:
            response = await self._response(scope, receive, send)
        except asyncio.CancelledError:  # by the listener, which logs it
            response = rest.encode_error(Unavailable("the server is shutting down", "503"))
        try:
            if isinstance(response, rest.HttpResponse):
                await _respond(response, send)
        except asyncio.CancelledError:
            # The client does not read. The server would log a response that ends early as an error.
            while (await receive())["type"] != "http.disconnect":
                pass
        if _log.isEnabledFor(logging.DEBUG):
            status = "client left" if response is None else response.status
            taken = 1000 * (time.perf_counter() - begin)
            path = scope["raw_path"].decode("latin-1")
            _log.debug("%s %s %s %.1f ms", scope["method"], path, status, taken)

    async def _response(
        self, scope: Scope, receive: Receive, send: Send
    ) -> rest.HttpResponse | EventStream | None:
        """Return the response, or None if the client disconnected; a stream has been sent."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if self._in_work >= self._max_requests and scope["method"] != "GET":
            # Refused before the body is read, which would take memory.
            text = f"this server has {self._in_work} requests in work, its limit; try again later"
            return rest.encode_error(Unavailable(text, "503"))
        self._in_work += 1
        try:
            response = await self._receive_and_respond(scope, receive, headers)
            if isinstance(response, EventStream):
                await response.send(send, receive, self._in_thread)
            return response
        finally:
            self._in_work -= 1

    async def _receive_and_respond(
        self, scope: Scope, receive: Receive, headers: dict[str, str]
    ) -> rest.HttpResponse | EventStream | None:
        try:
            body = await _read_body(headers, receive, self._max_input_size)
        except _Disconnected:
            return None
        except InferenceServerException as error:
            return rest.encode_error(frameless(error))
        path = scope["raw_path"].decode("latin-1")
        request = rest.HttpRequest(scope["method"], path, headers, (body,))
        cancelled = threading.Event()
        sent = scope.get("extensions", {}).get(NAMES_AS_SENT, {}).get("names", ())
        values = (value for _, value in scope["headers"])
        forwarded = list(zip(sent, values, strict=False)) if self._forwarding else []
        loop = asyncio.get_running_loop()
        work = partial(self._respond_to, request, cancelled, forwarded, _peer(scope), loop)
        if self._is_small_inference(request):
            return await self._infer(request, forwarded, receive, cancelled)
        # No GET takes long, unless it has a body to decompress, or asks a model.
        if request.method == "GET" and not len(body) and not _ASKS_MODEL.search(path):
            response: rest.HttpResponse | Generation | None = work()
        else:
            response = await self._until_disconnected(self._in_thread(work), receive, cancelled)
        if not isinstance(response, Generation):
            return response
        responding = asyncio.ensure_future(response.respond(self._in_thread))
        return await self._until_disconnected(responding, receive, cancelled)

    def _is_small_inference(self, http: rest.HttpRequest) -> bool:
        return (
            http.method == "POST"
            and http.path.endswith("/infer")
            and len(http.body[0]) <= SMALL
            and not self._server.may_block
            and "content-encoding" not in http.headers
        )

    async def _infer(
        self,
        http: rest.HttpRequest,
        forwarded: Sequence[tuple[str, bytes]],
        receive: Receive,
        cancelled: threading.Event,
    ) -> rest.HttpResponse | None:
        """Return the response to a small inference, without a thread that waits for it."""
        try:
            request = self._decoded(http, forwarded)
            if not isinstance(request, m.Infer) or not is_light(request):
                work = partial(self._handled, request, http, cancelled, "")
                return await self._until_disconnected(self._in_thread(work), receive, cancelled)
            with _http_words():
                pending = start(self._server, request, cancelled)
            outcome = await self._until_disconnected(pending, receive, cancelled)
            if outcome is None:
                return None
            work = partial(self._encoded, request, http, outcome.encode)
            return work() if outcome.size <= SMALL else await self._in_thread(work)
        except InferenceServerException as error:
            return rest.encode_error(frameless(error))

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _until_disconnected(
        self, response: asyncio.Future[T], receive: Receive, cancelled: threading.Event
    ) -> T | None:
        """Return the result of a future, or None if the client disconnected.

        In that case, and when this is cancelled, a queued request is dropped and a running request
        is cancelled but not waited for.
        """
        disconnected: asyncio.Future[Any] | None = None

        def watch() -> None:
            # After the body, the only possible message is a disconnect.
            nonlocal disconnected
            disconnected = asyncio.ensure_future(receive())
            disconnected.add_done_callback(lambda _: response.cancel())

        timer = asyncio.get_running_loop().call_later(_UNWATCHED, watch)
        try:
            return await response
        except asyncio.CancelledError:
            cancelled.set()
            if disconnected is not None and disconnected.done():
                return None
            raise
        finally:
            timer.cancel()
            if disconnected is not None:
                disconnected.cancel()

    def _respond_to(
        self,
        http: rest.HttpRequest,
        cancelled: threading.Event,
        forwarded: Sequence[tuple[str, bytes]],
        peer: str,
        loop: asyncio.AbstractEventLoop,
    ) -> rest.HttpResponse | Generation:
        try:
            request = self._decoded(self._decompressed(http), forwarded)
            if isinstance(request, Generate):
                return Generation(self._server, request, cancelled, peer, loop)
        except InferenceServerException as error:
            return rest.encode_error(frameless(error))
        return self._handled(request, http, cancelled, peer)

    def _decoded(
        self, http: rest.HttpRequest, forwarded: Sequence[tuple[str, bytes]]
    ) -> m.Request[Any]:
        try:
            request = rest.decode_request(http)
        except InferenceServerException as error:
            raise refusal(self._server, error, rest.model_of(http)) from error
        return (
            self._forwarding.apply(request, forwarded) if isinstance(request, m.Infer) else request
        )

    def _handled(
        self, request: m.Request[Any], http: rest.HttpRequest, cancelled: threading.Event, peer: str
    ) -> rest.HttpResponse:
        def handle() -> Any:
            with _http_words():
                return self._server.handle(request, cancelled, peer)

        return self._encoded(request, http, handle)

    def _encoded(
        self, request: m.Request[Any], http: rest.HttpRequest, result: Callable[[], Any]
    ) -> rest.HttpResponse:
        """Return the response with a result, or with the error that `result` raises."""
        try:
            value = result()
            try:
                response = rest.encode_response(request, value)
            except ValueError as error:
                raise InvalidArgument(str(error), "400") from error
        except InferenceServerException as error:
            return rest.encode_error(frameless(error))
        if isinstance(request, m.Infer):
            return _compressed(response, http.headers.get("accept-encoding", ""))
        return response

    def _decompressed(self, http: rest.HttpRequest) -> rest.HttpRequest:
        encoding = http.headers.get("content-encoding", "identity")
        if encoding == "identity":
            return http
        if not rest.takes_encodings(http):
            unsupported = InvalidArgument(compression.UNSUPPORTED, "400")
            raise refusal(self._server, unsupported, rest.model_of(http))
        body = compression.decompress(http.body[0], encoding, self._max_input_size)
        return rest.HttpRequest(http.method, http.path, http.headers, (body,))


@contextmanager
def _http_words() -> Iterator[None]:
    """Add Triton's words for HTTP to the error for a decoupled model."""
    try:
        yield
    except DecoupledModel as error:
        raise Unimplemented(f"HTTP end point {error.message()}", "501") from error


def _peer(scope: Scope) -> str:
    """Return the address of the client, "" if it has none."""
    host, port = scope.get("client") or ("", 0)
    return f"{host}:{port}" if host else ""


async def _read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> Buffer:
    """Return the body in one buffer, allocated once if its length is known."""
    length = headers.get("content-length")
    if length is None:
        return await _read_unknown(receive, limit)
    size = int(length)  # checked by the ASGI server
    if size > limit:
        raise _too_large(limit)
    # The first tensor follows the JSON: place it at an aligned address.
    head = headers.get(_HEAD_LENGTH, "")
    skip = -int(head) % _ALIGNMENT if head.isdecimal() and len(head) < 10 else 0
    buffer = memoryview(_allocate(skip + size))[skip:]
    position = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk = message.get("body", b"")
        buffer[position : position + len(chunk)] = chunk
        position += len(chunk)
        more = message.get("more_body", False)
    return buffer


def _allocate(size: int) -> Buffer:
    if size < 1 << 20:
        return bytearray(size)
    # The kernel provides zeroed, page-aligned memory on first access.
    return memoryview(mmap.mmap(-1, size))


async def _read_unknown(receive: Receive, limit: int) -> Buffer:
    chunks = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return chunks


def _too_large(limit: int) -> ResourceExhausted:
    return ResourceExhausted(f"request body is larger than the limit of {limit} bytes", "413")


def _compressed(response: rest.HttpResponse, accepted: str) -> rest.HttpResponse:
    encoding = compression.negotiate(accepted)
    if encoding is None:
        return response
    body = compression.compress(response.body, encoding)
    headers = {**response.headers, "Content-Encoding": encoding}
    return rest.HttpResponse(response.status, headers, (body,))


async def _respond(response: rest.HttpResponse, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
    ]
    length = sum(len(part) for part in response.body)
    headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    *parts, last = response.body or (b"",)
    if parts and length <= _JOINED:
        parts, last = [], b"".join(response.body)
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": last, "more_body": False})
