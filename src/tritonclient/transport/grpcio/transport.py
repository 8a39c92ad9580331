"""gRPC through a grpcio channel: the same calls as over our own engine, carried by another.

For those who pass channel arguments that only grpcio knows (load balancing, service
configuration ...), or its credential objects. It takes several times the processor time.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ...datatypes import Buffer
from ...engine.rpc_stream import Outcome
from ...errors import Cancelled, ConnectionFailed, DeadlineExceeded, InferenceServerException
from ...extras import optional_import
from ...messages import Request
from ..call import NO_OPTIONS, Call, Grpcio, Options, check_timeout, locate
from ..endpoint import TLS, Endpoint
from ..grpc_call import GrpcCall, GrpcSettings, check_options, check_outcome

with optional_import("grpcio", "gRPC through Grpcio()", "grpcio"):
    import grpc

#: The types lack some of its names.
_aio: Any = grpc.aio

T = TypeVar("T")

_UNAVAILABLE = 14
#: What grpcio's core says of its own connections; a server's words may be anything else.
_LOST = re.compile(
    "failed to connect|connection (reset|refused|closed)|socket closed|broken pipe|goaway|"
    "dns resolution failed|name resolution|handshake failed|ping timeout|keepalive|recvmsg|"
    "endpoint closing|stream removed",
    re.IGNORECASE,
)
#: Messages that may wait to be sent before a sender waits.
_ROOM = 4
_STREAM = "ModelStreamInfer"
_LARGEST = 2**31 - 1


class GrpcioTransport:
    """Sends requests through a grpcio channel. Any number of threads may use one.

    A child process after a fork gets a channel of its own, as far as grpcio survives the fork.
    """

    def __init__(self, settings: GrpcSettings, grpcio: Grpcio, *, tls: TLS | None = None) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._make = _maker(settings, grpcio, tls or TLS())
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
                raise RuntimeError("the client is closed")
            if self._channel is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._channel = self._make(grpc)
            return self._channel

    def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer; see `blocking.Transport.send`."""
        check_timeout(timeout)
        try:
            rpc = self._open_channel().unary_unary(call.path)
            with _translated():
                message = rpc(call.message(), timeout, call.metadata, compression=_coding(call))
            return call.decode(message)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> Duplex:
        """Begin a stream of inferences; see `blocking.Transport.open`."""
        check_options(options)
        check_timeout(timeout)
        return Duplex(self._open_channel(), self._settings, options, timeout)

    def close(self) -> None:
        """Close the channel, under calls in work as well; later calls fail."""
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    abort = close


