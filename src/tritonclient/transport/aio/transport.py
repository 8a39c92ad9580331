"""Transport on asyncio, over HTTP/1.1 or gRPC.

Nothing is bound to an event loop until a call is made, and each loop has connections of its own. So
one transport outlives several `asyncio.run`, and can serve loops in different threads.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    StreamRefused,
)
from ...messages import Request
from ..call import NO_OPTIONS, Call, Options, log_debug
from ..endpoint import TLS
from ..errors import client_closed, locate
from ..retry import counts, may_resend
from ..settings import Settings, check_limit, make_context
from .connecting import Connector
from .connection import Connection
from .pool import Pool

if TYPE_CHECKING:
    from .grpc_stream import AsyncGrpcStream

T = TypeVar("T")


class Transport:
    """Sends requests from coroutines.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self, settings: Settings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        check_limit("max_connections", max_connections)
        self._settings = settings
        self._url = settings.endpoint.url
        tls = tls or TLS()
        context = make_context(settings, tls)
        self._connector = Connector(settings, context, tls, self._make_connection)
        self._max_connections = max_connections
        self._pools: weakref.WeakKeyDictionary[AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._recent: Any = None  # the pool of the last call: quicker than a look-up
        self._closed = False

    def _make_connection(self, loop: AbstractEventLoop) -> Any:
        settings = self._settings
        if settings.endpoint.protocol == "http":
            return Connection(settings.engine(), loop)
        from .grpc_connection import GrpcConnection

        return GrpcConnection(settings.engine(), loop, settings.keep_alive)

    def _make_pool(self, loop: AbstractEventLoop) -> Any:
        if self._settings.endpoint.protocol == "http":
            return Pool(loop, self._connector, self._max_connections)
        from .grpc_pool import GrpcPool

        return GrpcPool(loop, self._connector, self._max_connections)

    def _pool(self, loop: AbstractEventLoop) -> Any:
        if self._closed:
            raise client_closed(self._url)
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = self._make_pool(loop)
        self._recent = pool
        return pool

    def prepare(self, request: Request[T], options: Options = NO_OPTIONS) -> Call[T]:
        """Return a request as bytes, to be sent once or often."""
        return self._settings.call(request, options)

    async def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response.

        Cancelling the task closes the connection over HTTP, and resets the stream over gRPC. Both
        tell the server to stop.

        Args:
            timeout: seconds from now until the response must be complete, checked by
                `check_timeout`; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._recent  # read once: another thread's loop may change it
        if pool is None or pool.loop() is not loop:
            pool = self._pool(loop)
        retries = 0
        try:
            while True:
                connection = pool.take() or await pool.acquire(deadline)
                reused = connection.reused
                try:
                    if deadline < pool.alarm_time:
                        pool.watch(deadline)
                    return await connection.exchange(call, timeout, deadline)  # type: ignore[no-any-return]
                except ConnectionFailed as error:
                    if not may_resend(
                        error,
                        retries=retries,
                        reused=reused,
                        idempotent=call.idempotent,
                        unacknowledged=error._unacknowledged,
                    ):
                        raise
                    retries += counts(error)
                    log_debug("%s: %s; sending the request again", self._url, error)
                    if not isinstance(error, StreamRefused):
                        pool.discard_idle()
                except DeadlineExceeded:
                    if timeout is not None:
                        pool.suspect_silent(deadline - timeout)
                    raise
                finally:
                    pool.release(connection)
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    async def open(
        self, options: Options = NO_OPTIONS, timeout: float | None = None
    ) -> AsyncGrpcStream:
        """Begin a stream of inferences over gRPC.

        Args:
            timeout: seconds from now until the stream must have ended; None for no limit.
        """
        from ..grpc_call import GrpcSettings
        from ..grpc_stream import StreamReplay
        from .grpc_stream import AsyncGrpcStream

        assert isinstance(self._settings, GrpcSettings)
        replay = StreamReplay(self._settings, options, timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        try:
            connection = pool.take() or await pool.acquire(deadline)
            stream = AsyncGrpcStream(pool, connection, replay, deadline)
        except InferenceServerException as error:
            error.endpoint = self._url
            raise
        pool.streams.add(stream)
        return stream

    async def close(self) -> None:
        """Close the connections of this event loop; those of ended loops are gone already."""
        self._closed = True
        self._recent = None
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()
