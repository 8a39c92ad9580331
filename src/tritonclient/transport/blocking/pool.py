"""The pool of blocking connections that threads share."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections import OrderedDict, deque
from time import monotonic

from ..call import log_debug
from ..deadline import all_busy
from ..endpoint import TLS
from ..errors import client_closed
from ..settings import Settings, check_limit, check_timeout, make_context
from .connecting import connect
from .connection import Connection, Place
from .sockets import Stream

#: Seconds after which a call that waits for a connection looks again by itself.
_A_WHILE = 1.0


class Pool:
    """Connections to one endpoint.

    A call takes the connection that was used last and puts it back. Both are one atomic
    operation of a deque; the lock is only for counting those that are open.
    """

    def __init__(
        self,
        settings: Settings,
        tls: TLS,
        max_connections: int,
        connect_timeout: float | None,
        silence_timeout: float | None,
    ) -> None:
        check_limit("max_connections", max_connections)
        check_timeout(connect_timeout, "connect_timeout")
        check_timeout(silence_timeout, "silence_timeout")
        self._connect_timeout = math.inf if connect_timeout is None else connect_timeout
        self._silence = math.inf if silence_timeout is None else silence_timeout
        self._settings = settings
        self._tls = tls
        self._context = make_context(settings, tls)
        self._max_connections = max_connections
        self._closed = False
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._idle: deque[Connection] = deque()
        # Held weakly, and no number is kept: an exception of a signal handler may end a call
        # anywhere, also between taking a connection and guarding it. It is collected then.
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._places: weakref.WeakSet[Place] = weakref.WeakSet()
        # Neither a lock nor a condition written in Python can be interrupted without harm.
        self._lock = threading.Lock()
        self._waiters: OrderedDict[_Waiter, None] = OrderedDict()

    def after_fork(self) -> None:
        """Forget the parent's connections: its sockets are closed here and stay open there."""
        for connection in list(self._all):
            connection.close()
        self._reset()

    def take(self) -> Connection | None:
        """Return an idle connection that can be used, or None."""
        try:
            while True:
                connection = self._idle.pop()
                if connection.engine.reusable and not connection.is_stale():
                    connection.reused = True
                    return connection
                self.discard(connection)
        except IndexError:
            return None

    def acquire(self, deadline: float) -> Connection:
        """Return a connection for a call: an idle one, a new one, or one waited for."""
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._closed:
                raise client_closed(self._settings.endpoint.url)
            place = self._free_place()
            if place is not None:
                try:
                    return self._open(place, deadline)
                except BaseException:
                    self._leave(place)
                    raise
            connection = self._wait(deadline)
            if connection is not None:
                return connection

    def discard_idle(self) -> None:
        """Close all idle connections, when one has shown that they can't be relied on."""
        with contextlib.suppress(IndexError):
            while True:
                self.discard(self._idle.pop())

    def discard_silent(self, time: float) -> None:
        """Close the idle connections that have answered nothing since a time.

        They may have been lost together with the one on which a call has timed out. The oldest
        are first.
        """
        with contextlib.suppress(IndexError):
            while self._idle[0].heard < time:
                connection = self._idle.popleft()
                if connection.heard < time:
                    self.discard(connection)
                else:  # another thread took the one that was looked at
                    self.release(connection)

    def _free_place(self) -> Place | None:
        """A place for another connection, if there is one."""
        with self._lock:
            if len(self._places) >= self._max_connections:
                return None
            place = Place()
            self._places.add(place)
            return place

    def _leave(self, place: Place) -> None:
        """Free a place for another connection."""
        with self._lock:
            self._places.discard(place)
        self._wake()

    def _wait(self, deadline: float) -> Connection | None:
        """Wait until a connection may be free, and take it if there is one.

        Raises:
            DeadlineExceeded: all were busy until then.
        """
        waiter = _Waiter()
        try:
            self._waiters[waiter] = None
            # Looked for again now that a release can see us waiting.
            connection = self.take()
            if connection is not None or len(self._places) < self._max_connections:
                return connection
            # A while only: nothing reports a connection that was lost to an exception.
            if not waiter.wait(max(0.0, min(deadline - monotonic(), _A_WHILE))):
                connection = self.take()
                if connection is None and monotonic() >= deadline:
                    raise all_busy(self._max_connections)
                return connection
            return self.take()
        except BaseException:
            self._wake()  # what woke us just now was another's
            raise
        finally:
            self._waiters.pop(waiter, None)

    def _wake(self) -> None:
        """Wake the call that has waited longest for a connection."""
        with contextlib.suppress(KeyError):
            self._waiters.popitem(last=False)[0].wake()

    def _open(self, place: Place, deadline: float) -> Connection:
        soon = min(deadline, monotonic() + self._connect_timeout)
        stream = connect(self._settings.endpoint, self._tls, self._context, soon)
        stream.silence = self._silence
        connection = self._make_connection(stream, place)
        with self._lock:  # so that an abort sees the connection, or this sees the abort
            self._all.add(connection)
        if self._closed:
            connection.close()
            raise client_closed(self._settings.endpoint.url)
        log_debug("%s: connected", self._settings.endpoint.url)
        return connection

    def _make_connection(self, stream: Stream, place: Place) -> Connection:
        settings = self._settings
        if settings.endpoint.protocol == "http":
            return Connection(stream, settings.engine(), place)
        from .grpc_connection import GrpcConnection

        return GrpcConnection(stream, settings.engine(), place, settings.keep_alive)

    def release(self, connection: Connection) -> None:
        """Put a connection back."""
        if not connection.engine.reusable or self._closed:
            self.discard(connection)
            return
        connection.heard = monotonic()
        self._idle.append(connection)
        if self._waiters:
            self._wake()
        if self._closed:  # closed in between: nobody else will empty the deque
            self.close()

    def discard(self, connection: Connection) -> None:
        """Close a connection and let another take its place."""
        connection.close()
        with self._lock:
            self._all.discard(connection)
        self._leave(connection.place)
        log_debug("%s: connection closed", self._settings.endpoint.url)

    def abort(self) -> None:
        with self._lock:
            for connection in self._all:
                connection.abort()

    def close(self) -> None:
        self._closed = True
        self.discard_idle()
        while self._waiters:
            self._wake()


class _Waiter:
    """A call that waits for a connection."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> bool:
        """Wait until it is woken; whether it was."""
        return self._lock.acquire(timeout=seconds)

    def wake(self) -> None:
        """End the waiting; called once."""
        self._lock.release()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
