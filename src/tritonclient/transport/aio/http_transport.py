"""HTTP on asyncio: the same pool and the same calls as `blocking`, on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ...datatypes import Buffer
from ...engine.http1 import Http1, Response
from ...errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..call import Call, Settings, check_timeout, gather, locate, note
from ..deadlines import RECEIVING, SENDING, WAITING, late
from ..endpoint import TLS
from ..polling import looker
from .decompressing import decompress
from .pool import Connector, LoopConnection, LoopPool, LoopTransport, all_busy

T = TypeVar("T")

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024


class HttpTransport(LoopTransport["_Pool"]):
    """Sends requests over HTTP from coroutines.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self, settings: Settings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        super().__init__(
            settings,
            _Pool,
            lambda loop: _Connection(settings.engine(), loop),
            tls=tls,
            max_connections=max_connections,
        )

    async def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer.

        Cancelling the task closes the connection, which tells the server to stop.

        Args:
            timeout: seconds from now until the answer must be there; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        check_timeout(timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        try:
            connection = pool.take() or await pool.acquire(deadline)
            try:
                return await _exchange(pool, connection, call, deadline)
            except ConnectionFailed:
                # A server may close an idle connection just as the next request is on its way.
                if not (connection.reused and call.idempotent):
                    raise
                note("%s: the idle connection was lost; asking again", self._url)
            except DeadlineExceeded:
                if timeout is not None:
                    pool.discard_silent(deadline - timeout)
                raise
            pool.discard_idle()
            return await _exchange(pool, await pool.acquire(deadline), call, deadline)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise


async def _exchange(pool: _Pool, connection: _Connection, call: Call[T], deadline: float) -> T:
    try:
        answer = connection.expect(deadline)
        pool.watch(deadline)
        buffers = gather(call.start(connection.engine, None))
        if len(buffers) == 1 and len(buffers[0]) <= _PIECE:
            connection.transport.write(buffers[0])
        else:
            await connection.write(buffers, answer)
        response = await answer
        compressed = call.compressed(response)
        if compressed is not None:
            await decompress(compressed, deadline)
        result = call.finish(response)
    except BaseException as error:
        connection.forget()
        if call.trusts(error):
            pool.release(connection)
        else:
            pool.discard(connection)
        raise
    connection.forget()
    pool.release(connection)
    return result


class _Connection(LoopConnection):
    """A connection as the event loop sees it: its bytes go straight into the engine.

    Attributes:
        deadline: the loop's time by which the answer must be there; infinite while idle.
        heard: the loop's time of its last answer.
    """

    def __init__(self, engine: Http1, loop: AbstractEventLoop) -> None:
        self.engine = engine
        self.reused = False
        self.deadline = math.inf
        self.heard = 0.0
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set on connect
        self._look: Callable[[], object] = None  # type: ignore[assignment]  # set on connect
        self._answer: asyncio.Future[Response] | None = None
        self._failure: BaseException | None = None  # from before there was a call
        self._writable: asyncio.Future[None] | None = None

    # What a call does

    def expect(self, deadline: float) -> asyncio.Future[Response]:
        """Begin to wait for an answer."""
        if self._failure is not None and not self.reused:
            raise self._failure  # what the server said first is not HTTP
        if self.lost.done():
            raise ConnectionFailed("the connection was lost")
        self.deadline = deadline
        self._answer = self._loop.create_future()
        return self._answer

    def forget(self) -> None:
        """No longer wait for an answer."""
        answer, self._answer = self._answer, None
        self.deadline = math.inf
        if answer is not None and answer.done() and not answer.cancelled():
            answer.exception()  # if nobody awaited it, a cancellation went first

    async def write(self, buffers: list[Buffer], answer: asyncio.Future[Response]) -> None:
        """Send much, unless the answer comes before the last of it."""
        for buffer in buffers:
            view = memoryview(buffer)
            for start in range(0, len(view), _PIECE):
                if answer.done():
                    # Answered, or failed, before all was sent: the rest is of no use.
                    self.engine.abandon()
                    return
                self.transport.write(view[start : start + _PIECE])
                if self._writable is not None:
                    either: list[asyncio.Future[Any]] = [self._writable, answer]
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            self._check_all_sent(answer)
        else:
            answer.add_done_callback(self._check_all_sent)

    def _check_all_sent(self, answer: asyncio.Future[Response]) -> None:
        if self.transport.get_write_buffer_size():
            self.engine.abandon()  # answered before all was sent

    @property
    def idle(self) -> bool:
        return self._answer is None

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
        return RECEIVING if self.engine.answering else WAITING

    def _fail(self, error: BaseException) -> None:
        if self._answer is None:
            self._failure = self._failure or error
        elif not self._answer.done():
            self._answer.set_exception(error)

    def stale(self) -> bool:
        """Whether the server has closed the idle connection, or sent what nobody asked for.

        The socket is asked, since the loop may not have come round to reading from it.
        """
        return self.lost.done() or bool(self._look())

    def close(self) -> None:
        self.transport.abort()

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._look = looker(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room(self.engine.get_buffer(), sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self.staged is None:
                self.engine.buffer_updated(nbytes)
            else:
                self.unstage(self.engine, self.staged[:nbytes])
        except InferenceServerException as error:
            self._fail(error)
            self.transport.abort()
        else:
            self._deliver()

    def eof_received(self) -> bool:
        try:
            self.engine.eof_received()
        except InferenceServerException as error:
            self._fail(error)
            self.transport.abort()
        else:
            self._deliver()
        return False

    def _deliver(self) -> None:
        answer = self._answer
        if answer is None:
            self.transport.abort()  # nobody asked for anything
        elif self.engine.response is not None and not answer.done():
            answer.set_result(self.engine.response)

    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, OSError) and self._answer is not None:
            self._last_words(self._answer)
        if not self.lost.done():
            self.lost.set_result(None)
        self.resume_writing()
        self._fail(ConnectionFailed(f"the connection was lost: {exc or 'closed'}"))

    def _last_words(self, answer: asyncio.Future[Response]) -> None:
        """Read what came before a reset that sending ran into: it may be the answer."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or self.transport.get_extra_info("sslcontext") is not None:
            return
        with (
            contextlib.suppress(OSError),
            socket.fromfd(sock.fileno(), sock.family, sock.type) as s,
        ):
            s.setblocking(False)
            while not answer.done() and (count := s.recv_into(self.engine.get_buffer())):
                self.buffer_updated(count)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)


class _Pool(LoopPool[_Connection]):
    """Connections that carry one call at a time."""

    def __init__(
        self, loop: AbstractEventLoop, connect: Connector[_Connection], max_connections: int
    ) -> None:
        super().__init__(loop, connect, max_connections)
        self._idle: dict[_Connection, None] = {}

    def take(self) -> _Connection | None:
        """An idle connection that can be used, if there is one."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.engine.reusable and not connection.stale():
                connection.reused = True
                return connection
            self.discard(connection)
        return None

    async def acquire(self, deadline: float) -> _Connection:
        """A connection ready for a call: an idle one, a new one, or one waited for."""
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._closed:
                raise RuntimeError("the client is closed")
            if len(self._all) + len(self._opening) < self._max_connections:
                return await self.open(deadline)
            if self._discard_forgotten():
                continue
            await self.wait(deadline)
            if deadline <= asyncio.get_running_loop().time():
                self.wake()  # the next in line may still have time
                raise all_busy(self._max_connections)

    def discard_idle(self) -> None:
        """Close all idle connections, when one has shown that they can't be relied on."""
        while self._idle:
            self.discard(self._idle.popitem()[0])

    def discard_silent(self, time: float) -> None:
        """Close the idle connections that have answered nothing since a time of the loop.

        They may have been lost together with the one on which a call has timed out.
        """
        for connection in [each for each in self._idle if each.heard < time]:
            self.discard(connection)

    def _discard_forgotten(self) -> bool:
        """Close connections that are neither idle nor in use; whether there were any.

        A call takes a connection and begins to use it without giving way to others. So these
        belong to calls that an exception of a signal handler has ended in between.
        """
        forgotten = [each for each in self._all if each.idle and each not in self._idle]
        for connection in forgotten:
            self.discard(connection)
        return bool(forgotten)

    def release(self, connection: _Connection) -> None:
        """Put a connection back."""
        if connection.engine.reusable and not self._closed and not connection.lost.done():
            connection.heard = asyncio.get_running_loop().time()
            self._idle[connection] = None
            self.wake()
        else:
            self.discard(connection)

    def discard(self, connection: _Connection) -> None:
        super().discard(connection)
        self._idle.pop(connection, None)
