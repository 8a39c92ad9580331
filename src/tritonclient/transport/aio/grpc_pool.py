"""Pool of gRPC connections, on asyncio only: its calls share connections.

A call takes a connection that has room for another stream. When none has, a further one is opened,
and when there are as many as may be, it waits. Suspect connections are waited for, but not longer
than they have to answer, or a call with less time can afford; then another is opened.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from asyncio import AbstractEventLoop, Future
from functools import partial

from ...errors import Cancelled
from ..call import AsyncGrpcStream
from ..deadline import CONNECTING, all_busy, late, seconds_left
from ..errors import client_closed
from .connecting import Connector
from .grpc_connection import PATIENCE, GrpcConnection
from .pool import BasePool


def _to_be_read(connection: GrpcConnection) -> bool:
    """True if it is idle with unread input, which may be the end of the connection.

    It ends no call, so that nobody who waits would be told of it.
    """
    return connection.idle and (connection.has_room() or not connection.engine.reusable)


class GrpcPool(BasePool[GrpcConnection]):
    """Connections that carry many calls each."""

    def __init__(self, loop: AbstractEventLoop, connect: Connector, max_connections: int) -> None:
        super().__init__(loop, connect, max_connections)
        self._connections: list[GrpcConnection] = []
        self._connecting: Future[None] | None = None
        self._news: Future[None] | None = None  # done when a connection has changed
        self._replaced = -math.inf  # the loop's time when one was opened in place of a suspect
        self.streams: weakref.WeakSet[AsyncGrpcStream] = weakref.WeakSet()

    def take(self) -> GrpcConnection | None:
        """Return a connection that has room for another call, or None."""
        for connection in self._connections:
            # What came unasked may be the end, which the loop has not come round to reading.
            if connection.has_room() and (connection.engine.streams or not connection.has_input()):
                connection.reused = True
                return connection
        return None

    async def acquire(self, deadline: float) -> GrpcConnection:
        """Return a connection for a call: one with room, a new one, or one waited for."""
        await self._read_input()
        loop = asyncio.get_running_loop()
        # Half of the time is left for another connection.
        wanted = loop.time() + (deadline - loop.time()) / 2
        while True:
            connection = self.take()
            if connection is not None:
                if self._waiters and connection.free > 1:
                    self.wake()
                return connection
            if self._closed:
                raise client_closed(self._connect.url)
            if self._connecting is not None:
                await self._wait_for_another(self._connecting, deadline)
            elif (until := self._patience_ends(wanted)) > loop.time():
                await self._wait_for_news(min(until, deadline))
                if deadline <= loop.time():
                    raise late()
            elif self._count() < self._max_connections:
                if until != -math.inf:
                    self._replaced = loop.time()
                return await self._connect_once(deadline)
            elif any(map(_to_be_read, self._connections)):
                await self._read_input()
            else:
                await self.wait(deadline)
                if deadline <= loop.time():
                    self.wake()  # the next in line may still have time
                    raise all_busy(self._max_connections)

    async def _read_input(self) -> None:
        """Wait until the loop has read the input of idle connections."""
        for connection in list(self._connections):
            for _ in range(3):
                if not (connection.idle and connection.has_input()):
                    break
                await asyncio.sleep(0)
            self.release(connection)

    def _count(self) -> int:
        """Return the number of connections that have not been given up."""
        return sum(not connection.given_up for connection in self._all) + len(self._opening)

    def _patience_ends(self, wanted: float) -> float:
        """Return the time until which to wait for a suspect connection before opening another.

        Args:
            wanted: the time beyond which the call would rather not wait.

        Returns:
            A time of the loop; less than any if there is no such connection.
        """
        if asyncio.get_running_loop().time() < self._replaced + PATIENCE:
            # The new one does not answer either, so that it is rather the server that is slow.
            wanted = math.inf
        return max(
            (
                connection.patience_ends(wanted)
                for connection in self._connections
                if connection.suspect and not connection.given_up and connection.will_take
            ),
            default=-math.inf,
        )

    async def _wait_for_news(self, until: float) -> None:
        """Wait until a connection has changed, or a time of the loop."""
        loop = asyncio.get_running_loop()
        if self._news is None:
            self._news = loop.create_future()
        await asyncio.wait([self._news], timeout=max(0.0, until - loop.time()))

    def discard_idle(self) -> None:
        """Close all idle connections, when one has shown that they can't be relied on."""
        for connection in list(self._connections):
            if connection.idle:
                self.discard(connection)

    def suspect_silent(self, time: float) -> None:
        """Probe the connections from which nothing has been received since a time of the loop.

        They may have been lost together with the one on which a call has timed out.
        """
        for connection in self._connections:
            if not connection.heard_since(time):
                connection.send_liveness_probe()

    async def _connect_once(self, deadline: float) -> GrpcConnection:
        """Open a connection, on which the calls that come meanwhile wait as well.

        They wait until the server has told how many calls it takes; the first need not.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        connecting = self._connecting = loop.create_future()
        patience = loop.call_later(PATIENCE, self._end_connecting, connecting)
        try:
            connection = await self.open(deadline)
        finally:
            patience.cancel()
            self._end_connecting(connecting)
        connection.round_trip = max(connection.round_trip, loop.time() - began)
        self._connections.append(connection)
        connection.changed = partial(self._changed, connection)
        return connection

    def _changed(self, connection: GrpcConnection) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
        if connection.given_up:
            self.release(connection)
            self.wake()  # another may be opened in its place
        elif connection.has_room():
            self.wake()

    def _end_connecting(self, connecting: Future[None]) -> None:
        """Wake the calls that wait for a connection being opened."""
        if not connecting.done():
            connecting.set_result(None)
        if self._connecting is connecting:
            self._connecting = None

    async def _wait_for_another(self, connecting: Future[None], deadline: float) -> None:
        left = seconds_left(deadline, asyncio.get_running_loop().time())
        await asyncio.wait([connecting], timeout=left)
        if not connecting.done():
            raise late(CONNECTING)

    def release(self, connection: GrpcConnection) -> None:
        """Use the room that a call has left, or close the connection."""
        if connection.engine.reusable and not (self._closed or connection.unwanted):
            if self._waiters and connection.has_room():
                self.wake()
        elif connection.idle and connection in self._all:
            self.discard(connection)

    async def close(self) -> None:
        # Streams have no end of their own that could be waited for.
        for stream in list(self.streams):
            stream.cancel(Cancelled("the client was closed"))
        await super().close()

    def discard(self, connection: GrpcConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        super().discard(connection)
