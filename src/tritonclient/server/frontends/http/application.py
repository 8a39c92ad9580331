"""The ASGI application between an ASGI server and `InferenceServer.handle`.

Requests are decoded, handled and encoded on a thread pool. The event loop only moves bytes, so a
slow model delays no other request. GET requests cost less than a change of thread, so the event
loop answers them itself.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

from .... import messages as m
from ....codec import rest
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
from ..forwarding import HeaderForwarding
from . import compression
from .limits import MAX_INPUT_SIZE, MAX_REQUESTS

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("tritonclient.server.http")

#: Requests handled at the same time, over all models. A waiting request costs a thread.
_THREADS = 256
_ASKS_MODEL = re.compile("/models/.*/ready$")
_HEAD_LENGTH = "inference-header-content-length"
_ALIGNMENT = 64
#: The ASGI extension with the names of headers as the client sent them: ASGI has them in lower
#: case, and Triton forwards them as they are.
NAMES_AS_SENT = "tritonclient.header_names"
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
            response = await self._response(scope, receive)
        except asyncio.CancelledError:  # by the listener, which logs it
            response = rest.encode_error(Unavailable("the server is shutting down", "503"))
        try:
            if response is not None:
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

    async def _response(self, scope: Scope, receive: Receive) -> rest.HttpResponse | None:
        """Return the response, or None if the client disconnected."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if self._in_work >= self._max_requests and scope["method"] != "GET":
            # Refused before the body is read, which would take memory.
            text = f"this server has {self._in_work} requests in work, its limit; try again later"
            return rest.encode_error(Unavailable(text, "503"))
        self._in_work += 1
        try:
            return await self._answer(scope, receive, headers)
        finally:
            self._in_work -= 1

    async def _answer(
        self, scope: Scope, receive: Receive, headers: dict[str, str]
    ) -> rest.HttpResponse | None:
        try:
            body = await _read_body(headers, receive, self._max_input_size)
        except _Disconnected:
            return None
        except InferenceServerException as error:
            return rest.encode_error(error)
        path = scope["raw_path"].decode("latin-1")
        request = rest.HttpRequest(scope["method"], path, headers, (body,))
        cancelled = threading.Event()
        sent = scope.get("extensions", {}).get(NAMES_AS_SENT, {}).get("names", ())
        values = (value for _, value in scope["headers"])
        work = partial(
            self._respond_to,
            request,
            cancelled,
            list(zip(sent, values, strict=False)) if self._forwarding else [],
            _peer(scope),
        )
        # No GET takes long, unless it has a body to decompress, or asks a model.
        if request.method == "GET" and not len(body) and not _ASKS_MODEL.search(path):
            return work()
        return await self._in_thread(work, receive, cancelled)

    async def _in_thread(
        self, work: Callable[[], rest.HttpResponse], receive: Receive, cancelled: threading.Event
    ) -> rest.HttpResponse | None:
        """Run `work` on a thread; return the response, or None if the client disconnected.

        In that case, and when this is cancelled, a queued request is dropped and a running request
        is cancelled but not waited for.
        """
        loop = asyncio.get_running_loop()
        response = loop.run_in_executor(self._threads, work)
        # After the body, the only possible message is a disconnect.
        disconnected = asyncio.ensure_future(receive())
        disconnected.add_done_callback(lambda _: response.cancel())
        try:
            return await response
        except asyncio.CancelledError:
            cancelled.set()
            if disconnected.done():
                return None
            raise
        finally:
            disconnected.cancel()

    def _respond_to(
        self,
        http: rest.HttpRequest,
        cancelled: threading.Event,
        headers: Sequence[tuple[str, bytes]],
        peer: str,
    ) -> rest.HttpResponse:
        try:
            http = self._decompressed(http)
            request = rest.decode_request(http)
            if isinstance(request, m.Infer):
                request = self._forwarding.apply(request, headers)
            try:
                result = self._server.handle(request, cancelled, peer)
            except DecoupledModel as error:
                raise Unimplemented(f"HTTP end point {error.message()}", "501") from error
            try:
                response = rest.encode_response(request, result)
            except ValueError as error:
                raise InvalidArgument(str(error), "400") from error
        except InferenceServerException as error:
            return rest.encode_error(error)
        if isinstance(request, m.Infer):
            return _compressed(response, http.headers.get("accept-encoding", ""))
        return response

    def _decompressed(self, http: rest.HttpRequest) -> rest.HttpRequest:
        encoding = http.headers.get("content-encoding", "identity")
        if encoding == "identity":
            return http
        body = compression.decompress(http.body[0], encoding, self._max_input_size)
        return rest.HttpRequest(http.method, http.path, http.headers, (body,))


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
