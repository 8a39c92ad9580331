"""Connection of gRPC on asyncio, which carries many calls at once.

A connection on which a call was cancelled is suspect: a liveness probe is sent, and it gets no
calls until the probe is answered. So is a new connection until its first SETTINGS are received.
The time for the response belongs to the connection, not to the calls that wait for it. When it is
over, the connection is given up: it gets no calls, and is closed when its last call ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Any

from ...engine.http2 import Http2
from ...engine.rpc_stream import RpcStream
from ...errors import Cancelled, ConnectionFailed, InferenceServerException
from ..call import Call, gather
from ..deadline import RECEIVING, SENDING, WAITING, late
from ..errors import lost
from ..settings import KeepAlive
from .connection import BaseConnection
from .decompressing import decompress
from .resuming import resume

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024
#: Seconds after which a connection is given up that does not answer a probe.
PATIENCE = 1.0
#: It has at least so many of the round trips that it has shown.
_ROUND_TRIPS = 4


class GrpcConnection(BaseConnection):
    """A connection that carries gRPC on HTTP/2.

    Attributes:
        given_up: whether it has not answered a probe in time.
        unwanted: whether it is to be closed once it is idle.
        probed: the loop's time of the last probe.
        round_trip: seconds that its responses have taken of late.
        changed: called when there may be room for a call where there was none, or it is given up.
    """

    def __init__(
        self, engine: Http2, loop: AbstractEventLoop, keep_alive: KeepAlive | None
    ) -> None:
        self.engine = engine
        self.reused = False
        self.given_up = self.unwanted = False
        self.probed = self.round_trip = 0.0
        self.changed: Callable[[], None] | None = None
        self.lost: Future[None] = loop.create_future()
        self._loop = loop
        self._over: list[Future[None]] | None = None  # of calls that what is being read has ended
        self._keep_alive = keep_alive
        self._acknowledged = math.inf  # bytes, once the connection has ended
        self._paused = False
        self._scheduled = False
        self._lone = False  # whether the last read ended one call, whose task has not begun another
        self._draining: dict[RpcStream, Future[None]] = {}
        self._heard = 0.0  # the loop's time when something came last
        self._pinged = 0.0  # the loop's time of the ping that is not answered yet
        self._max_streams = engine.max_streams
        self._spoke = False  # whether its first settings have come
        self._owed = True  # whether settings of ours are not acknowledged
        self._probe_timer: asyncio.TimerHandle | None = None
        self._alive_timer: asyncio.TimerHandle | None = None

    # What calls do

    async def exchange(self, call: Call[Any], timeout: float | None, deadline: float) -> Any:
        """Send a call and return its response.

        Args:
            timeout: seconds, for the server.
            deadline: by the loop's clock.

        Raises:
            InferenceServerException: see `errors`.
        """
        began = self._written
        stream: RpcStream = call.start(self.engine, timeout)
        try:
            future: Future[None] = self._loop.create_future()
            stream.notify, stream.waiter, stream.deadline = self._end_call, future, deadline
            self.send_call()
            await future
            # What came as a whole has no fields; the engine takes nothing compressed so.
            if stream.fields is not None and (compressed := stream.compressed) is not None:
                await decompress(compressed, deadline)
            return call.finish(stream)
        except BaseException as error:
            self.cancel(stream, Cancelled("the call was cancelled"))
            if isinstance(error, ConnectionFailed):
                # What was written when the call began was not of this call.
                error._unacknowledged = min(self._acknowledged, self._written) <= began
            raise

    def _end_call(self, stream: RpcStream) -> None:
        """Give a call's future its result, or note it while received bytes are read."""
        if stream.result is None:
            return
        stream.notify = None
        future: Future[None] = stream.waiter
        if future.done():
            return
        if self._over is None:
            future.set_result(None)
        else:
            self._over.append(future)

    def cancel(self, stream: RpcStream, error: InferenceServerException) -> None:
        """End a call from our side; harmless when it is over."""
        if stream.result is not None:
            return
        self.engine.cancel(stream, error)
        self.send_liveness_probe()  # the server may have fallen silent for good
        self.schedule()

    def send_liveness_probe(self) -> None:
        """Ask the server for a sign that it still answers, and start the time for its response."""
        if self.suspect or self.lost.done():
            return
        self.engine.send_liveness_probe()
        self.schedule()
        self._expect_answer()

    def _expect_answer(self) -> None:
        self.probed, self._owed = self._loop.time(), True
        self._probe_timer = self._loop.call_at(self.patience_ends(math.inf), self._give_up)

    def _give_up(self) -> None:
        self._probe_timer = None
        due = self.patience_ends(math.inf)
        if due > self._loop.time():  # the round trip was not known yet
            self._probe_timer = self._loop.call_at(due, self._give_up)
            return
        self.given_up = True
        self._report_change()

    def patience_ends(self, wanted: float) -> float:
        """Return the loop's time until which a call waits for the response to the probe.

        Args:
            wanted: the time beyond which the call would rather not wait.
        """
        least = self.probed + _ROUND_TRIPS * self.round_trip
        return max(least, min(self.probed + PATIENCE, wanted))

    def _read_probe_answer(self) -> None:
        """Handle the response to the liveness probe, if it was received."""
        self._spoke = self.engine.greeted
        if not self.engine.unacknowledged:
            self._owed = False
            taken, known = self._loop.time() - self.probed, self.round_trip
            self.round_trip = taken if taken > known else (taken + known) / 2
        if not self.suspect and self._probe_timer is not None:
            self._probe_timer.cancel()
            self._probe_timer = None
        if not self.suspect:
            self.given_up = False
            self._report_change()

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function when the loop comes round."""
        self._loop.call_soon(function, *arguments)

    def send_call(self) -> None:
        """Send a call that has begun: at once, or together with what others have by then.

        Where the last read ended one call, this is the one that its task makes next. There are no
        others to wait for, and the loop need not come round once more.
        """
        lone, self._lone = self._lone, False
        if (lone or len(self.engine.streams) == 1) and not self._scheduled:
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
        transport = self.transport
        while not self._paused and (buffers := engine.data_to_send(_PIECE)):
            for buffer in gather(buffers) if len(buffers) > 1 else buffers:
                transport.write(buffer)
                if not transport.is_closing():
                    self._written += len(buffer)
            if not engine.sending:
                break
        if self._draining:
            for stream in [each for each in self._draining if self._has_room(each)]:
                room = self._draining.pop(stream)
                if not room.done():  # as it is when its task has just been cancelled
                    room.set_result(None)

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
        """Number of further calls that the server allows."""
        engine = self.engine
        return engine.max_streams - len(engine.streams) if engine.reusable else 0

    def has_room(self) -> bool:
        """True if another call can be made."""
        engine = self.engine
        verified = engine.reusable and not engine.unverified
        return verified and len(engine.streams) < engine.max_streams

    @property
    def suspect(self) -> bool:
        """True if the server's first SETTINGS, or its response to a liveness probe, are awaited."""
        return self.engine.unverified or not self._spoke

    @property
    def will_take(self) -> bool:
        """True if it would have room for a call, were it not suspect."""
        engine = self.engine
        full = self._spoke and len(engine.streams) >= engine.max_streams
        return engine.reusable and not full

    def heard_since(self, time: float) -> bool:
        """True if something was received since a time of the loop."""
        return self._heard >= time

    def has_input(self) -> bool:
        """True if the socket has input that the loop has not read yet."""
        return not self.lost.done() and bool(self._readable())

    @property
    def next_deadline(self) -> float:
        return min((stream.deadline for stream in self.engine.streams.values()), default=math.inf)

    def time_out(self, now: float) -> None:
        for stream in list(self.engine.streams.values()):
            if stream.deadline <= now:
                receiving = stream.fields is not None
                phase = SENDING if stream.out_size else RECEIVING if receiving else WAITING
                self.cancel(stream, late(phase))

    def close(self) -> None:
        self._end(ConnectionFailed("the client was closed"))

    def _end(self, error: InferenceServerException) -> None:
        self.engine.fail(error)
        self.transport.abort()

    # Keep-alive

    def _check_keepalive(self) -> None:
        """Send a ping if it has been quiet, and end the connection when it is not answered."""
        assert self._keep_alive is not None
        settings = self._keep_alive
        now = self._loop.time()
        quiet = now - self._heard
        if self.engine.ping_pending and now >= self._pinged + settings.timeout - 0.001:
            text = f"keepalive: the server did not answer a ping in {settings.timeout:g} s"
            self._end(ConnectionFailed(text))
            return
        if not self.engine.ping_pending and quiet >= settings.time - 0.001:
            wanted = settings.without_calls or not self.idle
            if wanted and not (settings.max_pings and self.engine.pings >= settings.max_pings):
                self.engine.ping()
                self._pinged = now
                self.schedule()
        due = settings.time
        if self.engine.ping_pending:
            due = min(due, self._pinged + settings.timeout - now)
        elif quiet < due:
            due -= quiet
        self._alive_timer = self._loop.call_later(max(0.001, due), self._check_keepalive)

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._heard = self._loop.time()
        self._expect_answer()
        if self._keep_alive is not None and self._keep_alive.time < math.inf:
            self._check_keepalive()

    def buffer_updated(self, nbytes: int) -> None:
        engine = self.engine
        self._heard = self._loop.time()
        over = self._over = []
        try:
            if self._overflow is None:
                engine.buffer_updated(nbytes)
            else:
                self.feed_overflow(nbytes)
        except InferenceServerException:
            self.transport.abort()  # the engine has ended all calls
        except BaseException:  # of a signal handler: the calls that have ended must not wait
            self._give_results(over)
            raise
        else:
            if self._owed:
                self._read_probe_answer()
            if engine.max_streams != self._max_streams:
                self._max_streams = engine.max_streams
                self._report_change()
        if len(over) == 1:
            self._lone, self._over = True, None
            resume(self._loop, over[0])
            if not self._lone:
                return  # the task made another call, and what there was to send went along
        else:
            self._lone = False
            self._give_results(over)
        if len(over) > 1 or engine.pending:
            # Behind the tasks of those calls, so that what they send next goes along.
            self.schedule()

    def _give_results(self, over: list[Future[None]]) -> None:
        self._over = None
        for future in over:
            future.set_result(None)

    def _report_change(self) -> None:
        self.unwanted = self.given_up or (self._spoke and not self.engine.max_streams)
        if self.changed is not None:
            self.changed()

    def eof_received(self) -> bool:
        self._acknowledged = self.acknowledged_bytes()
        with contextlib.suppress(InferenceServerException):
            self.engine.eof_received()  # ends the calls
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        if isinstance(exc, BrokenPipeError):  # a reset after an orderly end
            self._acknowledged = self.acknowledged_bytes()
        self.engine.fail(lost(exc or "closed", self.engine.goaway_message))
        for timer in (self._alive_timer, self._probe_timer):
            if timer is not None:
                timer.cancel()
        if not self.lost.done():
            self.lost.set_result(None)
        self._report_change()
        for room in self._draining.values():
            if not room.done():
                room.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()
