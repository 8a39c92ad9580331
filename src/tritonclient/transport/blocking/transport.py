"""Transport on blocking sockets, over HTTP/1.1 or gRPC."""

from __future__ import annotations

import math
import weakref
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ...errors import (
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    StreamRefused,
)
from ...messages import Request
from ..call import NO_OPTIONS, Call, Options, log_debug
from ..endpoint import TLS
from ..errors import locate
from ..retry import counts, may_resend
from ..settings import Settings
from .connection import Connection
from .pool import Pool

if TYPE_CHECKING:
    from .grpc_stream import GrpcStream

T = TypeVar("T")


class Transport:
    """Sends requests. Any number of threads may use one at the same time.

    Args:
        max_connections: how many connections may be open; further calls wait for one.
        connect_timeout: seconds that connecting may take within a call; None for no limit.
        silence_timeout: seconds that a call may wait for the server to send or read something;
            None for no limit.

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
        self._streams: weakref.WeakSet[GrpcStream] = weakref.WeakSet()

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """Return a request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response.

        Args:
            timeout: seconds from now until the response must be complete, checked by
                `check_timeout`; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        deadline = math.inf if timeout is None else monotonic() + timeout
        retries = 0
        try:
            connection = self._pool.take() or self._pool.acquire(deadline)
            while True:
                try:
                    return self._exchange(connection, call, timeout, deadline)
                except ConnectionFailed as error:
                    if not may_resend(
                        error,
                        retries=retries,
                        reused=connection.reused,
                        idempotent=call.idempotent,
                        unacknowledged=error._unacknowledged,
                    ):
                        raise
                    retries += counts(error)
                    log_debug("%s: %s; sending the request again", self._url, error)
                    if not isinstance(error, StreamRefused):
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
            result: T = connection.exchange(call, timeout, deadline)
        except BaseException as error:
            if connection.reusable_after(call, error):
                self._pool.release(connection)
            else:
                self._pool.discard(connection)
            raise
        self._pool.release(connection)
        return result

    def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> GrpcStream:
        """Begin a stream of inferences over gRPC, which has a connection of its own.

        Args:
            timeout: seconds from now until the stream must have ended; None for no limit.
        """
        from ..grpc_call import GrpcSettings
        from .grpc_stream import GrpcStream

        assert isinstance(self._settings, GrpcSettings)
        deadline = math.inf if timeout is None else monotonic() + timeout
        try:
            stream = GrpcStream(self._pool, self._settings, options, timeout, deadline)
        except InferenceServerException as error:
            error.endpoint = self._url
            raise
        self._streams.add(stream)
        return stream

    def close(self) -> None:
        """Close idle connections now and busy ones when their call ends; later calls fail.

        Streams, which have no end of their own that could be waited for, are cancelled.
        """
        for stream in list(self._streams):
            stream.cancel(Cancelled("the client was closed"))
        self._pool.close()

    def abort(self) -> None:
        """Close all connections now; calls that wait for a response fail."""
        self._pool.close()
        self._pool.abort()
