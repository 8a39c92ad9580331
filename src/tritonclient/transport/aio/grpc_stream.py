"""Stream of inferences over gRPC on asyncio."""

from __future__ import annotations

import asyncio
import math
from asyncio import Future
from collections.abc import Sequence

from ...datatypes import Buffer
from ...engine.rpc_outcome import Outcome
from ...engine.rpc_stream import RpcStream
from ...errors import Cancelled, DeadlineExceeded, InferenceServerException, ProtocolError
from ..deadline import no_response
from ..grpc_call import check_outcome
from ..grpc_stream import StreamReplay, kept
from .decompressing import Decompressing
from .grpc_connection import GrpcConnection
from .grpc_pool import GrpcPool


class AsyncGrpcStream:
    """A stream of inferences: messages to the server, and messages from it.

    One coroutine may send while another receives.
    """

    def __init__(
        self,
        pool: GrpcPool,
        connection: GrpcConnection,
        replay: StreamReplay,
        deadline: float,
    ) -> None:
        self._pool = pool
        self._replay = replay
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
        stream = self._stream = self._replay.begin(connection.engine, result)
        stream.notify, stream.deadline = self._notify, self._deadline
        self._pool.watch(self._deadline)
        connection.schedule()

    def _notify(self, stream: RpcStream) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
        if stream.result is not None:
            stream.notify = None  # which refers to this, a circle
            # Soon, when the engine has forgotten the stream.
            self._connection.call_soon(self._pool.release, self._connection)

    @property
    def ended(self) -> bool:
        """True if the server has ended the stream, or it was cancelled."""
        result = self._stream.result
        return result is not None and not self._replay.refused(result)

    async def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when it is on its way and there is room for another."""
        framed = self._replay.frame(message)
        self._replay.sent(framed)
        self._connection.engine.send(self._stream, framed)
        self._connection.schedule()
        await self._connection.drained(self._stream)

    async def end(self) -> None:
        """Half-close the stream: no more messages will be sent."""
        self._replay.end()
        self._connection.engine.send(self._stream, (), end=True)
        self._connection.schedule()

    async def receive(self, timeout: float | None = None) -> Buffer | None:
        """Return the next message, or None when the server has ended the stream with status OK.

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
            elif self._replay.refused(result):
                await self._begin_again(timeout)
            else:
                check_outcome(result)
                return None
        self._replay.discard()
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
        if self._replay.refused(result):  # still: not cancelled, and not too much sent
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
        self.cancel(no_response(timeout))

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once; harmless when it has ended."""
        error = kept(error)
        if self._decompressing is not None:
            self._decompressing.stop()
        if self._replay.refused(self._stream.result):
            self._stream.result = error
        self._connection.cancel(self._stream, error)
