"""HTTP on asyncio: the same pool and the same calls as `blocking`, on an event loop.

Nothing is bound to a loop until a call is made, and each loop has connections of its own, so one
transport outlives several `asyncio.run` and can serve loops in different threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import weakref
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, cast

from ..datatypes import Buffer
from ..engine.http1 import Http1, Response
from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..messages import Request
from .endpoint import TLS, Endpoint
from .http import (
    NO_OPTIONS,
    HttpCall,
    HttpSettings,
    Options,
    check_limit,
    check_timeout,
    gather,
    locate,
    note,
    trusted,
)
from .polling import IN, Poll, poller

T = TypeVar("T")

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024


class HttpTransport:
    """Sends requests over HTTP from coroutines.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self, settings: HttpSettings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        check_limit("max_connections", max_connections)
        self._settings = settings
        self._url = settings.endpoint.url
        self._tls = tls or TLS()
        self._context = self._tls.make_context() if settings.endpoint.secure else None
        self._max_connections = max_connections
        self._pools: weakref.WeakKeyDictionary[AbstractEventLoop, _Pool] = (
            weakref.WeakKeyDictionary()
        )
        self._recent: _Pool | None = None  # that of the last call: quicker than a look-up
        self._closed = False

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> HttpCall[T]:
        """A request as bytes, to be sent once or often."""
        return HttpCall(request, self._settings, options)

    async def send(self, call: HttpCall[T], timeout: float | None = None) -> T:
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
        recent = self._recent  # read once: another thread's loop may change it
        pool = recent if recent is not None and recent.loop is loop else self._pool(loop)
        try:
            connection = pool.take() or await pool.acquire(deadline)
            try:
                return await _exchange(pool, connection, call, deadline)
            except ConnectionFailed:
                # A server may close an idle connection just as the next request is on its way.
                if not (connection.reused and call.idempotent):
                    raise
                note("%s: the idle connection was lost; asking again", self._url)
            pool.discard_idle()
            return await _exchange(pool, await pool.acquire(deadline), call, deadline)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def _pool(self, loop: AbstractEventLoop) -> _Pool:
        if self._closed:
            raise RuntimeError("the client is closed")
        pool = self._pools.get(loop)
        if pool is None:
            connect = _Connector(self._settings, self._context, self._tls)
            pool = self._pools[loop] = _Pool(loop, connect, self._max_connections)
        self._recent = pool
        return pool

    async def close(self) -> None:
        """Close the connections of this event loop; those of ended loops are gone already."""
        self._closed = True
        self._recent = None
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()


async def _exchange(pool: _Pool, connection: _Connection, call: HttpCall[T], deadline: float) -> T:
    try:
        answer = connection.expect(deadline)
        pool.watch(deadline)
        buffers = gather(call.start(connection.engine))
        if len(buffers) == 1 and len(buffers[0]) <= _PIECE:
            connection.transport.write(buffers[0])
        else:
            await connection.write(buffers, answer)
        result = call.finish(await answer)
    except BaseException as error:
        connection.forget()
        if trusted(error):
            pool.release(connection)
        else:
            pool.discard(connection)
        raise
    connection.forget()
    pool.release(connection)
    return result


