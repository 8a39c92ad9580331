"""gRPC on asyncio: many calls at once on each connection.

A call takes a connection that has room for another stream. When none has, a further one is opened,
and when there are as many as may be, it waits.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from functools import partial
from typing import TypeVar, cast

from ..datatypes import Buffer
from ..engine.http2 import Http2
from ..engine.rpc_stream import RpcStream, frame_message
from ..errors import (
    CallRefused,
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
)
from .asyncio_pool import Connector, LoopConnection, LoopPool, LoopTransport, all_busy
from .call import NO_OPTIONS, KeepAlive, Options, check_timeout, gather, locate, note
from .endpoint import TLS
from .grpc import GrpcCall, GrpcSettings, check_options, check_outcome, open_stream
from .polling import IN, Poll, poller

T = TypeVar("T")

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024
#: How often a call that servers refuse to begin is sent again.
_MAX_REFUSALS = 3
_TOO_LATE = "the deadline passed before the answer was there"


class GrpcTransport(LoopTransport["_Pool"]):
    """Sends requests over gRPC from coroutines.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self, settings: GrpcSettings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        super().__init__(
            settings,
            _Pool,
            lambda loop: _Connection(settings.engine(), loop, settings.keep_alive),
            tls=tls,
            max_connections=max_connections,
        )
        self._grpc = settings

    async def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer.

        Cancelling the task resets the stream, which tells the server to stop.

        Args:
            timeout: seconds from now until the answer must be there; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        check_timeout(timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        refusals = 0
        try:
            while True:
                connection = pool.take() or await pool.acquire(deadline)
                reused = connection.used
                try:
                    return await _exchange(pool, connection, call, timeout, deadline)
                except CallRefused:
                    refusals += 1
                    if refusals > _MAX_REFUSALS:
                        raise
                    note("%s: the call was refused; sending it again", self._url)
                except ConnectionFailed:
                    # A server may close an idle connection just as a request is on its way.
                    refusals += 1
                    if not (reused and call.idempotent) or refusals > _MAX_REFUSALS:
                        raise
                    note("%s: the idle connection was lost; asking again", self._url)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    async def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> Duplex:
        """Begin a stream of inferences.

        Args:
            timeout: seconds from now until the stream must have ended; None for no limit.
        """
        check_options(options)
        check_timeout(timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        try:
            connection = pool.take() or await pool.acquire(deadline)
            stream = open_stream(connection.engine, self._grpc, options, timeout)
        except InferenceServerException as error:
            error.endpoint = self._url
            raise
        pool.watch(deadline)
        duplex = Duplex(pool, connection, stream, deadline, options.request_compression)
        pool.duplexes.add(duplex)
        return duplex


async def _exchange(
    pool: _Pool,
    connection: _Connection,
    call: GrpcCall[T],
    timeout: float | None,
    deadline: float,
) -> T:
    stream = call.begin(connection.engine, timeout)
    answer = connection.expect(stream, deadline)
    pool.watch(deadline)
    connection.schedule()
    try:
        await answer
        return call.finish(stream)
    except asyncio.CancelledError:
        connection.cancel(stream, Cancelled("the call was cancelled"))
        raise
    finally:
        connection.forget(stream)
        pool.release(connection)


class Duplex:
    """A stream of inferences: messages to the server, and messages from it.

    One coroutine may send while another receives.
    """

    def __init__(
        self,
        pool: _Pool,
        connection: _Connection,
        stream: RpcStream,
        deadline: float,
        coding: str | None,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._stream = stream
        self._coding = coding
        self._news: Future[None] | None = None
        stream.notify = self._notify
        connection.deadlines[stream] = deadline
        connection.schedule()

    def _notify(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
        if self._stream.result is not None:
            self._connection.forget(self._stream)
            self._pool.release(self._connection)

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream, or it was cancelled."""
        return self._stream.result is not None

    async def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when it is on its way and there is room for another."""
        self._connection.engine.send(self._stream, frame_message(message, self._coding))
        self._connection.schedule()
        await self._connection.drained(self._stream)

    async def end(self) -> None:
        """Tell the server that no more messages will come."""
        self._connection.engine.send(self._stream, (), end=True)
        self._connection.schedule()

    async def receive(self, timeout: float | None = None) -> memoryview | None:
        """The next message, or None when the server has ended the stream well.

        Args:
            timeout: seconds that it may take; when they are over the stream is cancelled.
        """
        stream = self._stream
        while not stream.messages:
            if stream.result is not None:
                check_outcome(stream.result)
                return None
            await self._wait(timeout)
        message = stream.take()
        self._connection.schedule()  # the window may have been opened
        return message

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._time_out, timeout)
        try:
            await self._news
        finally:
            if timer is not None:
                timer.cancel()

    def _time_out(self, timeout: float) -> None:
        self.cancel(DeadlineExceeded(f"no response came within {timeout:g} s"))

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once; harmless when it has ended."""
        self._connection.cancel(self._stream, error or Cancelled("the stream was cancelled"))


class _Connection(LoopConnection):
    """A connection as the event loop sees it: its bytes go straight into the engine.

    Attributes:
        deadlines: the loop's time by which each call must have ended.
        used: whether it has carried a call before.
    """

    def __init__(
        self, engine: Http2, loop: AbstractEventLoop, keep_alive: KeepAlive | None
    ) -> None:
        self.engine = engine
        self.used = False
        self.deadlines: dict[RpcStream, float] = {}
        self.lost: Future[None] = loop.create_future()
        self._loop = loop
        self._keep_alive = keep_alive
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set on connect
        self._poll: Poll = None  # type: ignore[assignment]  # set on connect
        self._paused = False
        self._scheduled = False
        self._draining: dict[RpcStream, Future[None]] = {}
        self._heard = 0.0  # the loop's time of the last sign of life
        self._alive_timer: asyncio.TimerHandle | None = None

    # What calls do

    def expect(self, stream: RpcStream, deadline: float) -> Future[None]:
        """A future that is done when the call is over."""
        answer: Future[None] = self._loop.create_future()
        stream.notify = partial(_settle, stream, answer)
        self.deadlines[stream] = deadline
        self.used = True
        return answer

    def forget(self, stream: RpcStream) -> None:
        """The call is over, or nobody waits for it any more."""
        self.deadlines.pop(stream, None)

    def cancel(self, stream: RpcStream, error: InferenceServerException) -> None:
        """End a call from our side; harmless when it is over."""
        self.engine.cancel(stream, error)
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
        while engine.pending and not self._paused:
            buffers = engine.data_to_send(_PIECE)
            if not buffers:
                break
            for buffer in gather(buffers):
                self._transport.write(buffer)
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
    def has_room(self) -> bool:
        """Whether another call can be made."""
        engine = self.engine
        has_room = engine.reusable and len(engine.streams) < engine.max_streams
        return has_room and not engine.doubtful

    def has_input(self) -> bool:
        """Whether something came to the idle connection that the loop has not read yet."""
        return not self.lost.done() and self._poll(IN, 0) != 0

    @property
    def next_deadline(self) -> float:
        return min(self.deadlines.values(), default=math.inf)

    def time_out(self, now: float) -> None:
        late = [stream for stream, deadline in self.deadlines.items() if deadline <= now]
        for stream in late:
            self.forget(stream)
            self.cancel(stream, DeadlineExceeded(_TOO_LATE))
        if late and self.engine.doubtful:
            # Nothing has come since an earlier deadline: nobody is there any more.
            self._end(ConnectionFailed("the server gives no sign of life"))
        elif late:
            self.engine.probe()  # no further calls until something comes

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
        due = settings.time
        if self.engine.ping_pending:
            due += settings.timeout
        elif quiet >= settings.time - 0.001:
            wanted = settings.without_calls or not self.idle
            if wanted and not (settings.max_pings and self.engine.pings >= settings.max_pings):
                self.engine.ping()
                self.schedule()
                due += settings.timeout
            else:
                quiet = 0.0  # look again later
        self._alive_timer = self._loop.call_later(max(0.001, due - quiet), self._look_alive)

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll = poller(transport.get_extra_info("socket"))
        self._heard = self._loop.time()
        if self._keep_alive is not None and self._keep_alive.time < math.inf:
            self._look_alive()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.engine.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        try:
            self.engine.buffer_updated(nbytes)
        except InferenceServerException:
            self._transport.abort()  # the engine has told the calls
        else:
            if self.engine.pending:
                self.schedule()

    def eof_received(self) -> bool:
        self.engine.fail(ConnectionFailed("the server closed the connection"))
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.engine.fail(ConnectionFailed(f"the connection was lost: {exc or 'closed'}"))
        if self._alive_timer is not None:
            self._alive_timer.cancel()
        if not self.lost.done():
            self.lost.set_result(None)
        for room in self._draining.values():
            if not room.done():
                room.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()


def _settle(stream: RpcStream, answer: Future[None]) -> None:
    if stream.result is not None and not answer.done():
        answer.set_result(None)


class _Pool(LoopPool[_Connection]):
    """Connections that carry many calls each."""

    def __init__(
        self, loop: AbstractEventLoop, connect: Connector[_Connection], max_connections: int
    ) -> None:
        super().__init__(loop, connect, max_connections)
        self._connections: list[_Connection] = []
        self._connecting: Future[None] | None = None
        self.duplexes: weakref.WeakSet[Duplex] = weakref.WeakSet()

    def take(self) -> _Connection | None:
        """A connection that has room for another call, if there is one at hand."""
        for connection in self._connections:
            # What came unasked may be the end, which the loop has not come round to reading.
            if connection.has_room and not (connection.idle and connection.has_input()):
                return connection
        return None

    async def acquire(self, deadline: float) -> _Connection:
        """A connection ready for a call: one with room, a new one, or one waited for."""
        await self._read_input()
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._connecting is not None:
                await self._wait_for_another(self._connecting, deadline)
            elif len(self._all) < self._max_connections:
                return await self._connect_once(deadline)
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

    async def _connect_once(self, deadline: float) -> _Connection:
        """Open a connection, on which the calls that come meanwhile wait as well."""
        self._connecting = asyncio.get_running_loop().create_future()
        try:
            connection = await self.open(deadline)
            self._connections.append(connection)
            return connection
        finally:
            connecting, self._connecting = self._connecting, None
            connecting.set_result(None)

    async def _wait_for_another(self, connecting: Future[None], deadline: float) -> None:
        left = None if deadline == math.inf else deadline - asyncio.get_running_loop().time()
        await asyncio.wait([connecting], timeout=left)
        if not connecting.done():
            raise DeadlineExceeded("the deadline passed while connecting")

    def release(self, connection: _Connection) -> None:
        """Take note that a call has ended."""
        if connection.engine.reusable and not self._closed:
            if self._waiters and connection.has_room:
                self.wake()
        elif connection.idle and connection in self._all:
            self.discard(connection)

    async def close(self) -> None:
        # Streams have no end of their own that could be waited for.
        for duplex in list(self.duplexes):
            duplex.cancel(Cancelled("the client was closed"))
        await super().close()

    def discard(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        super().discard(connection)
