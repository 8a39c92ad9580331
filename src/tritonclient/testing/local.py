"""Clients of a server in this process, without sockets."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_origin

from ..client.aio import AsyncClient
from ..client.blocking import Client
from ..client.infer_calls import InferCalls
from ..client.options import IN_PROCESS
from ..client.signatures import explains_call
from ..codec import rest
from ..errors import DeadlineExceeded, InferenceServerException
from ..messages import Request
from ..transport.call import NO_OPTIONS, Options
from ..transport.errors import client_closed, locate

T = TypeVar("T")
#: Answers any request, as `Server.handle` does.
Handle = Callable[[Request[Any]], Any]


class _Call:
    """A request that is encoded when it is sent."""

    #: So large that nothing of it is kept for later calls.
    head_size = 1 << 62

    def __init__(self, request: Request[Any]) -> None:
        self.request = request

    def without_data(self, request: Request[Any]) -> _Call:
        return self


def _check_handle(handle: Any, options: Mapping[str, Any]) -> None:
    """Raise TypeError for what answers no requests, and for options that need a connection."""
    if not callable(handle) or isinstance(handle, type):
        hint = "; its method handle is one" if callable(getattr(handle, "handle", None)) else ""
        raise TypeError(
            f"handle is {handle!r:.60}, expected a function that answers a request, such as "
            f"server.handle{hint}"
        )
    if "url" in options:
        raise TypeError("'url' is not an argument: a local client calls a function of this process")


def _checked(request: Request[T], response: Any) -> Any:
    """Return what a function answered a request with.

    Raises:
        TypeError: a response to this request has another type.
    """
    (expected,) = get_args(type(request).__orig_bases__[0])  # type: ignore[attr-defined]
    kind = get_origin(expected) or expected
    if isinstance(response, kind):
        return response
    hint = ""
    if inspect.iscoroutine(response):
        response.close()
        hint = "; it must be a plain function, which is called on a thread by LocalAsyncClient"
    raise TypeError(
        f"handle returned {type(response).__name__} for {type(request).__name__}, expected "
        f"{getattr(expected, '__name__', expected)}{hint}"
    )


class _LocalTransport:
    """Encodes requests and responses as HTTP does, and passes them to a function."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._closed = False

    def prepare(self, request: Request[Any], options: Options = NO_OPTIONS) -> _Call:
        rest.encode_request(request)  # raises what can't be sent
        return _Call(request)

    def send(self, call: _Call, timeout: float | None = None) -> Any:
        if self._closed:
            raise client_closed(IN_PROCESS)
        begin = time.monotonic()
        try:
            answer = self._exchange(call.request)
            if timeout is not None and time.monotonic() - begin > timeout:
                raise DeadlineExceeded(f"the answer took longer than the timeout of {timeout} s")
        except InferenceServerException as error:
            locate(error, IN_PROCESS, call.request)
            raise
        return answer

    def _exchange(self, request: Request[T]) -> Any:
        sent = rest.encode_request(request)
        headers = {name.lower(): value for name, value in sent.headers.items()}
        body = bytearray().join(sent.body)
        received = rest.decode_request(sent._replace(headers=headers, body=(body,)))
        response = rest.encode_response(received, _checked(received, self._handle(received)))
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = bytearray().join(response.body)
        return rest.decode_response(request, response._replace(headers=headers, body=(body,)))

    def close(self) -> None:
        """Let later calls fail; there are no connections."""
        self._closed = True

    abort = close


class _AsyncLocalTransport(_LocalTransport):
    async def send(self, call: _Call, timeout: float | None = None) -> Any:
        return await asyncio.to_thread(super().send, call, timeout)

    async def close(self) -> None:  # type: ignore[override]
        """Let later calls fail; there are no connections."""
        self._closed = True

    abort = close  # type: ignore[assignment]


class LocalClient(Client):
    """A `Client` whose requests go to a function in this process, without sockets.

    Args:
        handle: answers a request, such as `Server.handle`.
        options: those of `Client`.
    """

    @explains_call
    def __init__(self, handle: Handle, **options: Any) -> None:
        _check_handle(handle, options)
        super().__init__(IN_PROCESS, **options)
        self._handle = handle
        transport: Any = _LocalTransport(handle)
        self._transport = transport
        self._calls = InferCalls(transport.prepare)

    def _twin(self) -> LocalAsyncClient:
        return LocalAsyncClient(self._handle, timeout=self._timeout)


class LocalAsyncClient(AsyncClient):
    """An `AsyncClient` whose requests go to a function in this process, without sockets.

    Args:
        handle: answers a request, such as `Server.handle`; called on a thread.
        options: those of `AsyncClient`.
    """

    @explains_call
    def __init__(self, handle: Handle, **options: Any) -> None:
        _check_handle(handle, options)
        super().__init__(IN_PROCESS, **options)
        transport: Any = _AsyncLocalTransport(handle)
        self._transport = transport
        self._calls = InferCalls(transport.prepare)
