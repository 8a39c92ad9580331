"""HTTP on blocking sockets: a pool of connections that threads share."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections import deque
from time import monotonic
from typing import TypeVar

from ..datatypes import Buffer
from ..engine.http1 import Http1, Response
from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..messages import Request
from .endpoint import TLS
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
from .polling import IN, OUT
from .sockets import Stream, behind, connect

T = TypeVar("T")


class HttpTransport:
    """Sends requests over HTTP. Any number of threads may use one at the same time.

    Args:
        max_connections: how many connections may be open; further calls wait for one.

    After a fork the child starts with no connections; the parent keeps its own.
    """

    def __init__(
        self, settings: HttpSettings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._pool = _Pool(settings, tls or TLS(), max_connections)

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> HttpCall[T]:
        """A request as bytes, to be sent once or often."""
        return HttpCall(request, self._settings, options)

    def send(self, call: HttpCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer.

        Args:
            timeout: seconds from now until the answer must be there; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        check_timeout(timeout)
        deadline = math.inf if timeout is None else monotonic() + timeout
        try:
            connection = self._pool.take() or self._pool.acquire(deadline)
            try:
                return self._exchange(connection, call, deadline)
            except ConnectionFailed:
                # A server may close an idle connection just as the next request is on its way.
                if not (connection.reused and call.idempotent):
                    raise
                note("%s: the idle connection was lost; asking again", self._url)
            self._pool.discard_idle()
            return self._exchange(self._pool.acquire(deadline), call, deadline)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def _exchange(self, connection: _Connection, call: HttpCall[T], deadline: float) -> T:
        try:
            answer = call.finish(connection.exchange(call.start(connection.engine), deadline))
        except BaseException as error:
            if trusted(error):
                self._pool.release(connection)
            else:
                self._pool.discard(connection)
            raise
        self._pool.release(connection)
        return answer

    def close(self) -> None:
        """Close idle connections now and busy ones when their call ends; later calls fail."""
        self._pool.close()

    def abort(self) -> None:
        """Close all connections now; calls that wait for an answer fail."""
        self._pool.close()
        self._pool.abort()


class _Connection:
    """A connected socket and the engine that reads from it."""

    __slots__ = ("_stream", "engine", "reused", "stale")

    def __init__(self, stream: Stream, engine: Http1) -> None:
        self._stream = stream
        self.engine = engine
        self.reused = False
        self.stale = stream.stale

    def exchange(self, buffers: list[Buffer], deadline: float) -> Response:
        """Send buffers and receive the answer."""
        engine = self.engine
        self._send(gather(buffers), deadline)
        while engine.response is None:
            try:
                count = self._stream.receive(engine.get_buffer(), deadline, engine.length_known)
            except OSError as error:
                raise _lost(error) from error
            if count:
                engine.buffer_updated(count)
            else:
                engine.eof_received()
        return engine.response

    def _feed(self, count: int) -> None:
        if count:
            self.engine.buffer_updated(count)
        else:
            self.engine.eof_received()

    def _send(self, buffers: list[Buffer], deadline: float) -> None:
        while buffers:
            try:
                sent = self._stream.send_some(buffers)
            except BlockingIOError:
                if self._stream.wait(IN | OUT, deadline) & ~OUT and self._answered_early():
                    return
            except OSError as error:
                # The server may have answered, "too large" for instance, before it hung up.
                self._last_words(error)
                return
            else:
                if len(buffers) == 1 and sent == len(buffers[0]):
                    return
                buffers = behind(buffers, sent)

    def _answered_early(self) -> bool:
        try:
            count = self._stream.receive_now(self.engine.get_buffer())
        except BlockingIOError:
            return False
        except OSError as error:
            raise _lost(error) from error
        self._feed(count)
        # What was not sent can't be any more, so the connection is of no further use.
        return self.engine.response is not None and self.engine.abandon()

    def _last_words(self, error: OSError) -> None:
        try:
            while self.engine.response is None:
                self._feed(self._stream.receive_now(self.engine.get_buffer()))
        except OSError:  # ConnectionFailed among them
            raise ConnectionFailed(f"the connection was lost while sending: {error}") from error
        self.engine.abandon()

    def close(self) -> None:
        self._stream.close()

    def abort(self) -> None:
        """End the connection under the call that uses it, in whatever thread."""
        self._stream.shut_down()


def _lost(error: OSError) -> InferenceServerException:
    # Our own errors are OSErrors as well.
    if isinstance(error, InferenceServerException):
        return error
    return ConnectionFailed(f"the connection was lost: {error}")


class _Pool:
    """Connections to one endpoint.

    A call takes the connection that was used last and puts it back. Both are one atomic
    operation of a deque; the lock is only for opening, closing and waiting.
    """

    def __init__(self, settings: HttpSettings, tls: TLS, max_connections: int) -> None:
        check_limit("max_connections", max_connections)
        self._settings = settings
        self._tls = tls
        self._context = tls.make_context() if settings.endpoint.secure else None
        self._max_connections = max_connections
        self._closed = False
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._idle: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self._changed = threading.Condition()
        self._open = 0
        self._waiting = 0

    def after_fork(self) -> None:
        """Forget the parent's connections: its sockets are closed here and stay open there."""
        for connection in self._idle:
            connection.close()
        self._reset()

    def take(self) -> _Connection | None:
        """An idle connection that can be used, if there is one."""
        try:
            while True:
                connection = self._idle.pop()
                if connection.engine.reusable and not connection.stale():
                    connection.reused = True
                    return connection
                self.discard(connection)
        except IndexError:
            return None

    def acquire(self, deadline: float) -> _Connection:
        """A connection ready for a call: an idle one, a new one, or one waited for."""
        connection = self.take()
        if connection is not None:
            return connection
        if self._closed:
            raise RuntimeError("the client is closed")
        return self._open_or_wait(deadline)

    def discard_idle(self) -> None:
        """Close all idle connections, when one has shown that they can't be relied on."""
        with contextlib.suppress(IndexError):
            while True:
                self.discard(self._idle.pop())

    def _open_or_wait(self, deadline: float) -> _Connection:
        with self._changed:
            while self._open >= self._max_connections:
                self._waiting += 1
                try:
                    # Looked for again now that a release can see us waiting.
                    if self._idle or self._changed.wait(_seconds(deadline)):
                        connection = self.take()
                        if connection is not None:
                            return connection
                    elif monotonic() >= deadline:
                        raise DeadlineExceeded(
                            f"the deadline passed while all {self._max_connections} "
                            "connections were busy"
                        )
                except BaseException:
                    self._changed.notify()  # a notification that came just now is another's
                    raise
                finally:
                    self._waiting -= 1
                if self._closed:
                    raise RuntimeError("the client is closed")
            self._open += 1
        try:
            stream = connect(self._settings.endpoint, self._tls, self._context, deadline)
            connection = _Connection(stream, self._settings.engine())
            with self._changed:  # so that an abort sees the connection, or this sees the abort
                if self._closed:
                    connection.close()
                    raise RuntimeError("the client is closed")
                self._all.add(connection)
            note("%s: connected", self._settings.endpoint.url)
            return connection
        except BaseException:
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise

    def release(self, connection: _Connection) -> None:
        """Put a connection back."""
        if not connection.engine.reusable or self._closed:
            self.discard(connection)
            return
        self._idle.append(connection)
        if self._waiting:
            with self._changed:
                self._changed.notify()
        if self._closed:  # closed in between: nobody else will empty the deque
            self.close()

    def discard(self, connection: _Connection) -> None:
        """Close a connection and let another take its place."""
        with self._changed:
            self._forget(connection)
            self._changed.notify()

    def _forget(self, connection: _Connection) -> None:
        connection.close()
        self._all.discard(connection)
        self._open -= 1
        note("%s: connection closed", self._settings.endpoint.url)

    def abort(self) -> None:
        with self._changed:
            for connection in self._all:
                connection.abort()

    def close(self) -> None:
        self._closed = True
        with self._changed:
            with contextlib.suppress(IndexError):
                while True:
                    self._forget(self._idle.pop())
            self._changed.notify_all()


_pools: weakref.WeakSet[_Pool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _seconds(deadline: float) -> float | None:
    if deadline == math.inf:
        return None
    return min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX)
