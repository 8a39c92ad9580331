"""Transport through a grpcio channel, blocking."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Sequence
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

T = TypeVar("T")

#: Messages that may wait to be sent before a sender waits.
_ROOM = 4


class GrpcioTransport:
    """Sends requests through a grpcio channel. Any number of threads may use one.

    A child process after a fork gets a channel of its own, as far as grpcio survives the fork.
    """

    def __init__(self, settings: GrpcSettings, grpcio: Grpcio, *, tls: TLS | None = None) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._make = channel_maker(settings, grpcio, tls or TLS())
        self._lock = threading.Lock()
        self._channel: Any = None
        self._pid = os.getpid()
        self._closed = False

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """A request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def _open_channel(self) -> Any:
        with self._lock:
            if self._closed:
                raise client_closed(self._url)
            if self._channel is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._channel = self._make(grpc)
            return self._channel

    def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response; see `transport.blocking`."""
        try:
            rpc = self._open_channel().unary_unary(call.path)
            with translated_errors():
                message = rpc(
                    call.message(), timeout, call.metadata, compression=compression_of(call)
                )
            return call.decode(message)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> GrpcStream:
        """Begin a stream of inferences; see `transport.blocking`."""
        check_options(options)
        return GrpcStream(self._open_channel(), self._settings, options, timeout)

    def close(self) -> None:
        """Close the channel, under calls in work as well; later calls fail."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    abort = close


class GrpcStream:
    """A stream of inferences over a channel; see `transport.call.GrpcStream`."""

    def __init__(
        self, channel: Any, settings: GrpcSettings, options: Options, timeout: float | None
    ) -> None:
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._taken = threading.Event()
        self._over = threading.Event()
        self._error: InferenceServerException | None = None
        self._call = channel.stream_stream(settings.path(STREAM_METHOD))(
            self._outgoing(),
            timeout,
            settings.metadata(options),
            compression=COMPRESSION[options.request_compression],
        )
        self._call.add_callback(self._over.set)

    def _outgoing(self) -> Iterator[bytes]:
        while not self._over.is_set():
            try:
                message = self._requests.get(timeout=0.1)
            except queue.Empty:
                continue
            if message is None:
                return
            self._taken.set()
            yield message

    @property
    def ended(self) -> bool:
        """True if the server has ended the stream, or it was cancelled."""
        return self._over.is_set()

    def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; waits while several wait to be sent."""
        if not self.post(message):
            self.drain()

    def post(self, message: Sequence[Buffer]) -> bool:
        """Send a message without waiting; whether there is room for another."""
        self._requests.put(b"".join(message))
        return self.sent()

    def sent(self) -> bool:
        """True if there is room for another message, or the stream has ended."""
        return self._over.is_set() or self._requests.qsize() <= _ROOM

    def drain(self) -> None:
        """Wait until there is room for another message."""
        while not self.sent():
            self._taken.clear()
            if not self.sent():
                self._taken.wait(0.1)

    def end(self) -> None:
        """Half-close the stream: no more messages will be sent."""
        self._requests.put(None)

    def receive(self, timeout: float | None = None) -> Buffer | None:
        """Return the next message, or None when the server has ended the stream with status OK."""
        timer = None
        if timeout is not None:
            late = no_response(timeout)
            timer = threading.Timer(timeout, self.cancel, (late,))
            timer.daemon = True
            timer.start()
        try:
            with translated_errors():
                message: bytes = next(self._call)
                return message
        except StopIteration:
            return None
        except InferenceServerException:
            if self._error is not None:
                raise self._error from None
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once, from any thread; harmless when it has ended."""
        if not self._over.is_set():
            self._error = error or Cancelled("the stream was cancelled")
            self._call.cancel()
