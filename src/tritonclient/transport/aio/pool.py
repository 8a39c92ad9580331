"""Pools of connections on an event loop."""

from __future__ import annotations

import asyncio
import math
import weakref
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

from ..call import log_debug
from ..deadline import all_busy
from ..errors import client_closed
from .connecting import Connector
from .connection import BaseConnection, Connection

C = TypeVar("C", bound=BaseConnection)


class BasePool(Generic[C]):
    """Connections to one endpoint on one event loop.

    Attributes:
        loop: returns the loop, or None once it is gone: the pool hangs on it.
        alarm_time: the loop's time of the next deadline that is watched.
    """

    def __init__(self, loop: AbstractEventLoop, connect: Connector, max_connections: int) -> None:
        self.loop = weakref.ref(loop)
        self._connect = connect
        self._max_connections = max_connections
        self._all: set[C] = set()
        self._opening: set[object] = set()  # one object each for those that are being opened
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._closed = False
        self._keeper: AsyncGenerator[None, None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self.alarm_time = math.inf

    # One timer serves the deadlines of all calls, since most end long before theirs; it moves
    # on to the next deadline only when it rings.

    def watch(self, deadline: float) -> None:
        """See to it that a call with this deadline ends by then."""
        if deadline < self.alarm_time:
            if self._alarm is not None:
                self._alarm.cancel()
            self.alarm_time = deadline
            self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._alarm, self.alarm_time = None, math.inf
        now = asyncio.get_running_loop().time() + 0.001  # timers may ring a little early
        for connection in list(self._all):
            connection.time_out(now)
        self.watch(min((connection.next_deadline for connection in self._all), default=math.inf))

    async def open(self, deadline: float) -> C:
        """Open a connection."""
        if self._keeper is None:
            self._keeper = self._until_the_loop_ends()
            await self._keeper.asend(None)
        opening = object()
        try:
            self._opening.add(opening)
            connection: C = await self._connect(deadline)
            self._all.add(connection)
            log_debug("%s: connected", self._connect.url)
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
        """Wake the call that has waited longest for a connection."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return

    def discard(self, connection: C) -> None:
        """Close a connection and let another take its place."""
        connection.close()
        self._all.discard(connection)
        log_debug("%s: connection closed", self._connect.url)
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


class Pool(BasePool[Connection]):
    """Connections that carry one call at a time."""

    def __init__(self, loop: AbstractEventLoop, connect: Connector, max_connections: int) -> None:
        super().__init__(loop, connect, max_connections)
        self._idle: dict[Connection, None] = {}

    def take(self) -> Connection | None:
        """Return an idle connection that can be used, or None."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.engine.reusable and not connection.is_stale():
                connection.reused = True
                return connection
            self.discard(connection)
        return None

    async def acquire(self, deadline: float) -> Connection:
        """Return a connection for a call: an idle one, a new one, or one waited for."""
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._closed:
                raise client_closed(self._connect.url)
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

    def suspect_silent(self, time: float) -> None:
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

    def release(self, connection: Connection) -> None:
        """Put a connection back."""
        if connection.engine.reusable and not self._closed and not connection.lost.done():
            connection.heard = asyncio.get_running_loop().time()
            self._idle[connection] = None
            self.wake()
        else:
            self.discard(connection)

    def discard(self, connection: Connection) -> None:
        super().discard(connection)
        self._idle.pop(connection, None)


def _give_up(waiter: asyncio.Future[None], connections: int) -> None:
    if not waiter.done():
        waiter.set_exception(all_busy(connections))
