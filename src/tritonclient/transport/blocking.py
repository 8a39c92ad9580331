"""HTTP on blocking sockets: a pool of connections that threads share.

The sockets are non-blocking and waited for with poll(), for three reasons: one deadline then
covers connecting, sending, waiting and receiving; an answer that comes before a large request is
sent whole is seen; and TLS and plain sockets behave alike.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from ..datatypes import Buffer
from ..engine.http1 import Http1, Response
from ..errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..messages import Request
from .endpoint import TLS, Endpoint
from .http import (
    NO_OPTIONS,
    HttpCall,
    HttpSettings,
    Options,
    check_timeout,
    gather,
    locate,
    trusted,
)
from .polling import IN, OUT, Poll, poller

T = TypeVar("T")

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: sendmsg takes no more buffers than IOV_MAX, which is 1024 on Linux and macOS.
_MAX_BUFFERS = 512


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
            return self._round_trip(call, deadline)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def _round_trip(self, call: HttpCall[T], deadline: float) -> T:
        connection = self._pool.acquire(deadline)
        try:
            return self._exchange(connection, call, deadline)
        except ConnectionFailed:
            # A server may close an idle connection just as the next request is on its way.
            if not (connection.reused and call.idempotent):
                raise
        return self._exchange(self._pool.acquire(deadline, fresh=True), call, deadline)

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


class _Connection:
    """A connected socket and the engine that reads from it."""

    __slots__ = ("_poll", "_send_some", "engine", "reused", "sock")

    def __init__(self, sock: socket.socket, engine: Http1) -> None:
        self.sock = sock
        self.engine = engine
        self.reused = False
        self._poll = poller(sock)
        self._send_some: Callable[[list[Buffer]], int] = self._send_first
        # TLS encrypts into a buffer of its own anyway, and Windows has no sendmsg.
        if sys.platform != "win32" and not isinstance(sock, ssl.SSLSocket):
            self._send_some = sock.sendmsg

    def exchange(self, buffers: list[Buffer], deadline: float) -> Response:
        """Send buffers and receive the answer."""
        engine = self.engine
        self._send(buffers, deadline)
        if engine.response is None and not self._pending():
            self._wait(IN, deadline)  # saves a first attempt to receive, which would fail
        while engine.response is None:
            try:
                self._receive()
            except _WOULD_BLOCK as error:
                self._wait(OUT if isinstance(error, ssl.SSLWantWriteError) else IN, deadline)
        return engine.response

    def _send(self, buffers: list[Buffer], deadline: float) -> None:
        buffers = gather(buffers)
        while buffers:
            try:
                sent = self._send_some(buffers[:_MAX_BUFFERS])
            except _WOULD_BLOCK:
                if self._wait(IN | OUT, deadline) & ~OUT and self._answered_early():
                    return
            except OSError as error:
                # The server may have answered, "too large" for instance, before it hung up.
                self._last_words(error, deadline)
                return
            else:
                buffers = _behind(buffers, sent)

    def _send_first(self, buffers: list[Buffer]) -> int:
        return self.sock.send(buffers[0])

    def _answered_early(self) -> bool:
        with contextlib.suppress(*_WOULD_BLOCK):
            self._receive()
        # What was not sent can't be any more, so the connection is of no further use.
        return self.engine.response is not None and self.engine.abandon()

    def _last_words(self, error: OSError, deadline: float) -> None:
        try:
            while self.engine.response is None:
                self._receive()
        except (ConnectionFailed, *_WOULD_BLOCK):
            raise ConnectionFailed(f"the connection was lost while sending: {error}") from error
        self.engine.abandon()

    def _receive(self) -> None:
        try:
            count = self.sock.recv_into(self.engine.get_buffer())
        except _WOULD_BLOCK:
            raise
        except OSError as error:
            raise ConnectionFailed(f"the connection was lost: {error}") from error
        if count:
            self.engine.buffer_updated(count)
        else:
            self.engine.eof_received()

    def _pending(self) -> bool:
        # What TLS has decrypted already, poll() does not see.
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _wait(self, events: int, deadline: float) -> int:
        return _wait(self._poll, events, deadline)

    def stale(self) -> bool:
        """Whether the server has closed the idle connection, or sent what nobody asked for."""
        if not self._poll(IN, 0):
            return False
        try:
            # TLS may have sent a session ticket, which is no data.
            return not isinstance(self.sock, ssl.SSLSocket) or self.sock.recv(1) is not None
        except _WOULD_BLOCK:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.sock.close()


def _behind(buffers: list[Buffer], count: int) -> list[Buffer]:
    """What is left of buffers after their first `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []


def _wait(poll: Poll, events: int, deadline: float) -> int:
    if deadline == math.inf:
        while True:
            if ready := poll(events, None):
                return int(ready)
    while True:
        left = deadline - monotonic()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the answer was there")
        # Rounded up, so as not to spin through the last millisecond.
        if ready := poll(events, math.ceil(min(left, 86400) * 1000)):
            return int(ready)


class _Pool:
    """Connections to one endpoint.

    A call takes the connection that was used last and puts it back. Both are one atomic
    operation of a deque; the lock is only for opening, closing and waiting.
    """

    def __init__(self, settings: HttpSettings, tls: TLS, max_connections: int) -> None:
        if max_connections < 1:
            raise ValueError(f"max_connections is {max_connections}, expected at least 1")
        self._settings = settings
        self._tls = tls
        self._context = tls.make_context() if settings.endpoint.secure else None
        self._max_connections = max_connections
        self._closed = False
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._idle: deque[_Connection] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._open = 0
        self._waiting = 0

    def after_fork(self) -> None:
        """Forget the parent's connections: its sockets are closed here and stay open there."""
        for connection in self._idle:
            connection.close()
        self._reset()

    def acquire(self, deadline: float, *, fresh: bool = False) -> _Connection:
        """A connection ready for a call; `fresh` for a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if not fresh and connection.engine.reusable and not connection.stale():
                connection.reused = True
                return connection
            self.discard(connection)
        if self._closed:
            raise RuntimeError("the client is closed")
        return self._open_or_wait(deadline)

    def _open_or_wait(self, deadline: float) -> _Connection:
        with self._changed:
            while self._open >= self._max_connections:
                self._waiting += 1
                try:
                    # Looked for again now that a release can see us waiting.
                    if self._idle or self._changed.wait(_seconds(deadline)):
                        with contextlib.suppress(IndexError):
                            connection = self._idle.pop()
                            if connection.engine.reusable and not connection.stale():
                                connection.reused = True
                                return connection
                            self._forget(connection)
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
            sock = _connect(self._settings.endpoint, self._context, self._tls, deadline)
            return _Connection(sock, self._settings.engine())
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
        self._open -= 1

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


# Connecting


def _connect(
    endpoint: Endpoint, context: ssl.SSLContext | None, tls: TLS, deadline: float
) -> socket.socket:
    try:
        sock = _connect_any(endpoint, deadline)
    except DeadlineExceeded:  # an OSError as well
        raise
    except (OSError, UnicodeError) as error:
        raise ConnectionFailed(f"can't connect: {error}") from error
    if context is None:
        return sock
    try:
        return _handshake(sock, context, tls.server_name or endpoint.host, deadline)
    except BaseException as error:
        sock.close()
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, DeadlineExceeded):
            raise ConnectionFailed(f"the TLS handshake failed: {error}") from error
        raise


def _connect_any(endpoint: Endpoint, deadline: float) -> socket.socket:
    """Try each address of the host in turn."""
    if endpoint.socket_path:
        return _connect_one(socket.AF_UNIX, endpoint.socket_path, deadline)
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("no address")
    for family, _, _, _, address in found:
        try:
            return _connect_one(family, address, deadline)
        except DeadlineExceeded:
            raise
        except OSError as error:
            failure = error
    raise failure


def _connect_one(family: int, address: Any, deadline: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address)
        except BlockingIOError:
            _wait(poller(sock), OUT, deadline)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code)) from None
        return sock
    except BaseException:
        sock.close()
        raise


def _handshake(
    sock: socket.socket, context: ssl.SSLContext, name: str, deadline: float
) -> ssl.SSLSocket:
    secured = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    try:
        poll = poller(secured)
        while True:
            try:
                secured.do_handshake()
                return secured
            except ssl.SSLWantReadError:
                _wait(poll, IN, deadline)
            except ssl.SSLWantWriteError:
                _wait(poll, OUT, deadline)
    except BaseException:
        secured.close()
        raise
