"""What connections on an event loop have in common: opening them, deadlines, and waiting for one.

Nothing is bound to a loop until a call is made, and each loop has connections of its own, so one
transport outlives several `asyncio.run` and can serve loops in different threads.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import weakref
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, TypeVar

from ...errors import DeadlineExceeded
from ...messages import Request
from ..call import (
    NO_OPTIONS,
    Call,
    Engine,
    Options,
    Settings,
    check_limit,
    insecure,
    make_context,
    note,
    unreachable,
)
from ..deadlines import late
from ..endpoint import TLS
from .connecting import Attempt


class LoopConnection(asyncio.BufferedProtocol):
    """A connection as `LoopPool` sees it.

    Attributes:
        lost: done when the loop has seen its end.
        staged: memory for what the loop receives, in place of the engine's.
    """

    lost: asyncio.Future[None]
    staged: memoryview | None = None

    @property
    def idle(self) -> bool:
        """Whether no call is in work."""
        raise NotImplementedError

    @property
    def next_deadline(self) -> float:
        """The loop's time by which the next answer must be there; infinite while idle."""
        raise NotImplementedError

    def time_out(self, now: float) -> None:
        """Give up waiting where the deadline has passed."""
        raise NotImplementedError

    def close(self) -> None:
        """Close at once."""
        raise NotImplementedError

    def room(self, buffer: memoryview, size: int) -> memoryview:
        """The engine's buffer if it has so much room, otherwise memory of that size.

        asyncio's TLS asks for it. What is not taken at once it drops when the peer closes the
        connection, the end of the last answer for instance.
        """
        self.staged = None if len(buffer) >= size else memoryview(bytearray(size))
        return buffer if self.staged is None else self.staged

    def unstage(self, engine: Engine, staged: memoryview) -> None:
        """Let the engine receive what the loop has put there."""
        self.staged = None
        while staged:
            buffer = engine.get_buffer()
            size = min(len(buffer), len(staged))
            buffer[:size] = staged[:size]
            staged = staged[size:]
            engine.buffer_updated(size)


C = TypeVar("C", bound=LoopConnection)
T = TypeVar("T")


class Connector(Generic[C]):
    """Opens connections to one endpoint."""

    def __init__(
        self,
        settings: Settings,
        context: ssl.SSLContext | None,
        tls: TLS,
        make: Callable[[AbstractEventLoop], C],
    ) -> None:
        self.url = settings.endpoint.url
        self._settings = settings
        self._context = context
        self._tls = tls
        self._make = make

    async def __call__(self, deadline: float) -> C:
        loop = asyncio.get_running_loop()
        attempt = Attempt(self._settings.endpoint, loop, deadline)
        timeout = None if deadline == math.inf else max(0.0, deadline - loop.time())
        # Not `wait_for`, which before Python 3.12 forgets a cancellation that comes in the moment
        # when there is a connection.
        connecting = loop.create_task(self._connect(attempt, loop))
        try:
            await asyncio.wait([connecting], timeout=timeout)
        except asyncio.CancelledError:
            _give_up_connecting(connecting)
            raise
        if not connecting.done():
            progress = attempt.progress
            _give_up_connecting(connecting)
            await asyncio.wait([connecting])
            raise late(progress)
        try:
            return connecting.result()
        except (OSError, ValueError) as error:
            # asyncio has no words for a server that hangs up.
            if isinstance(error, ssl.SSLError) or (self._context and not str(error)):
                raise insecure(
                    error if str(error) else "the server closed the connection"
                ) from error
            raise unreachable(error) from error

    async def _connect(self, attempt: Attempt, loop: AbstractEventLoop) -> C:
        sock = await attempt.connect()
        name = None
        if self._context:
            name = self._tls.server_name or self._settings.endpoint.server_name
            attempt.phase = "during the TLS handshake"
        made: list[C] = []

        def protocol() -> C:
            made.append(self._make(loop))
            return made[0]

        try:
            await loop.create_connection(
                protocol, sock=sock, ssl=self._context, server_hostname=name
            )
        except BaseException:
            if not made:  # otherwise the socket is the loop's
                sock.close()
            raise
        return made[0]


