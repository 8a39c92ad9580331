"""gRPC on asyncio: calls, and streams of inferences."""

from __future__ import annotations

import asyncio
import math
from asyncio import Future
from collections.abc import Sequence
from typing import TypeVar

from ...datatypes import Buffer
from ...engine.rpc_stream import Outcome
from ...errors import (
    CallLeftOver,
    CallRefused,
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
)
from ..call import MAX_REFUSALS, NO_OPTIONS, Options, check_timeout, locate, note
from ..endpoint import TLS
from ..grpc_call import GrpcCall, GrpcSettings, StreamOpening, check_outcome
from .decompressing import Decompressing, decompress
from .grpc_connection import GrpcConnection
from .grpc_pool import GrpcPool
from .pool import LoopTransport

T = TypeVar("T")


class GrpcTransport(LoopTransport[GrpcPool]):
    """Sends requests over gRPC from coroutines.

    Args:
        max_connections: how many connections may be open per event loop; further calls wait.
    """

    def __init__(
        self, settings: GrpcSettings, *, tls: TLS | None = None, max_connections: int = 100
    ) -> None:
        super().__init__(
            settings,
            GrpcPool,
            lambda loop: GrpcConnection(settings.engine(), loop, settings.keep_alive),
            tls=tls,
            max_connections=max_connections,
        )
        self._grpc = settings

    async def send(self, call: GrpcCall[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer.

        Cancelling the task resets the stream, which tells the server to stop.

        Args:
            timeout: seconds from now until the answer must be there; None for no limit.

        Raises:
            InferenceServerException: see `errors` for all that it can be.
        """
        check_timeout(timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        refusals = 0
        try:
            while True:
                connection = pool.take() or await pool.acquire(deadline)
                reused = connection.used
                try:
                    return await _exchange(pool, connection, call, timeout, deadline)
                except CallRefused as error:
                    refusals += not isinstance(error, CallLeftOver)
                    if refusals > MAX_REFUSALS:
                        raise
                    note("%s: the call was refused; sending it again", self._url)
                except ConnectionFailed:
                    # A server may close an idle connection just as a request is on its way.
                    refusals += 1
                    if not (reused and call.idempotent) or refusals > MAX_REFUSALS:
                        raise
                    note("%s: the idle connection was lost; asking again", self._url)
                except DeadlineExceeded:
                    if timeout is not None:
                        pool.doubt(deadline - timeout)
                    raise
        except InferenceServerException as error:
            locate(error, self._url, call.request)
            raise

    async def open(self, options: Options = NO_OPTIONS, timeout: float | None = None) -> Duplex:
        """Begin a stream of inferences.

        Args:
            timeout: seconds from now until the stream must have ended; None for no limit.
        """
        check_timeout(timeout)
        opening = StreamOpening(self._grpc, options, timeout)
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout is None else loop.time() + timeout
        pool = self._pool(loop)
        try:
            connection = pool.take() or await pool.acquire(deadline)
            duplex = Duplex(pool, connection, opening, deadline)
        except InferenceServerException as error:
            error.endpoint = self._url
            raise
        pool.duplexes.add(duplex)
        return duplex


async def _exchange(
    pool: GrpcPool,
    connection: GrpcConnection,
    call: GrpcCall[T],
    timeout: float | None,
    deadline: float,
) -> T:
    stream = call.begin(connection.engine, timeout)
    try:
        answer = connection.expect(stream, deadline)
        pool.watch(deadline)
        connection.send_call()
        await answer
        compressed = call.compressed(stream)
        if compressed is not None:
            await decompress(compressed, deadline)
        return call.finish(stream)
    except BaseException:
        connection.cancel(stream, Cancelled("the call was cancelled"))
        raise
    finally:
        pool.release(connection)


class Duplex:
    """A stream of inferences: messages to the server, and messages from it.

    One coroutine may send while another receives.
    """

    def __init__(
        self,
        pool: GrpcPool,
        connection: GrpcConnection,
        opening: StreamOpening,
        deadline: float,
    ) -> None:
        self._pool = pool
        self._opening = opening
        self._deadline = deadline
        self._news: Future[None] | None = None
        self._decompressing: Decompressing | None = None  # the next message
        self._begin(connection)

    def _begin(
        self,
        connection: GrpcConnection,
        result: Outcome | InferenceServerException | None = None,
    ) -> None:
        self._connection = connection
        self._stream = self._opening.begin(connection.engine, result)
        connection.begin(self._stream, self._notify, self._deadline)
        self._pool.watch(self._deadline)
        connection.schedule()

    def _notify(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
        if self._stream.result is not None:
            # Soon, when the engine has forgotten the stream.
            self._connection.call_soon(self._pool.release, self._connection)

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream, or it was cancelled."""
        result = self._stream.result
        return result is not None and not self._opening.refused(result)

    async def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when it is on its way and there is room for another."""
        framed = self._opening.frame(message)
        self._opening.sent(framed)
        self._connection.engine.send(self._stream, framed)
        self._connection.schedule()
        await self._connection.drained(self._stream)

    async def end(self) -> None:
        """Tell the server that no more messages will come."""
        self._opening.end()
        self._connection.engine.send(self._stream, (), end=True)
        self._connection.schedule()

    async def receive(self, timeout: float | None = None) -> Buffer | None:
        """The next message, or None when the server has ended the stream well.

        Args:
            timeout: seconds that it may take; when they are over the stream is cancelled.
        """
        until = math.inf
        if timeout is not None:
            until = asyncio.get_running_loop().time() + timeout
        while not self._stream.messages:
            result = self._stream.result
            if result is None:
                await self._wait(timeout)
            elif self._opening.refused(result):
                await self._begin_again(timeout)
            else:
                check_outcome(result)
                return None
        self._opening.answered()
        try:
            if self._decompressing is not None or self._stream.compressed is not None:
                await self._decompress(min(until, self._deadline))
            message = self._stream.take()
        except (DeadlineExceeded, ProtocolError) as error:
            self.cancel(error)
            raise
        self._connection.schedule()  # the window may have been opened
        return message

    async def _decompress(self, until: float) -> None:
        """Decompress the next message, which stays the next one if the task is cancelled."""
        if self._decompressing is None:
            assert self._stream.compressed is not None
            self._decompressing = Decompressing(self._stream.compressed)
        try:
            await self._decompressing.finish(until)
        except Cancelled:
            check_outcome(self._stream.result)
            raise
        self._decompressing = None

    async def _begin_again(self, timeout: float | None) -> None:
        until = math.inf if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            connection = await self._pool.acquire(min(until, self._deadline))
        except InferenceServerException as error:
            self.cancel(error)
            raise
        except RuntimeError:  # the client was closed, and has cancelled its streams
            self.cancel()
            return
        result = self._stream.result
        if self._opening.refused(result):  # still: not cancelled, and not too much sent
            self._begin(connection, result)
        else:
            self._pool.release(connection)

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._time_out, timeout)
        try:
            await self._news
        finally:
            if timer is not None:
                timer.cancel()

    def _time_out(self, timeout: float) -> None:
        self.cancel(DeadlineExceeded(f"no response came within {timeout:g} s"))

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once; harmless when it has ended."""
        error = error or Cancelled("the stream was cancelled")
        if self._decompressing is not None:
            self._decompressing.stop()
        if self._opening.refused(self._stream.result):
            self._stream.result = error
        self._connection.cancel(self._stream, error)
