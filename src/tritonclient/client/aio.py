"""`AsyncClient`: every operation of the protocol, awaited; the twin of `client`."""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from .. import messages as m
from ..transport.call import Call, Options
from ..transport.endpoint import Security
from ..transport.errors import client_closed
from ..transport.settings import Grpcio, KeepAlive, check_timeout
from . import flows
from .aio_admin import AsyncAdminClient
from .infer_calls import InferArguments
from .mapping.calls import AsyncMapCalls
from .models import AsyncModel
from .options import (
    CLIENT_DEFAULT,
    MAX_CONNECTIONS,
    InferOptions,
    StreamOptions,
    Timeout,
    check_model_name,
    check_streams,
    make_transport_options,
    settings,
    split,
    stream_requests,
)
from .requests import TensorLike
from .results import InferResult
from .signatures import check_arguments, explains_arguments, explains_missing
from .suggestions import by_keyword
from .transports import aio_transport

if TYPE_CHECKING:
    from typing_extensions import Never, Self, Unpack

    from .aio_stream import AsyncInferStream, Requests
    from .shared_memory import AsyncSharedMemory

T = TypeVar("T")


@explains_arguments
class AsyncClient(AsyncAdminClient, AsyncMapCalls):
    """The client for coroutines, with the methods and arguments of `Client`.

    It can be made anywhere, also outside a running event loop, and used on several loops, each of
    which gets connections of its own:

        async with AsyncClient("http://localhost:8000") as client:
            result = await client.infer("simple", {"INPUT0": a, "INPUT1": b})

    Cancelling a task that waits for a response tells the server to stop.

    Args:
        max_connections: connections open at the same time per event loop.

    The other arguments are those of `Client`.
    """

    @explains_missing
    def __init__(
        self,
        url: str,
        *surplus: Never,
        timeout: float | None = 60.0,
        headers: Mapping[str, str | bytes] | None = None,
        tls: Security = None,
        max_connections: int = MAX_CONNECTIONS,
        max_request_size: int | None = None,
        max_response_size: int | None = None,
        keep_alive: KeepAlive | None = None,
        grpcio: Grpcio | None = None,
        binary: bool | None = None,
        **unknown: Never,
    ) -> None:
        check_arguments(unknown, AsyncClient.__init__, surplus)
        chosen = settings(url, headers, timeout, max_request_size, max_response_size, keep_alive)
        self._transport = aio_transport(chosen, tls, max_connections, grpcio)
        self._set_up(chosen, timeout, binary)
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._url}{', closed' if self._closed else ''}>"

    async def __aenter__(self) -> Self:
        if self._closed:
            raise client_closed(self._url)
        return self

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        def __enter__(self) -> NoReturn:
            raise TypeError("this client is on asyncio: use `async with`, or Client")

        def __exit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections of this event loop; later calls fail."""
        self._closed = True
        await self._transport.close()

    # Inference

    @explains_missing
    async def infer(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run a model; see `Client.infer`."""
        if surplus:
            raise by_keyword(surplus, AsyncClient.infer)
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return await self._run(*placed)
        call = self._calls.build(*arguments)
        seconds = self._timeout if timeout is CLIENT_DEFAULT else self._seconds(timeout)
        response = await self._send(call, seconds, arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def prepare(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        **options: Unpack[InferOptions],
    ) -> Call[m.InferResponse]:
        """Build an inference request once, to send it many times; see `Client.prepare`."""
        if surplus:
            raise by_keyword(surplus, AsyncClient.prepare)
        return self._calls.build_prepared(model, inputs, version, outputs, options)

    @explains_missing
    async def infer_prepared(
        self, call: Call[m.InferResponse], *surplus: Never, timeout: Timeout = CLIENT_DEFAULT
    ) -> InferResult:
        """Run a model with a request made by `prepare`."""
        if surplus:
            raise by_keyword(surplus, AsyncClient.infer_prepared)
        return InferResult(await self.send(call, timeout=timeout), self._url, call.request)

    async def _infer(
        self, call: Call[m.InferResponse], seconds: float | None, arguments: InferArguments
    ) -> InferResult:
        response = await self._send(call, seconds, arguments)
        return InferResult(response, self._url, call.request)

    @explains_missing
    def submit(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Task[InferResult]:
        """Run a model in a task of the running event loop; takes the arguments of `infer`.

        Arguments are checked before this returns.
        """
        if surplus:
            raise by_keyword(surplus, AsyncClient.submit)
        arguments = (model, inputs, version, outputs, options)
        if options and (placed := self._placed(arguments, timeout)) is not None:
            return _running_loop().create_task(self._run(*placed))
        call = self._calls.build(*arguments)
        seconds = self._seconds(timeout)
        loop = _running_loop()
        return loop.create_task(self._infer(call, seconds, arguments))

    @overload
    def stream(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[StreamOptions],
    ) -> AsyncInferStream: ...

    @overload
    def stream(
        self,
        model: Requests,
        /,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> AsyncInferStream: ...

    def stream(
        self,
        model: str | Requests,
        inputs: Mapping[str, TensorLike] | None = None,
        *,
        version: str = "",
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        **options: Any,
    ) -> AsyncInferStream:
        """The responses of a decoupled model, or the responses to many requests on one stream.

        See `Client.stream`. Requests may also come from an asynchronous iterable; they are taken
        by a task.
        """
        arguments, carrying = split(options)
        requests = stream_requests(model, inputs, version, outputs, arguments)
        name = model if isinstance(model, str) else ""
        return self._open_stream(carrying, timeout, response_timeout, requests, name)

    def open_stream(
        self,
        *,
        timeout: float | None = None,
        response_timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        request_compression: str | None = None,
    ) -> AsyncInferStream:
        """A stream on which requests are sent one by one; see `Client.open_stream`."""
        carrying = make_transport_options(headers, request_compression=request_compression)
        return self._open_stream(carrying, timeout, response_timeout)

    def _open_stream(
        self,
        options: Options,
        timeout: float | None,
        response_timeout: Timeout,
        requests: Requests | None = None,
        model: str = "",
    ) -> AsyncInferStream:
        from .aio_stream import AsyncInferStream

        check_streams(self._url)
        seconds = self._seconds(response_timeout, "response_timeout")
        check_timeout(timeout)
        timeout = None if timeout is None else float(timeout)
        explain = self._explainer(options, timeout, seconds, model)
        return AsyncInferStream(
            lambda: self._transport.open(options, timeout), self._url, seconds, requests, explain
        )

    async def model(
        self,
        name: str,
        version: str = "",
        *,
        timeout: Timeout = CLIENT_DEFAULT,
        headers: Mapping[str, str | bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        cast: bool = False,
    ) -> AsyncModel:
        """A handle on a model; see `Client.model`."""
        check_model_name(name)
        flow = flows.describe_model(name, version, self._seconds(timeout))
        return AsyncModel(self, await self._run(flow, make_transport_options(headers, query)), cast)

    # Shared memory

    def shared_memory(
        self, byte_size: int = 1 << 20, *, device: int | None = None, mode: int = 0o600
    ) -> AsyncSharedMemory:
        """Memory that the server shares; see `Client.shared_memory`."""
        from .shared_memory import AsyncSharedMemory  # which few need

        return AsyncSharedMemory(self._run, self._url, self._timeout, byte_size, device, mode)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise RuntimeError(
            f"{error}: AsyncClient.submit makes a task of it; call it in a coroutine, or use Client"
        ) from None
