"""Connections on an event loop; that of HTTP/1.1 carries one call at a time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from abc import abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, cast

from ...datatypes import Buffer
from ...engine.http1 import Http1, Response
from ...errors import ConnectionFailed, InferenceServerException
from ..call import Call, gather
from ..deadline import RECEIVING, SENDING, WAITING, late
from ..errors import lost
from ..polling import readable_check, unacknowledged_bytes
from .decompressing import decompress

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024


class BaseConnection(asyncio.BufferedProtocol):
    """The part of a connection that pools use, and the reading of its received bytes.

    Attributes:
        lost: done when the loop has seen its end.
        reused: whether it has carried a call before.
        transport: the loop's, once connected.
    """

    engine: Any
    lost: asyncio.Future[None]
    reused: bool
    transport: asyncio.Transport
    _overflow: memoryview | None = None
    _written = 0  # bytes given to the loop's transport
    _readable: Callable[[], object]

    @property
    @abstractmethod
    def idle(self) -> bool:
        """True if no call is in progress."""

    @property
    @abstractmethod
    def next_deadline(self) -> float:
        """The loop's time by which the next response must be there; infinite while idle."""

    @abstractmethod
    def time_out(self, now: float) -> None:
        """Give up waiting where the deadline has passed."""

    @abstractmethod
    def close(self) -> None:
        """Close at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._readable = readable_check(transport.get_extra_info("socket"))
        if transport.get_extra_info("sslcontext") is None:
            self.get_buffer = self.engine.get_buffer  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the engine's buffer if it is large enough, otherwise other memory.

        asyncio's TLS asks for a size. What does not fit it drops when the peer closes the
        connection, the end of the last response for instance.
        """
        buffer: memoryview = self.engine.get_buffer()
        self._overflow = None if len(buffer) >= sizehint else memoryview(bytearray(sizehint))
        return buffer if self._overflow is None else self._overflow

    def feed_overflow(self, count: int) -> None:
        """Pass bytes that were received into other memory to the engine."""
        engine, overflow = self.engine, self._overflow
        assert overflow is not None
        self._overflow, overflow = None, overflow[:count]
        while overflow:
            buffer = engine.get_buffer()
            size = min(len(buffer), len(overflow))
            buffer[:size] = overflow[:size]
            overflow = overflow[size:]
            engine.buffer_updated(size)

    def acknowledged_bytes(self) -> float:
        """Return how many written bytes the peer's kernel has acknowledged; infinity if unknown.

        The count is exact at an orderly end (FIN) of a TCP connection without TLS, on Linux.
        """
        transport = self.transport
        if transport.get_extra_info("sslcontext") is not None:
            return math.inf
        waiting = unacknowledged_bytes(transport.get_extra_info("socket"))
        if waiting is None:
            return math.inf
        return self._written - transport.get_write_buffer_size() - waiting


