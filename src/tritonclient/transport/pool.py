"""Connections on blocking sockets, and the pool of them that threads share."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from ..datatypes import Buffer
from ..errors import CallRefused, ConnectionFailed, DeadlineExceeded, InferenceServerException
from .call import (
    Engine,
    KeepAlive,
    Settings,
    check_limit,
    check_timeout,
    gather,
    lost,
    make_context,
    note,
)
from .endpoint import TLS
from .polling import IN, OUT
from .sockets import Stream, behind, connect


class Connection:
    """A connected socket and the engine that reads from it.

    Attributes:
        engine, stream: these two.
        reused: whether it has carried a call before.
    """

    __slots__ = (
        "_confirms",
        "_keep_alive",
        "_sent",
        "_unsent",
        "_used",
        "engine",
        "reused",
        "stream",
    )

    def __init__(self, stream: Stream, engine: Engine, keep_alive: KeepAlive | None) -> None:
        self.stream = stream
        self._keep_alive = keep_alive
        self._unsent = False  # whether sending broke off, perhaps inside a frame
        self._sent = 0  # bytes of the call under way
        # Whether it comes out in the end if a call was sent to a server that had gone.
        self._confirms = stream.tells_untaken and engine.numbers_calls
        self._used = monotonic()
        self.engine = engine
        self.reused = False

    def exchange(self, buffers: list[Buffer], deadline: float) -> Any:
        """Send buffers and receive the answer.

        Raises:
            CallRefused: the connection was lost, and the server can't have seen the call.
            ConnectionFailed: it was lost in another way.
        """
        engine = self.engine
        self._sent = 0
        if self._keep_alive is not None:
            self._prove_alive()
        try:
            news = self._send(buffers if len(buffers) == 1 else gather(buffers), deadline)
            while engine.response is None:
                # What came while we were sending may let us send more.
                if not (news and engine.pending and self.flush(deadline)):
                    self.receive(deadline)
                news = True
        except ConnectionFailed as error:
            if self.reused and self._in_vain(error):
                raise CallRefused(str(error)) from error
            raise
        return engine.response

    def _in_vain(self, error: ConnectionFailed) -> bool:
        """Whether the connection was lost before the server's system took anything of the call.

        It tells by acknowledgements. They may be late, but an orderly end carries the last one;
        so they count only where the server has closed the connection, rather than reset it.
        """
        if not self._sent:
            return True
        closed = error.__cause__ is None or isinstance(error.__cause__, BrokenPipeError)
        if not (closed and self.stream.tells_untaken):
            return False
        try:
            return self.stream.untaken() == self._sent
        except OSError:  # this system does not tell after all
            return False

    def flush(self, deadline: float) -> bool:
        """Send what the engine has to send now, if it has anything."""
        buffers = self.engine.data_to_send()
        if not buffers:
            return False
        self._send(gather(buffers), deadline)
        return True

    def receive(self, deadline: float) -> None:
        """Receive something and feed it to the engine, which raises if that was the end."""
        engine = self.engine
        buffer = engine.get_buffer()
        whole = engine.length_known
        try:
            if self._keep_alive is not None:
                self.wait(IN, deadline, lambda: self.flush(deadline))
                whole = False  # each part of a large piece is a sign of life
            count = self.stream.receive(buffer, deadline, whole)
        except OSError as error:
            raise self._lost(error) from error
        if count:
            engine.buffer_updated(count)
        else:
            engine.eof_received()

    def wait(self, events: int, until: float, flush: Callable[[], object]) -> int:
        """Wait until there is something to receive, asking for signs of life in times of silence.

        Args:
            events: of `polling`.
            flush: sends what the engine has to send, pings in this case.

        Raises:
            ConnectionFailed: a ping was not answered in time.
            DeadlineExceeded: nothing came in time.
        """
        settings = self._keep_alive
        if settings is None:
            return self.stream.wait(events, until)
        engine = self.engine
        while True:
            patience = settings.timeout if engine.ping_pending else settings.time
            alarm = monotonic() + patience
            if (
                settings.max_pings
                and engine.pings >= settings.max_pings
                and not engine.ping_pending
            ):
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
            engine.ping()
            flush()

    def _prove_alive(self) -> None:
        """Ask for a sign of life after a long pause: what lies between may have forgotten us."""
        now = monotonic()
        assert self._keep_alive is not None
        if now - self._used > self._keep_alive.time:
            self.engine.ping()
        self._used = now

    def leave(self) -> bool:
        """End the call that is under way; whether the connection can go on.

        It can not before there is a sign of life, see `stale`: the server may be silent for good.
        """
        if self._unsent or not self.engine.cancel_all():
            return False
        buffers = gather(self.engine.data_to_send())
        try:
            return not buffers or self.stream.send_some(buffers) == sum(map(len, buffers))
        except OSError:
            return False

    def stale(self, quick: bool = False) -> bool:
        """Whether the idle connection is of no use any more, as far as can be told now.

        Args:
            quick: not to ask the system where a call could be sent again that was sent in vain.
        """
        if quick and self._confirms and not self.engine.doubtful:
            return False
        if not self.stream.has_input():
            return self.engine.doubtful
        try:
            # A server may speak unasked, over HTTP/2 for instance, where it pings.
            while self.engine.reusable:
                count = self.stream.receive_now(self.engine.get_buffer())
                if not count:
                    return True
                self._feed(count)
        except BlockingIOError:
            pass
        except OSError:
            return True
        except InferenceServerException:
            return True
        return self.engine.doubtful or not self.engine.reusable

    def _feed(self, count: int) -> None:
        if count:
            self.engine.buffer_updated(count)
        else:
            self.engine.eof_received()

    def _send(self, buffers: list[Buffer], deadline: float) -> bool:
        """Send buffers; whether something may have come meanwhile."""
        self._unsent, news = True, False
        while buffers:
            try:
                sent = self.stream.send_some(buffers)
            except BlockingIOError:
                news = True
                if self.stream.wait(IN | OUT, deadline) & ~OUT and self._answered_early():
                    return news
            except OSError as error:
                # The server may have answered, "too large" for instance, before it hung up.
                self._last_words(error)
                return True
            else:
                self._sent += sent
                if len(buffers) == 1 and sent == len(buffers[0]):
                    break
                buffers = behind(buffers, sent)
        self._unsent = False
        return news

    def _answered_early(self) -> bool:
        try:
            count = self.stream.receive_now(self.engine.get_buffer())
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._lost(error) from error
        self._feed(count)
        # What was not sent can't be any more, so the connection is of no further use.
        return self.engine.response is not None and self.engine.abandon()

    def _last_words(self, error: OSError) -> None:
        try:
            while self.engine.response is None:
                self._feed(self.stream.receive_now(self.engine.get_buffer()))
        except OSError:  # ConnectionFailed among them
            raise ConnectionFailed(f"the connection was lost while sending: {error}") from error
        self.engine.abandon()

    def _lost(self, error: OSError) -> InferenceServerException:
        # Our own errors are OSErrors as well.
        return error if isinstance(error, InferenceServerException) else lost(self.engine, error)

    def close(self) -> None:
        self.stream.close()

    def abort(self) -> None:
        """End the connection under the call that uses it, in whatever thread."""
        self.stream.shut_down()


class Pool:
    """Connections to one endpoint.

    A call takes the connection that was used last and puts it back. Both are one atomic
    operation of a deque; the lock is only for opening, closing and waiting.
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
        self._all: set[Connection] = set()
        self._changed = threading.Condition()
        self._open = 0
        self._waiting = 0

    def after_fork(self) -> None:
        """Forget the parent's connections: its sockets are closed here and stay open there."""
        for connection in self._all:
            connection.close()
        self._reset()

    def take(self, quick: bool = False) -> Connection | None:
        """An idle connection that can be used, if there is one; see `Connection.stale`."""
        try:
            while True:
                connection = self._idle.pop()
                if connection.engine.reusable and not connection.stale(quick):
                    connection.reused = True
                    return connection
                self.discard(connection)
        except IndexError:
            return None

    def acquire(self, deadline: float) -> Connection:
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

    def _open_or_wait(self, deadline: float) -> Connection:
        with self._changed:
            while self._open >= self._max_connections:
                self._waiting += 1
                try:
                    # Looked for again now that a release can see us waiting.
                    if self._idle or self._changed.wait(seconds_left(deadline)):
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
            soon = min(deadline, monotonic() + self._connect_timeout)
            stream = connect(self._settings.endpoint, self._tls, self._context, soon)
            stream.silence = self._silence
            connection = Connection(stream, self._settings.engine(), self._settings.keep_alive)
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

    def release(self, connection: Connection) -> None:
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

    def discard(self, connection: Connection) -> None:
        """Close a connection and let another take its place."""
        with self._changed:
            self._forget(connection)
            self._changed.notify()

    def _forget(self, connection: Connection) -> None:
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


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def seconds_left(deadline: float) -> float | None:
    """Seconds until a deadline, as `threading` takes them."""
    if deadline == math.inf:
        return None
    return min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX)
