"""gRPC's connections on asyncio, each of which carries many calls at once.

A call takes a connection that has room for another stream. When none has, a further one is opened,
and when there are as many as may be, it waits. A connection on which a call was given up is asked
for a sign of life, and gets no further calls until there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import weakref
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from ..engine.http2 import Http2
from ..engine.rpc_stream import RpcStream
from ..errors import (
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
)
from .asyncio_pool import Connector, LoopConnection, LoopPool, all_busy
from .call import KeepAlive, gather, lost
from .polling import looker

if TYPE_CHECKING:
    from .asyncio_grpc import Duplex

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024
#: Seconds that a call waits for a sign of life before it takes another connection.
_PATIENCE = 1.0
_TOO_LATE = "the deadline passed before the answer was there"


class GrpcConnection(LoopConnection):
    """A connection as the event loop sees it: its bytes go straight into the engine.

    Attributes:
        used: whether it has carried a call before.
        avoided: whether calls have waited in vain for a sign of life.
        changed: called when there may be room for a call where there was none.
    """

    def __init__(
        self, engine: Http2, loop: AbstractEventLoop, keep_alive: KeepAlive | None
    ) -> None:
        self.engine = engine
        self.used = False
        self.avoided = False
        self.changed: Callable[[], None] | None = None
        self.lost: Future[None] = loop.create_future()
        self._loop = loop
        self._keep_alive = keep_alive
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set on connect
        self._look: Callable[[], object] = None  # type: ignore[assignment]  # set on connect
        self._paused = False
        self._scheduled = False
        self._draining: dict[RpcStream, Future[None]] = {}
        self._heard = 0.0  # the loop's time of the last sign of life
        self._max_streams = engine.max_streams
        self._life: Future[None] | None = None  # done when something comes
        self._alive_timer: asyncio.TimerHandle | None = None

    # What calls do

    def expect(self, stream: RpcStream, deadline: float) -> Future[None]:
        """A future that is done when the call is over."""
        answer: Future[None] = self._loop.create_future()
        self.begin(stream, partial(self._settle, stream, answer), deadline)
        return answer

    def _settle(self, stream: RpcStream, answer: Future[None]) -> None:
        if stream.result is not None and not answer.done():
            answer.set_result(None)

    def begin(self, stream: RpcStream, notify: Callable[[], None], deadline: float) -> None:
        """Tell of a call what there is to be told, and end it at its deadline."""
        stream.notify = notify
        stream.deadline = deadline
        self.used = True

    def cancel(self, stream: RpcStream, error: InferenceServerException) -> None:
        """End a call from our side; harmless when it is over."""
        if stream.result is not None:
            return
        self.engine.cancel(stream, error)
        self.engine.probe()  # the server may have fallen silent for good
        self.schedule()

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function when the loop comes round."""
        self._loop.call_soon(function, *arguments)

    def send_call(self) -> None:
        """Send a call that has begun: at once, or together with what others have by then."""
        if len(self.engine.streams) == 1:
            self._flush()
        else:
            self.schedule()

    def schedule(self) -> None:
        """Send what there is to send, together with what other calls have by then."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self.lost.done():
            return
        engine = self.engine
        while not self._paused and (buffers := engine.data_to_send(_PIECE)):
            for buffer in gather(buffers):
                self._transport.write(buffer)
        if self._draining:
            for stream in [each for each in self._draining if self._has_room(each)]:
                self._draining.pop(stream).set_result(None)

    def _has_room(self, stream: RpcStream) -> bool:
        return stream.out_size < _PIECE or stream.result is not None

    async def drained(self, stream: RpcStream) -> None:
        """Wait until most of what a stream has to send is on its way."""
        if self._has_room(stream):
            return
        room = self._draining[stream] = self._loop.create_future()
        try:
            await room
        finally:
            self._draining.pop(stream, None)

    # What the pool asks

    @property
    def idle(self) -> bool:
        return not self.engine.streams

    @property
    def free(self) -> float:
        """How many more calls the server allows."""
        engine = self.engine
        return engine.max_streams - len(engine.streams) if engine.reusable else 0

    @property
    def has_room(self) -> bool:
        """Whether another call can be made."""
        engine = self.engine
        has_room = engine.reusable and len(engine.streams) < engine.max_streams
        return has_room and not engine.doubtful

    @property
    def useless(self) -> bool:
        """Whether it is better closed when it is idle: it has fallen silent, or never spoke."""
        return self.avoided or not self._max_streams

    async def sign_of_life(self, deadline: float) -> bool:
        """Wait a while until something comes; whether it did."""
        if self._life is None:
            self._life = self._loop.create_future()
        left = min(_PATIENCE, deadline - self._loop.time())
        await asyncio.wait([self._life], timeout=left)
        return not self.engine.doubtful

    def has_input(self) -> bool:
        """Whether something came to the idle connection that the loop has not read yet."""
        return not self.lost.done() and bool(self._look())

    @property
    def next_deadline(self) -> float:
        return min((stream.deadline for stream in self.engine.streams.values()), default=math.inf)

    def time_out(self, now: float) -> None:
        for stream in list(self.engine.streams.values()):
            if stream.deadline <= now:
                self.cancel(stream, DeadlineExceeded(_TOO_LATE))

    def close(self) -> None:
        self._end(ConnectionFailed("the client was closed"))

    def _end(self, error: InferenceServerException) -> None:
        self.engine.fail(error)
        self._transport.abort()

    # Keep-alive

    def _look_alive(self) -> None:
        """Ask for a sign of life if it has been quiet, and give up when none comes."""
        assert self._keep_alive is not None
        settings = self._keep_alive
        quiet = self._loop.time() - self._heard
        if self.engine.ping_pending and quiet >= settings.time + settings.timeout - 0.001:
            text = f"keepalive: the server did not answer a ping in {settings.timeout:g} s"
            self._end(ConnectionFailed(text))
            return
        if not self.engine.ping_pending and quiet >= settings.time - 0.001:
            wanted = settings.without_calls or not self.idle
            if wanted and not (settings.max_pings and self.engine.pings >= settings.max_pings):
                self.engine.ping()
                self.schedule()
        due = settings.time
        if self.engine.ping_pending:
            due = min(due, settings.time + settings.timeout - quiet)
        elif quiet < due:
            due -= quiet
        self._alive_timer = self._loop.call_later(max(0.001, due), self._look_alive)

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._look = looker(transport.get_extra_info("socket"))
        self._heard = self._loop.time()
        if self._keep_alive is not None and self._keep_alive.time < math.inf:
            self._look_alive()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room(self.engine.get_buffer(), sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        engine = self.engine
        self._heard = self._loop.time()
        if self._life is not None:
            self._life.set_result(None)
            self._life = None
        doubtful = engine.doubtful
        try:
            if self.staged is None:
                engine.buffer_updated(nbytes)
            else:
                self.unstage(engine, self.staged[:nbytes])
        except InferenceServerException:
            self._transport.abort()  # the engine has told the calls
        else:
            if engine.pending:
                self.schedule()
            if doubtful or engine.max_streams != self._max_streams:
                self._max_streams = engine.max_streams
                self.avoided = False
                self._tell_of_change()

    def _tell_of_change(self) -> None:
        if self.changed is not None:
            self.changed()

    def eof_received(self) -> bool:
        with contextlib.suppress(InferenceServerException):
            self.engine.eof_received()  # tells the calls
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.engine.fail(lost(self.engine, exc or "closed"))
        if self._alive_timer is not None:
            self._alive_timer.cancel()
        if not self.lost.done():
            self.lost.set_result(None)
        if self._life is not None:
            self._life.set_result(None)
            self._life = None
        self._tell_of_change()
        for room in self._draining.values():
            if not room.done():
                room.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()


def _to_be_read(connection: GrpcConnection) -> bool:
    """Whether it is free but for something unread, which is the end if it has been read by now.

    It ends no call, so that nobody who waits would be told of it.
    """
    return connection.idle and (connection.has_room or not connection.engine.reusable)


class GrpcPool(LoopPool[GrpcConnection]):
    """Connections that carry many calls each."""

    def __init__(
        self, loop: AbstractEventLoop, connect: Connector[GrpcConnection], max_connections: int
    ) -> None:
        super().__init__(loop, connect, max_connections)
        self._connections: list[GrpcConnection] = []
        self._connecting: Future[None] | None = None
        self.duplexes: weakref.WeakSet[Duplex] = weakref.WeakSet()

    def take(self) -> GrpcConnection | None:
        """A connection that has room for another call, if there is one at hand."""
        for connection in self._connections:
            # What came unasked may be the end, which the loop has not come round to reading.
            if connection.has_room and not (connection.idle and connection.has_input()):
                return connection
        return None

    async def acquire(self, deadline: float) -> GrpcConnection:
        """A connection ready for a call: one with room, a new one, or one waited for."""
        await self._read_input()
        while True:
            connection = self.take()
            if connection is not None:
                if self._waiters and connection.free > 1:
                    self.wake()
                return connection
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._connecting is not None:
                await self._wait_for_another(self._connecting, deadline)
            elif (doubted := self._doubted()) is not None:
                await self._hear_of(doubted, deadline)
            elif len(self._all) < self._max_connections:
                return await self._connect_once(deadline)
            elif any(map(_to_be_read, self._connections)):
                await self._read_input()
            else:
                await self.wait(deadline)
                if deadline <= asyncio.get_running_loop().time():
                    self.wake()  # the next in line may still have time
                    raise all_busy(self._max_connections)

    async def _read_input(self) -> None:
        """Let the loop read what has come to idle connections."""
        for connection in list(self._connections):
            for _ in range(3):
                if not (connection.idle and connection.has_input()):
                    break
                await asyncio.sleep(0)
            self.release(connection)

    def _doubted(self) -> GrpcConnection | None:
        """A connection that has room, if only there is a sign of life."""
        for connection in self._connections:
            if connection.engine.doubtful and not connection.avoided and connection.free > 0:
                return connection
        return None

    async def _hear_of(self, connection: GrpcConnection, deadline: float) -> None:
        if not await connection.sign_of_life(deadline) and connection in self._all:
            if deadline <= asyncio.get_running_loop().time():
                raise DeadlineExceeded(_TOO_LATE)
            connection.avoided = True
            self.release(connection)

    async def _connect_once(self, deadline: float) -> GrpcConnection:
        """Open a connection, on which the calls that come meanwhile wait as well.

        They wait until the server has told how many calls it takes; the first need not.
        """
        connecting = self._connecting = asyncio.get_running_loop().create_future()
        try:
            connection = await self.open(deadline)
        except BaseException:
            self._end_connecting(connecting)
            raise
        self._connections.append(connection)
        connection.changed = partial(self._changed, connection, connecting)
        if connection.engine.max_streams or connection.lost.done():
            self._end_connecting(connecting)
        return connection

    def _changed(self, connection: GrpcConnection, connecting: Future[None]) -> None:
        self._end_connecting(connecting)
        if connection.has_room:
            self.wake()

    def _end_connecting(self, connecting: Future[None]) -> None:
        if not connecting.done():
            connecting.set_result(None)
            self._connecting = None

    async def _wait_for_another(self, connecting: Future[None], deadline: float) -> None:
        left = None if deadline == math.inf else deadline - asyncio.get_running_loop().time()
        await asyncio.wait([connecting], timeout=left)
        if not connecting.done():
            raise DeadlineExceeded("the deadline passed while connecting")

    def release(self, connection: GrpcConnection) -> None:
        """Take note that a call has ended."""
        if connection.engine.reusable and not (self._closed or connection.useless):
            if self._waiters and connection.has_room:
                self.wake()
        elif connection.idle and connection in self._all:
            self.discard(connection)

    async def close(self) -> None:
        # Streams have no end of their own that could be waited for.
        for duplex in list(self.duplexes):
            duplex.cancel(Cancelled("the client was closed"))
        await super().close()

    def discard(self, connection: GrpcConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        super().discard(connection)
