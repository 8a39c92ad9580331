"""Calls on blocking sockets, over HTTP/1.1 or gRPC as the settings say."""

from __future__ import annotations

import math
import weakref
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ...errors import (
    CallLeftOver,
    CallRefused,
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
)
from ...messages import Request
from ..call import MAX_REFUSALS, NO_OPTIONS, Call, Options, Settings, check_timeout, locate, note
from ..endpoint import TLS
from .connection import Connection
from .decompressing import decompress
from .pool import Pool

if TYPE_CHECKING:
    from .grpc_stream import Duplex

T = TypeVar("T")


class Transport:
    """Sends requests. Any number of threads may use one at the same time.

    Args:
        max_connections: how many connections may be open; further calls wait for one.
        connect_timeout: seconds that connecting may take within a call; None for no limit.
        silence_timeout: seconds for which nothing may come or go while a call wants it to; None
            for no limit.

    After a fork the child starts with no connections; the parent keeps its own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tls: TLS | None = None,
        max_connections: int = 100,
        connect_timeout: float | None = None,
        silence_timeout: float | None = None,
    ) -> None:
        self._settings = settings
        self._url = settings.endpoint.url
        self._silence = math.inf if silence_timeout is None else silence_timeout
        self._pool = Pool(settings, tls or TLS(), max_connections, connect_timeout, silence_timeout)
        self._duplexes: weakref.WeakSet[Duplex] = weakref.WeakSet()

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """A request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer.

        Args:
            timeout: seconds from now until the answer must be there; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        check_timeout(timeout)
        deadline = math.inf if timeout is None else monotonic() + timeout
        refusals = 0
        try:
            connection = self._pool.take(quick=True) or self._pool.acquire(deadline)
            while True:
                try:
                    return self._exchange(connection, call, timeout, deadline)
                except CallRefused as error:
                    refusals += not isinstance(error, CallLeftOver)
                    if refusals > MAX_REFUSALS:
                        raise
                    note("%s: the call was refused; sending it again", self._url)
                except ConnectionFailed:
                    # A server may close an idle connection just as a request is on its way.
                    refusals += 1
                    if not (connection.reused and call.idempotent) or refusals > MAX_REFUSALS:
                        raise
                    note("%s: the idle connection was lost; asking again", self._url)
                    self._pool.discard_idle()
                except DeadlineExceeded:
                    silence = self._silence if timeout is None else timeout
                    self._pool.discard_silent(monotonic() - silence)
                    raise
                connection = self._pool.acquire(deadline)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    def _exchange(
        self, connection: Connection, call: Call[T], timeout: float | None, deadline: float
    ) -> T:
        try:
            buffers = call.start(connection.engine, timeout)
            response = connection.exchange(buffers, deadline)
            compressed = call.compressed(response)
            if compressed is not None:
                decompress(compressed, deadline)
            answer = call.finish(response)
        except BaseException as error:
            # Where other calls than this can go on, its end need not be the connection's.
            mild = isinstance(error, (CallRefused, DeadlineExceeded, Cancelled, ProtocolError))
            if call.trusts(error) or (mild and connection.leave()):
                self._pool.release(connection)
            else:
                self._pool.discard(connection)
            raise
        self._pool.release(connection)
        return answer

    def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> Duplex:
        """Begin a stream of inferences over gRPC, which has a connection of its own.

        Args:
            timeout: seconds from now until the stream must have ended; None for no limit.
        """
        from ..grpc_call import GrpcSettings
        from .grpc_stream import Duplex

        assert isinstance(self._settings, GrpcSettings)
        check_timeout(timeout)
        deadline = math.inf if timeout is None else monotonic() + timeout
        try:
            duplex = Duplex(self._pool, self._settings, options, timeout, deadline)
        except InferenceServerException as error:
            error.endpoint = self._url
            raise
        self._duplexes.add(duplex)
        return duplex

    def close(self) -> None:
        """Close idle connections now and busy ones when their call ends; later calls fail.

        Streams, which have no end of their own that could be waited for, are cancelled.
        """
        for duplex in list(self._duplexes):
            duplex.cancel(Cancelled("the client was closed"))
        self._pool.close()

    def abort(self) -> None:
        """Close all connections now; calls that wait for an answer fail."""
        self._pool.close()
        self._pool.abort()