class LoopPool(Generic[C]):
    """Connections to one endpoint on one event loop."""

    def __init__(
        self, loop: AbstractEventLoop, connect: Connector[C], max_connections: int
    ) -> None:
        self._loop = weakref.ref(loop)  # the pool hangs on the loop, which must be free to go
        self._connect = connect
        self._max_connections = max_connections
        self._all: set[C] = set()
        self._opening: set[object] = set()  # one object each for those that are being opened
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._closed = False
        self._keeper: AsyncGenerator[None, None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_time = math.inf

    @property
    def loop(self) -> AbstractEventLoop | None:
        """The loop that it belongs to."""
        return self._loop()

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
        for connection in list(self._all):
            connection.time_out(now)
        self.watch(min((connection.next_deadline for connection in self._all), default=math.inf))

    async def open(self, deadline: float) -> C:
        """A new connection."""
        if self._keeper is None:
            self._keeper = self._until_the_loop_ends()
            await self._keeper.asend(None)
        opening = object()
        try:
            self._opening.add(opening)
            connection = await self._connect(deadline)
            self._all.add(connection)
            note("%s: connected", self._connect.url)
            return connection
        finally:
            self._opening.discard(opening)
            if len(self._all) + len(self._opening) < self._max_connections:
                self.wake()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        # `asyncio.run` finishes the generators that are left over, and only to them does it tell
        # that the loop is about to end, while sockets can still be closed in order.
        try:
            yield
        finally:
            await self._close_idle()

    async def wait(self, deadline: float) -> None:
        """Wait until a connection may be free."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters[waiter] = None
        timer = None
        if deadline != math.inf:
            timer = loop.call_at(deadline, _give_up, waiter, self._max_connections)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.wake()  # woken and cancelled at once: the next in line takes over
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._waiters.pop(waiter, None)

    def wake(self) -> None:
        """Let the call that has waited longest look for a connection."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return

    def discard(self, connection: C) -> None:
        """Close a connection and let another take its place."""
        connection.close()
        self._all.discard(connection)
        note("%s: connection closed", self._connect.url)
        self.wake()

    async def close(self) -> None:
        """Close idle connections now, and busy ones when their calls end; later calls fail."""
        self._closed = True
        await self._close_idle()
        if self._alarm is not None and not self._all:
            self._alarm.cancel()
        if self._keeper is not None:
            await self._keeper.aclose()

    async def _close_idle(self) -> None:
        idle = [connection for connection in self._all if connection.idle]
        for connection in idle:
            self.discard(connection)
        while self._waiters:
            self.wake()
        if idle:
            # Only when the loop has seen the end of each are their sockets closed.
            await asyncio.wait([connection.lost for connection in idle])


P = TypeVar("P", bound="LoopPool[Any]")


class LoopTransport(Generic[P]):
    """What a transport on asyncio is made of: a pool for each event loop that it is used on.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self,
        settings: Settings,
        make_pool: Callable[[AbstractEventLoop, Connector[Any], int], P],
        make_connection: Callable[[AbstractEventLoop], Any],
        *,
        tls: TLS | None = None,
        max_connections: int = 100,
    ) -> None:
        check_limit("max_connections", max_connections)
        self._settings = settings
        self._url = settings.endpoint.url
        tls = tls or TLS()
        context = make_context(settings, tls)
        self._connector = Connector(settings, context, tls, make_connection)
        self._make_pool = make_pool
        self._max_connections = max_connections
        self._pools: weakref.WeakKeyDictionary[AbstractEventLoop, P] = weakref.WeakKeyDictionary()
        self._recent: P | None = None  # that of the last call: quicker than a look-up
        self._closed = False

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """A request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def _pool(self, loop: AbstractEventLoop) -> P:
        recent = self._recent  # read once: another thread's loop may change it
        if recent is not None and recent.loop is loop:
            return recent
        if self._closed:
            raise RuntimeError("the client is closed")
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._make_pool(loop, self._connector, self._max_connections)
            self._pools[loop] = pool
        self._recent = pool
        return pool

    async def close(self) -> None:
        """Close the connections of this event loop; those of ended loops are gone already."""
        self._closed = True
        self._recent = None
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()


def _give_up_connecting(connecting: asyncio.Task[C]) -> None:
    connecting.add_done_callback(_close_unwanted)
    connecting.cancel()


def _close_unwanted(connecting: asyncio.Task[C]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


def _give_up(waiter: asyncio.Future[None], connections: int) -> None:
    if not waiter.done():
        waiter.set_exception(all_busy(connections))


def all_busy(connections: int) -> DeadlineExceeded:
    return late(f"while all {connections} connections were busy")