class _Connection(asyncio.BufferedProtocol):
    """A connection as the event loop sees it: its bytes go straight into the engine.

    Attributes:
        deadline: the loop's time by which the answer must be there; infinite while idle.
    """

    def __init__(self, engine: Http1, loop: AbstractEventLoop) -> None:
        self.engine = engine
        self.reused = False
        self.deadline = math.inf
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set on connect
        self._poll: Poll = None  # type: ignore[assignment]  # set on connect
        self._answer: asyncio.Future[Response] | None = None
        self._writable: asyncio.Future[None] | None = None

    # What a call does

    def expect(self, deadline: float) -> asyncio.Future[Response]:
        """Begin to wait for an answer."""
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

    def time_out(self, now: float) -> None:
        """Give up waiting if the deadline has passed."""
        if self.deadline <= now:
            self._fail(DeadlineExceeded("the deadline passed before the answer was there"))

    def _fail(self, error: BaseException) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def stale(self) -> bool:
        """Whether the server has closed the idle connection, or sent what nobody asked for.

        The socket is asked, since the loop may not have come round to reading from it.
        """
        return self.lost.done() or self._poll(IN, 0) != 0

    def close(self) -> None:
        self.transport.abort()

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._poll = poller(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.engine.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self.engine.buffer_updated(nbytes)
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


class _Connector:
    """Opens connections to one endpoint."""

    def __init__(self, settings: HttpSettings, context: ssl.SSLContext | None, tls: TLS) -> None:
        self.url = settings.endpoint.url
        self._settings = settings
        self._context = context
        self._tls = tls

    async def __call__(self, deadline: float) -> _Connection:
        loop = asyncio.get_running_loop()
        timeout = None if deadline == math.inf else max(0.0, deadline - loop.time())
        try:
            return await asyncio.wait_for(self._connect(loop), timeout)
        except (asyncio.TimeoutError, OSError, ValueError) as error:
            # The network has a timeout of its own, whose error has a number.
            if isinstance(error, (asyncio.TimeoutError, TimeoutError)) and not error.args:
                raise DeadlineExceeded("the deadline passed while connecting") from error
            kind = (
                "the TLS handshake failed" if isinstance(error, ssl.SSLError) else "can't connect"
            )
            raise ConnectionFailed(f"{kind}: {error}") from error

    async def _connect(self, loop: AbstractEventLoop) -> _Connection:
        endpoint: Endpoint = self._settings.endpoint

        def protocol() -> _Connection:
            return _Connection(self._settings.engine(), loop)

        if endpoint.socket_path:
            return (await loop.create_unix_connection(protocol, endpoint.socket_path))[1]
        name = (self._tls.server_name or endpoint.host) if self._context else None
        _, connection = await loop.create_connection(
            protocol, endpoint.host, endpoint.port, ssl=self._context, server_hostname=name
        )
        return connection


class _Pool:
    """Connections to one endpoint on one event loop."""

    def __init__(self, loop: AbstractEventLoop, connect: _Connector, max_connections: int) -> None:
        self._loop = weakref.ref(loop)  # the pool hangs on the loop, which must be free to go
        self._connect = connect
        self._max_connections = max_connections
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._keeper: AsyncGenerator[None, None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_time = math.inf

    @property
    def loop(self) -> AbstractEventLoop | None:
        return self._loop()

    def take(self) -> _Connection | None:
        """An idle connection that can be used, if there is one."""
        while self._idle:
            connection = self._idle.pop()
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
            if len(self._all) + self._opening < self._max_connections:
                return await self._open(deadline)
            await self._wait(deadline)
            if deadline <= asyncio.get_running_loop().time():
                self._wake()  # the next in line may still have time
                raise _all_busy(self._max_connections)

    def discard_idle(self) -> None:
        """Close all idle connections, when one has shown that they can't be relied on."""
        while self._idle:
            self.discard(self._idle.pop())

    # One timer serves the deadlines of all calls, since most end long before theirs; it moves
    # on to the next deadline only when it rings.

    def watch(self, deadline: float) -> None:
        """See to it that a call with this deadline ends by then."""
        if deadline < self._alarm_time:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_time = deadline
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_time = None, math.inf
        now = asyncio.get_running_loop().time() + 0.001  # timers may ring a little early
        for connection in self._all:
            connection.time_out(now)
        self.watch(min((c.deadline for c in self._all if c.deadline > now), default=math.inf))

    async def _open(self, deadline: float) -> _Connection:
        if self._keeper is None:
            self._keeper = self._until_the_loop_ends()
            await self._keeper.asend(None)
        self._opening += 1
        try:
            connection = await self._connect(deadline)
            self._all.add(connection)
            note("%s: connected", self._connect.url)
            return connection
        finally:
            self._opening -= 1
            if len(self._all) + self._opening < self._max_connections:
                self._wake()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        # `asyncio.run` finishes the generators that are left over, and only to them does it tell
        # that the loop is about to end, while sockets can still be closed in order.
        try:
            yield
        finally:
            await self._close_idle()

    async def _wait(self, deadline: float) -> None:
        """Wait until a connection may be free."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = None
        if deadline != math.inf:
            timer = loop.call_at(deadline, _give_up, waiter, self._max_connections)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._wake()  # woken and cancelled at once: the next in line takes over
            raise
        finally:
            if timer is not None:
                timer.cancel()
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def release(self, connection: _Connection) -> None:
        """Put a connection back."""
        if connection.engine.reusable and not self._closed and not connection.lost.done():
            self._idle.append(connection)
            self._wake()
        else:
            self.discard(connection)

    def discard(self, connection: _Connection) -> None:
        """Close a connection and let another take its place."""
        connection.close()
        self._all.discard(connection)
        note("%s: connection closed", self._connect.url)
        self._wake()

    async def close(self) -> None:
        self._closed = True
        await self._close_idle()
        if self._alarm is not None and not self._all:
            self._alarm.cancel()
        if self._keeper is not None:
            await self._keeper.aclose()

    async def _close_idle(self) -> None:
        idle = list(self._idle)
        self.discard_idle()
        while self._waiters:
            self._wake()
        if idle:
            # Only when the loop has seen the end of each are their sockets closed.
            await asyncio.wait([connection.lost for connection in idle])


def _give_up(waiter: asyncio.Future[None], connections: int) -> None:
    if not waiter.done():
        waiter.set_exception(_all_busy(connections))


def _all_busy(connections: int) -> DeadlineExceeded:
    return DeadlineExceeded(f"the deadline passed while all {connections} connections were busy")
