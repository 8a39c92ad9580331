"""Transport through a grpcio channel on asyncio."""

from __future__ import annotations

import asyncio
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from typing import Any, TypeVar

from ...datatypes import Buffer
from ...errors import Cancelled, InferenceServerException
from ...messages import Request
from ..call import NO_OPTIONS, Call, Options
from ..deadline import no_response
from ..endpoint import TLS
from ..errors import client_closed, locate
from ..grpc_call import GrpcCall, GrpcSettings, check_options
from ..settings import Grpcio
from .channel import (
    COMPRESSION,
    STREAM_METHOD,
    channel_maker,
    compression_of,
    translated_errors,
)

# `channel` has named the package that is missing otherwise.
import grpc  # isort: skip

#: The types lack some of its names.
_aio: Any = grpc.aio

T = TypeVar("T")


class AsyncGrpcioTransport:
    """Sends requests through a grpcio channel from coroutines; each event loop has its own."""

    def __init__(self, settings: GrpcSettings, grpcio: Grpcio, *, tls: TLS | None = None) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._make = channel_maker(settings, grpcio, tls or TLS())
        self._channels: weakref.WeakKeyDictionary[AbstractEventLoop, Any] = (
            weakref.WeakKeyDictionary()
        )
        self._closed = False

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """A request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def _open_channel(self) -> Any:
        if self._closed:
            raise client_closed(self._url)
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            channel = self._channels[loop] = self._make(grpc.aio)
        return channel

    async def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response; see `transport.aio`."""
        try:
            rpc = self._open_channel().unary_unary(call.path)
            with translated_errors():
                message = await rpc(
                    call.message(),
                    timeout=timeout,
                    metadata=call.metadata,
                    compression=compression_of(call),
                )
            return call.decode(message)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    async def open(
        self, options: Options = NO_OPTIONS, timeout: float | None = None
    ) -> AsyncGrpcStream:
        """Begin a stream of inferences; see `transport.aio`."""
        check_options(options)
        return AsyncGrpcStream(self._open_channel(), self._settings, options, timeout)

    async def close(self) -> None:
        """Close this event loop's channel; later calls fail."""
        self._closed = True
        channel = self._channels.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.close()


class AsyncGrpcStream:
    """A stream of inferences over a channel; see `transport.call.AsyncGrpcStream`."""

    def __init__(
        self, channel: Any, settings: GrpcSettings, options: Options, timeout: float | None
    ) -> None:
        self._error: InferenceServerException | None = None
        self._call = channel.stream_stream(settings.path(STREAM_METHOD))(
            timeout=timeout,
            metadata=settings.metadata(options),
            compression=COMPRESSION[options.request_compression],
        )

    @property
    def ended(self) -> bool:
        """True if the server has ended the stream, or it was cancelled."""
        return bool(self._call.done())

    async def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when there is room for another."""
        if not self.ended:
            await self._unless_over(self._call.write(b"".join(message)))

    async def end(self) -> None:
        """Half-close the stream: no more messages will be sent."""
        if not self.ended:
            await self._unless_over(self._call.done_writing())

    async def _unless_over(self, sending: Any) -> None:
        try:
            await sending
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the receiver is told
        except asyncio.CancelledError:
            if not self._call.cancelled():  # it is this task that is cancelled, not the stream
                raise

    async def receive(self, timeout: float | None = None) -> Buffer | None:
        """Return the next message, or None when the server has ended the stream with status OK."""
        timer = None
        if timeout is not None:
            late = no_response(timeout)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(timeout, self.cancel, late)
        try:
            with translated_errors():
                message: bytes = await self._call.read()
        except asyncio.CancelledError:
            if self._error is not None:
                raise self._error from None
            raise
        except InferenceServerException:
            if self._error is not None:
                raise self._error from None
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if message is _aio.EOF:
            if self._error is not None:
                raise self._error
            return None
        return message

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once; harmless when it has ended."""
        if not self.ended:
            self._error = error or Cancelled("the stream was cancelled")
            self._call.cancel()