class Connection(BaseConnection):
    """A connection that carries HTTP/1.1, one call at a time.

    Attributes:
        deadline: the loop's time by which the response must be there; infinite while idle.
        heard: the loop's time of its last response.
    """

    def __init__(self, engine: Http1, loop: AbstractEventLoop) -> None:
        self.engine = engine
        self.reused = False
        self.deadline = math.inf
        self.heard = 0.0
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._began = 0  # bytes that were written before the current call
        self._unacknowledged = False  # whether the peer took no byte of the call before the end
        self._future: asyncio.Future[Response] | None = None
        self._failure: BaseException | None = None  # from before there was a call
        self._writable: asyncio.Future[None] | None = None

    # What calls do

    async def exchange(self, call: Call[Any], timeout: float | None, deadline: float) -> Any:
        """Send a call and return its response.

        Args:
            timeout: seconds, for the server.
            deadline: by the loop's clock.

        Raises:
            InferenceServerException: see `errors`.
        """
        self.deadline = deadline
        future = self._future = self._loop.create_future()
        try:
            if self._failure is not None and not self.reused:
                raise self._failure  # what the server said first is not HTTP
            if self.transport.is_closing():  # the loop may not have reported its end yet
                self._unacknowledged = True
                raise ConnectionFailed("the connection was lost")
            engine = self.engine
            call.start(engine, timeout)
            self._began = self._written
            buffers = gather(engine.data_to_send())
            if len(buffers) == 1 and len(buffers[0]) <= _PIECE:
                self._write(buffers[0])
            else:
                await self._write_all(buffers, future)
            response = await future
            compressed = call.compressed(response)
            if compressed is not None:
                await decompress(compressed, deadline)
            return call.finish(response)
        except BaseException as error:
            if future.done() and not future.cancelled():
                future.exception()  # if nobody awaited it, a cancellation went first
            if not call.connection_reusable_after(error):
                self.engine.mark_unusable()
            if isinstance(error, ConnectionFailed):
                error._unacknowledged = self._unacknowledged
            raise
        finally:
            self._future, self.deadline = None, math.inf
            del future  # its error refers to this frame, which would be a circle

    def _write(self, data: Buffer) -> None:
        self.transport.write(data)
        if not self.transport.is_closing():
            self._written += len(data)

    async def _write_all(self, buffers: list[Buffer], future: asyncio.Future[Response]) -> None:
        """Send much, unless the response comes before the last of it."""
        for buffer in buffers:
            view = memoryview(buffer)
            for start in range(0, len(view), _PIECE):
                if future.done():
                    # Answered, or failed, before all was sent: the rest is of no use.
                    self.engine.mark_unusable()
                    return
                self._write(view[start : start + _PIECE])
                if self._writable is not None:
                    either: list[asyncio.Future[Any]] = [self._writable, future]
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            self._check_all_sent(future)
        else:
            future.add_done_callback(self._check_all_sent)

    def _check_all_sent(self, future: asyncio.Future[Response]) -> None:
        if self.transport.get_write_buffer_size():
            self.engine.mark_unusable()  # answered before all was sent

    def _request_unsent(self) -> bool:
        """Return True if the peer's kernel acknowledged no byte of the request."""
        return self._written == self._began or self.acknowledged_bytes() <= self._began

    @property
    def idle(self) -> bool:
        return self._future is None

    @property
    def next_deadline(self) -> float:
        return self.deadline

    def time_out(self, now: float) -> None:
        if self.deadline <= now:
            self.deadline = math.inf
            self._fail(late(self._phase()))

    def _phase(self) -> str:
        if self.transport.get_write_buffer_size():
            return SENDING
        return RECEIVING if self.engine.response_begun else WAITING

    def _fail(self, error: BaseException) -> None:
        if self._future is None:
            self._failure = self._failure or error
        elif not self._future.done():
            self._future.set_exception(error)

    def is_stale(self) -> bool:
        """True if the server has closed the idle connection, or sent what nobody asked for.

        The socket is asked, since the loop may not have read from it yet.
        """
        return self.transport.is_closing() or bool(self._readable())

    def close(self) -> None:
        self.transport.abort()

    # What the event loop does

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self._overflow is None:
                self.engine.buffer_updated(nbytes)
            else:
                self.feed_overflow(nbytes)
        except InferenceServerException as error:
            self._fail(error)
            self.transport.abort()
        else:
            self._deliver()

    def eof_received(self) -> bool:
        self._unacknowledged = self._request_unsent()
        try:
            self.engine.eof_received()
        except InferenceServerException as error:
            self._fail(error)
            self.transport.abort()
        else:
            self._deliver()
        return False

    def _deliver(self) -> None:
        future = self._future
        if future is None:
            self.transport.abort()  # nobody asked for anything
        elif self.engine.response is not None and not future.done():
            future.set_result(self.engine.response)

    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, OSError) and self._future is not None:
            # A broken pipe tells of a reset after an orderly end, so that the count is valid.
            ended = isinstance(exc, BrokenPipeError)
            self._unacknowledged = self._request_unsent() if ended else self._written == self._began
            self._read_final_response(self._future)
        if not self.lost.done():
            self.lost.set_result(None)
        self.resume_writing()
        self._fail(lost(exc or "closed"))

    def _read_final_response(self, future: asyncio.Future[Response]) -> None:
        """Read what came before sending failed: it may be the response."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or self.transport.get_extra_info("sslcontext") is not None:
            return
        with (
            contextlib.suppress(OSError),
            socket.fromfd(sock.fileno(), sock.family, sock.type) as s,
        ):
            s.setblocking(False)
            while not future.done() and (count := s.recv_into(self.engine.get_buffer())):
                self.buffer_updated(count)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
