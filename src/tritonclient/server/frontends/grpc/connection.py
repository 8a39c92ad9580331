"""One connection of a gRPC client, on the event loop of the server."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import cast

from ....engine.http2_frames import ENHANCE_YOUR_CALM
from ....engine.http2_server import Http2Server
from ....engine.served_stream import ServedStream
from ....engine.spare_memory import SpareMemory
from ....errors import Cancelled, ConnectionFailed, ProtocolError
from ....transport.call import gather
from ..limits import Limits
from .call import Call
from .settings import ConnectionSettings

_log = logging.getLogger("tritonclient.server.grpc")

#: The loop copies what the socket does not take at once; writing piecewise bounds that copy.
_PIECE = 256 * 1024
_DEADLINE_EXCEEDED = 4
#: Least seconds between pings of a client without running calls, unless those are permitted.
_IDLE_PING_INTERVAL = 7200.0


class GrpcConnection(asyncio.BufferedProtocol):
    """A connection that carries gRPC on HTTP/2.

    Args:
        accept: gets each call when its headers have come.
        settings: of all connections.
        limits: bounds of requests.
        spare: the memory of large messages.
        opened: called when the connection is established.
        closed: called when it has ended.

    Attributes:
        peer: the address of the client, such as "127.0.0.1:4711"; "" if it has none.
    """

    def __init__(
        self,
        accept: Callable[[Call], None],
        settings: ConnectionSettings,
        limits: Limits,
        spare: SpareMemory,
        opened: Callable[[GrpcConnection], None],
        closed: Callable[[GrpcConnection], None],
    ) -> None:
        self.peer = ""
        self.engine = Http2Server(
            self._accept_call,
            self._ping_received,
            spare,
            max_message=settings.max_message,
            max_streams=settings.max_streams,
        )
        self._accept = accept
        self._settings = settings
        self._limits = limits
        self._opened = opened
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._paused = self._scheduled = self._reading = False
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._last_received = self._last_pinged = 0.0
        self._received, self._received_before = 0, -1
        self._ping_of_client = -math.inf
        self._ended = False
        self._strikes = 0

    # What calls do

    def schedule(self) -> None:
        """Send what there is to send, together with what others have in this turn of the loop."""
        if self._scheduled or self._reading:
            return
        if not self.engine.streams:
            self._flush()  # nobody else can have anything
        else:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        transport, engine = self._transport, self.engine
        if transport.is_closing():
            return
        while not self._paused and (buffers := engine.data_to_send(_PIECE)):
            for buffer in gather(buffers):
                transport.write(buffer)
            if not engine.pending:
                break
        if engine.going_away and not engine.streams and not engine.pending:
            self._close()

    def _close(self) -> None:
        """Close the connection when what was written is sent, or after a time."""
        self._transport.close()
        self._after(self._limits.receive_timeout, self.abort)

    # What the listener does

    def begin_shutdown(self) -> None:
        """Take no more calls, and close the connection when the running ones have ended."""
        self._go_away("the server is shutting down")

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def _go_away(self, text: str) -> None:
        if not self.engine.going_away:
            self.engine.go_away(text=text)
        self._flush()

    # What the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            host, port = address[:2]
            self.peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._last_received = self._loop.time()
        settings = self._settings
        self._after(settings.keepalive_time, self._check_keepalive)
        self._after(settings.max_age, self._grow_old)
        self._after(self._limits.receive_timeout, self._check_progress)
        self._opened(self)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.engine.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        self._last_received = self._loop.time()
        self._received += nbytes
        self._reading = True  # so that all that this leads to is sent together
        try:
            self.engine.buffer_updated(nbytes)
        except ProtocolError as error:
            _log.debug("the connection of %s is closed: %s", self.peer, error.message())
        finally:
            self._reading = False
        if self.engine.failed:
            for buffer in self.engine.data_to_send():
                self._transport.write(buffer)
            self._close()
        elif self.engine.pending or self.engine.going_away:
            self._flush()

    def eof_received(self) -> bool:
        return False  # closes the connection, and thereby ends the calls

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ended = True
        self.engine.fail(ConnectionFailed("the client closed the connection"))
        self._closed(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    # What the engine does

    def _accept_call(self, stream: ServedStream) -> None:
        call = Call(self, stream)
        call.guarded(partial(self._accept, call))

    def _ping_received(self) -> None:
        """Count pings that come too often; close the connection after too many."""
        now, settings = self._loop.time(), self._settings
        busy = self.engine.streams or settings.keepalive_without_calls
        interval = settings.min_ping_interval if busy else _IDLE_PING_INTERVAL
        if not self.engine.quiet:
            self._strikes = 0
        elif now - self._ping_of_client < interval:
            self._strikes += 1
        self._ping_of_client = now
        if settings.max_ping_strikes and self._strikes > settings.max_ping_strikes:
            # The text is what clients of the gRPC core look for.
            self.engine.go_away(ENHANCE_YOUR_CALM, "too_many_pings")
            self.engine.fail(Cancelled("the client sends too many pings"))

    # Time

    def _after(self, delay: float, work: Callable[[], None]) -> None:
        """Call a method later, unless the connection has ended by then."""
        if (timer := self._timers.pop(work, None)) is not None:
            timer.cancel()
        if delay < math.inf and not self._ended:
            self._timers[work] = self._loop.call_later(delay, work)

    def _check_keepalive(self) -> None:
        """Send a ping if nothing came for long, and end the connection if it is not answered."""
        settings, engine, now = self._settings, self.engine, self._loop.time()
        quiet = now - self._last_received
        due = settings.keepalive_time
        if engine.ping_pending:
            left = self._last_pinged + settings.keepalive_timeout - now
            if left <= 0.001:
                _log.debug("%s did not answer a keepalive ping", self.peer)
                self._transport.abort()
                return
            due = min(due, left)
        elif quiet < due - 0.001:
            due -= quiet
        elif engine.streams or settings.keepalive_without_calls:
            most = settings.max_pings_without_data
            if not most or engine.pings < most:
                engine.ping()
                self._last_pinged = now
                self._flush()
                due = min(due, settings.keepalive_timeout)
        self._after(max(due, 0.001), self._check_keepalive)

    def _grow_old(self) -> None:
        self._go_away("max_age")
        self._after(self._settings.max_age_grace, self.abort)

    def _check_progress(self) -> None:
        """End calls of which the request has begun and comes too slowly.

        What is half-sent and no part of a call, such as the preface, ends the connection.
        """
        timeout, rate = self._limits.receive_timeout, self._limits.min_receive_rate
        if self.engine.half_read and self._received == self._received_before:
            _log.debug("%s sent nothing for %g s", self.peer, timeout)
            self.abort()
            return
        self._received_before = self._received
        for stream in list(self.engine.streams.values()):
            if reason := stream.check_progress(timeout, rate):
                self.engine.abort(stream, _DEADLINE_EXCEEDED, reason)
        self._flush()
        self._after(timeout, self._check_progress)
