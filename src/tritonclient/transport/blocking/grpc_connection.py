"""Connection of gRPC on a blocking socket: cancelled calls, liveness probes and keepalive pings."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...engine.http2 import Http2
from ...errors import (
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
    StreamRefused,
)
from ..call import Call, gather
from ..errors import lost
from ..polling import IN, OUT
from ..settings import KeepAlive
from .connection import Connection, Place
from .sockets import Stream


class GrpcConnection(Connection):
    """A connection that carries gRPC on HTTP/2."""

    __slots__ = ("_keep_alive", "_pinged", "_used")

    engine: Http2

    def __init__(
        self, stream: Stream, engine: Http2, place: Place, keep_alive: KeepAlive | None
    ) -> None:
        super().__init__(stream, engine, place)
        self._keep_alive = keep_alive
        self._used = monotonic()
        self._pinged = 0.0  # when the ping was sent that is not answered yet

    def exchange(self, call: Call[Any], timeout: float | None, deadline: float) -> Any:
        if self._keep_alive is not None:
            self._ping_if_idle(self._keep_alive)
        return Connection.exchange(self, call, timeout, deadline)

    def reusable_after(self, call: Call[Any], error: BaseException) -> bool:
        if call.connection_reusable_after(error):
            return True
        # HTTP/2 can cancel one call, and keep the connection for others.
        mild = isinstance(error, (StreamRefused, DeadlineExceeded, Cancelled, ProtocolError))
        return mild and self._cancel_call()

    def _sending(self) -> bool:
        return self._incomplete or self.engine.unsent

    def _cancel_call(self) -> bool:
        """Reset the current call's stream; True if the connection can carry others then.

        It can't before the liveness probe is answered, see `is_stale`: the server may be dead.
        """
        if self._incomplete or not self.engine.cancel_all():
            return False
        buffers = gather(self.engine.data_to_send())
        try:
            return not buffers or self.stream.send_some(buffers) == sum(map(len, buffers))
        except OSError:
            return False

    def is_stale(self) -> bool:
        if self.stream.has_input():
            return self._read_unasked() or self.engine.unverified
        return self.engine.unverified

    def _lost(self, error: OSError) -> InferenceServerException:
        return lost(error, self.engine.goaway_message)

    # Keepalive

    def _ping_if_idle(self, settings: KeepAlive) -> None:
        """Send a ping after a long pause: routers between may have dropped the connection."""
        now = monotonic()
        if now - self._used > settings.time and self._may_ping(settings):
            self._ping()
        self._used = now

    def _may_ping(self, settings: KeepAlive) -> bool:
        return not settings.max_pings or self.engine.pings < settings.max_pings

    def _ping(self) -> None:
        self._pinged = monotonic()
        self.engine.ping()

    def _receive(self, buffer: memoryview, deadline: float, whole: bool) -> int:
        if self._keep_alive is None:
            return self.stream.receive(buffer, deadline, whole)
        while True:
            self.wait(IN, deadline, lambda: self.flush(deadline))
            with contextlib.suppress(BlockingIOError):  # a part of a record of TLS
                return self.stream.receive_now(buffer)

    def wait(self, events: int, until: float, flush: Callable[[], object]) -> int:
        """Wait for events of `polling`, and send pings while nothing is received.

        Args:
            flush: sends what the engine has to send, which are pings here.

        Raises:
            ConnectionFailed: a ping was not answered in time.
            DeadlineExceeded: no event happened in time.
        """
        settings = self._keep_alive
        if settings is None:
            return self.stream.wait(events, until)
        engine = self.engine
        while True:
            if engine.ping_pending:
                # Only the response to the ping counts, whatever else is received.
                alarm = self._pinged + settings.timeout
            elif self._may_ping(settings):
                alarm = monotonic() + settings.time
            else:
                alarm = math.inf
            try:
                return self.stream.wait(events, min(alarm, until))
            except DeadlineExceeded:
                if until <= alarm:
                    raise
            if engine.ping_pending:
                raise ConnectionFailed(
                    f"keepalive: the server did not answer a ping in {settings.timeout:g} s"
                )
            self._ping()
            flush()

    def _wait_to_send(self, deadline: float) -> int:
        settings = self._keep_alive
        if settings is None:
            return self.stream.wait(IN | OUT, deadline)
        # A ping would have to wait until the request is sent.
        alarm = monotonic() + settings.time + settings.timeout
        try:
            return self.stream.wait(IN | OUT, min(alarm, deadline))
        except DeadlineExceeded:
            if deadline <= alarm:
                raise
        raise ConnectionFailed(
            f"keepalive: the server took nothing for {settings.time + settings.timeout:g} s"
        )