class Duplex:
    """A stream of inferences over a channel; see `duplex.Duplex`."""

    def __init__(
        self, channel: Any, settings: GrpcSettings, options: Options, timeout: float | None
    ) -> None:
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._taken = threading.Event()
        self._over = threading.Event()
        self._error: InferenceServerException | None = None
        self._call = channel.stream_stream(settings.path(_STREAM))(
            self._outgoing(),
            timeout,
            settings.metadata(options),
            compression=_CODINGS[options.request_compression],
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
        """Whether the server has ended the stream, or it was cancelled."""
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
        """Whether there is room for another message, or the stream is over."""
        return self._over.is_set() or self._requests.qsize() <= _ROOM

    def drain(self) -> None:
        """Wait until there is room for another message."""
        while not self.sent():
            self._taken.clear()
            if not self.sent():
                self._taken.wait(0.1)

    def end(self) -> None:
        """Tell the server that no more messages will come."""
        self._requests.put(None)

    def receive(self, timeout: float | None = None) -> Buffer | None:
        """The next message, or None when the server has ended the stream well."""
        timer = None
        if timeout is not None:
            late = DeadlineExceeded(f"no response came within {timeout:g} s")
            timer = threading.Timer(timeout, self.cancel, (late,))
            timer.daemon = True
            timer.start()
        try:
            with _translated():
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


# The same on asyncio


class AsyncGrpcioTransport:
    """Sends requests through a grpcio channel from coroutines; each event loop has its own."""

    def __init__(self, settings: GrpcSettings, grpcio: Grpcio, *, tls: TLS | None = None) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._make = _maker(settings, grpcio, tls or TLS())
        self._channels: weakref.WeakKeyDictionary[AbstractEventLoop, Any] = (
            weakref.WeakKeyDictionary()
        )
        self._closed = False

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """A request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def _open_channel(self) -> Any:
        if self._closed:
            raise RuntimeError("the client is closed")
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            channel = self._channels[loop] = self._make(grpc.aio)
        return channel

    async def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer; see `asyncio_grpc.GrpcTransport.send`."""
        check_timeout(timeout)
        try:
            rpc = self._open_channel().unary_unary(call.path)
            with _translated():
                message = await rpc(
                    call.message(),
                    timeout=timeout,
                    metadata=call.metadata,
                    compression=_coding(call),
                )
            return call.decode(message)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    async def open(
        self, options: Options = NO_OPTIONS, timeout: float | None = None
    ) -> AsyncDuplex:
        """Begin a stream of inferences; see `asyncio_grpc.GrpcTransport.open`."""
        check_options(options)
        check_timeout(timeout)
        return AsyncDuplex(self._open_channel(), self._settings, options, timeout)

    async def close(self) -> None:
        """Close this event loop's channel; later calls fail."""
        self._closed = True
        channel = self._channels.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.close()


class AsyncDuplex:
    """A stream of inferences over a channel; see `asyncio_grpc.Duplex`."""

    def __init__(
        self, channel: Any, settings: GrpcSettings, options: Options, timeout: float | None
    ) -> None:
        self._error: InferenceServerException | None = None
        self._call = channel.stream_stream(settings.path(_STREAM))(
            timeout=timeout,
            metadata=settings.metadata(options),
            compression=_CODINGS[options.request_compression],
        )

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream, or it was cancelled."""
        return bool(self._call.done())

    async def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when there is room for another."""
        if not self.ended:
            await self._unless_over(self._call.write(b"".join(message)))

    async def end(self) -> None:
        """Tell the server that no more messages will come."""
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
        """The next message, or None when the server has ended the stream well."""
        timer = None
        if timeout is not None:
            late = DeadlineExceeded(f"no response came within {timeout:g} s")
            loop = asyncio.get_running_loop()
            timer = loop.call_later(timeout, self.cancel, late)
        try:
            with _translated():
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


# What both have in common

_CODINGS: dict[str | None, Any] = {
    None: None,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def _coding(call: GrpcCall[Any]) -> Any:
    return _CODINGS[call.coding]


@contextmanager
def _translated() -> Iterator[None]:
    """Turn grpcio's errors into ours."""
    try:
        yield
    except grpc.RpcError as failure:
        # A call that failed is its own error, which the types do not say.
        error: Any = failure
        code, text = error.code().value[0], error.details() or ""
        trailers = dict(error.trailing_metadata() or ())
        if code == _UNAVAILABLE and _LOST.search(text):
            raise ConnectionFailed(text) from failure
        details = trailers.get("grpc-status-details-bin")
        check_outcome(Outcome(code, text, details, {}, {}))


def make_channel(settings: GrpcSettings, tls: TLS, grpcio: Grpcio, *, awaited: bool) -> Any:
    """A channel as these transports open it, of `grpc` or `grpc.aio`."""
    return _maker(settings, grpcio, tls)(grpc.aio if awaited else grpc)


def _maker(settings: GrpcSettings, grpcio: Grpcio, tls: TLS) -> Callable[[Any], Any]:
    """A function that makes a channel with `grpc` or `grpc.aio`."""
    endpoint = settings.endpoint
    target = grpcio.target or _target(endpoint)
    options = _channel_options(settings, tls) + [tuple(option) for option in grpcio.options]
    credentials = grpcio.credentials
    if credentials is None and endpoint.secure:
        credentials = _credentials(tls)
    if credentials is None:
        return lambda module: module.insecure_channel(target, options)
    return lambda module: module.secure_channel(target, credentials, options)


def _target(endpoint: Endpoint) -> str:
    if endpoint.socket_path:
        return f"unix:{endpoint.socket_path}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _channel_options(settings: GrpcSettings, tls: TLS) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", min(settings.max_response_size, _LARGEST)),
    ]
    keep_alive = settings.keep_alive
    if keep_alive is not None:
        options += [
            ("grpc.keepalive_time_ms", int(min(keep_alive.time * 1000, _LARGEST))),
            ("grpc.keepalive_timeout_ms", int(min(keep_alive.timeout * 1000, _LARGEST))),
            ("grpc.keepalive_permit_without_calls", int(keep_alive.without_calls)),
            ("grpc.http2.max_pings_without_data", keep_alive.max_pings),
        ]
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def _credentials(tls: TLS) -> Any:
    if tls.context is not None or not tls.verify or tls.key_password is not None:
        raise ValueError(
            "grpcio takes certificates from files only, without a password, and verifies always; "
            "pass other settings of TLS without grpcio, or credentials of its own"
        )
    return grpc.ssl_channel_credentials(
        *[
            None if path is None else _read(path)
            for path in (tls.ca_file, tls.key_file, tls.cert_file)
        ]
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
