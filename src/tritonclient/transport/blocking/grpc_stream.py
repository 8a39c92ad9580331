"""Stream of inferences over gRPC on blocking sockets, for one sending and one receiving thread.

A stream has a connection of its own. Whoever needs something from the server waits for it and
reads for both; there is no other thread. Bytes that the socket did not take are waited for in the
same way. All that touches engine and socket happens under one lock, except waiting.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Sequence
from time import monotonic
from typing import cast

from ...datatypes import Buffer
from ...engine.http2 import Http2
from ...engine.rpc_outcome import Outcome
from ...errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
)
from ..call import Options, gather
from ..deadline import late, no_response, seconds_left
from ..errors import lost, lost_while_sending
from ..grpc_call import GrpcSettings, check_outcome
from ..grpc_stream import StreamReplay, kept
from ..polling import IN, OUT, poller
from .connection import Connection
from .decompressing import decompress
from .pool import Pool
from .sockets import drop_first, wait

#: What may wait to be sent before a sender waits for the server.
_ROOM = 256 * 1024
#: Seconds after which a sender that waits for the socket looks whether the stream still lives.
_A_WHILE = 0.1


class GrpcStream:
    """A stream of inferences: messages to the server, and messages from it.

    Args:
        deadline: by the monotonic clock, when the stream must have ended.
    """

    def __init__(
        self,
        pool: Pool,
        settings: GrpcSettings,
        options: Options,
        timeout: float | None,
        deadline: float,
    ) -> None:
        self._replay = StreamReplay(settings, options, timeout)
        self._deadline = deadline
        self._pool = pool
        self._changed = threading.Condition()
        self._reading = False  # whether a thread waits until something comes
        self._writing = False  # whether a thread waits until the socket takes more
        self._begin(pool.acquire(deadline))
        _streams.add(self)

    def _begin(
        self, connection: Connection, result: Outcome | InferenceServerException | None = None
    ) -> None:
        try:
            with self._changed:
                self._connection = connection
                _in_use.add(connection)
                self._engine = cast(Http2, connection.engine)
                self._socket = connection.stream
                # One of its own, since the reader waits too.
                self._writable = poller(self._socket.sock)
                self._released = False
                self._unsent: list[Buffer] = []
                self._stream = self._replay.begin(self._engine, result)
                self._flush()
        except BaseException:
            _in_use.discard(connection)
            self._pool.discard(connection)
            raise

    def after_fork(self) -> None:
        """Be over in a forked child: the stream is the parent's, and so may be the lock."""
        self._changed = threading.Condition()
        self._reading = self._writing = False
        self._released = True
        _in_use.discard(self._connection)
        self._stream.finish(ConnectionFailed("the stream was left to the process that forked"))

    # What callers do

    @property
    def ended(self) -> bool:
        """True if the server has ended the stream, or it was cancelled."""
        result = self._stream.result
        return result is not None and not self._replay.refused(result)

    def send(self, message: Sequence[Buffer]) -> None:
        """Send a message; returns when it is on its way and there is room for another.

        What is sent after the end is dropped: `receive` tells what ended the stream.

        Raises:
            DeadlineExceeded: the server did not take it in time.
        """
        if not self.post(message):
            self.drain()

    def post(self, message: Sequence[Buffer]) -> bool:
        """Send a message as far as that needs no waiting; whether it is on its way.

        If not, `drain` sends what is left, in another thread if need be.
        """
        framed = self._replay.frame(message)
        with self._changed:
            self._replay.sent(framed)
            if self._stream.result is None:
                self._engine.send(self._stream, framed)
        return self.sent()

    def sent(self) -> bool:
        """True if posted messages are sent and there is room for more, or the stream has ended."""
        with self._changed:
            if self._stream.result is not None:
                return True
            self._flush()
            return not self._unsent and self._stream.out_size < _ROOM

    def drain(self) -> None:
        """Wait until what was posted is on its way.

        Raises:
            DeadlineExceeded: the server did not take it in time.
        """
        while not self.sent():
            try:
                self._pump(self._deadline)
            except DeadlineExceeded as error:
                self.cancel(error)
                raise

    def end(self) -> None:
        """Half-close the stream: no more messages will be sent."""
        with self._changed:
            self._replay.end()
            if self._stream.result is None:
                self._engine.send(self._stream, (), end=True)
                self._flush()
            # A thread that reads already does not see that there is more to send; later ones do.
            unseen = bool(self._unsent) and self._reading and not self._writing
        if unseen:
            self.drain()

    def receive(self, timeout: float | None = None) -> Buffer | None:
        """Return the next message, or None when the server has ended the stream with status OK.

        Args:
            timeout: seconds that it may take; when they are over the stream is cancelled.
        """
        until = math.inf if timeout is None else monotonic() + timeout
        while True:
            with self._changed:
                compressed = self._stream.compressed
                if self._stream.messages and compressed is None:
                    return self._take()
                result = self._stream.result if compressed is None else None
                if result is not None:
                    self._release()
                refused = self._replay.refused(result)
            if result is not None and not refused:
                check_outcome(result)
                return None
            try:
                if compressed is not None:
                    # Without the lock, as others may send meanwhile.
                    with contextlib.suppress(ProtocolError):  # taking it tells
                        decompress(compressed, min(until, self._deadline))
                elif refused:
                    self._begin_again(min(until, self._deadline))
                else:
                    self._pump(min(until, self._deadline))
            except DeadlineExceeded as error:
                if timeout is None or until > self._deadline:
                    self.cancel(error)
                    raise error from None
                self.cancel(no_response(timeout))
                raise no_response(timeout) from None

    def _begin_again(self, until: float) -> None:
        try:
            connection = self._pool.acquire(until)
        except ConnectionFailed as error:
            self.cancel(error)
            raise
        except RuntimeError:  # the client was closed, and has cancelled its streams
            self.cancel()
            return
        with self._changed:
            result = self._stream.result
            if self._replay.refused(result):  # still: not cancelled, and not too much sent
                self._begin(connection, result)
            else:
                self._pool.release(connection)

    def _take(self) -> Buffer:
        self._replay.discard()
        try:
            message = self._stream.take()
        except ProtocolError as error:
            self.cancel(error)
            raise
        if not self._released:
            self._flush()  # the window may have been opened
        return message

    def cancel(self, error: InferenceServerException | None = None) -> None:
        """End the stream at once, from any thread; harmless when it has ended."""
        error = kept(error)
        with self._changed:
            if self._replay.refused(self._stream.result):
                self._stream.result = error
            if self._stream.result is None:
                self._engine.cancel(self._stream, error)
                self._flush()  # tells the server why
                # Wakes a thread that waits for the server, which will say nothing more.
                self._connection.abort()
                self._engine.mark_unusable()
            self._release()
            self._changed.notify_all()

    # Sending; the lock is held for _flush

    def _flush(self) -> None:
        """Send what can be sent without waiting."""
        engine = self._engine
        while True:
            if not self._unsent:
                self._unsent = gather(engine.data_to_send(_ROOM))
                if not sum(map(len, self._unsent)):
                    self._unsent = []
                    return
            try:
                sent = self._socket.send_some(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                self._unsent = []
                self._read_final_response()
                engine.fail(lost_while_sending(error))
                return
            self._unsent = drop_first(self._unsent, sent)

    # Receiving

    def _pump(self, until: float) -> None:
        """Wait until something has come, or the socket takes more if there is more to send.

        What another thread waits for already, it reads or sends for this one too.
        """
        with self._changed:
            if self._stream.result is not None:
                return
            reads = not self._reading
            writes = bool(self._unsent) and not self._writing
            if not (reads or writes):
                if not self._changed.wait(_wait_seconds(until)) and monotonic() >= until:
                    raise late()
                return
            self._reading = self._reading or reads
            self._writing = self._writing or writes
        failure = None
        try:
            if reads:
                self._connection.wait(IN | OUT if writes else IN, until, self._flush_now)
            else:
                self._wait_for_room(until)
        except ConnectionFailed as error:
            failure = error.with_traceback(None)
        except BaseException:
            with self._changed:
                self._waited(reads, writes)  # another takes over
            raise
        with self._changed:
            self._waited(reads, writes)
            if failure is not None:
                self._engine.fail(failure)
            elif not self._released:
                if reads:
                    self._read()
                self._flush()

    def _waited(self, reads: bool, writes: bool) -> None:
        self._reading = self._reading and not reads
        self._writing = self._writing and not writes
        self._changed.notify_all()

    def _wait_for_room(self, until: float) -> None:
        """Wait until the socket takes more.

        A while only, since the thread that reads may find the stream ended meanwhile.
        """
        soon = min(until, monotonic() + _A_WHILE)
        try:
            wait(self._writable, OUT, soon)
        except DeadlineExceeded:
            if soon == until:
                raise

    def _flush_now(self) -> None:
        with self._changed:
            self._flush()

    def _read(self) -> None:
        engine = self._engine
        try:
            count = self._socket.receive_now(engine.get_buffer())
            if count:
                engine.buffer_updated(count)
            else:
                engine.eof_received()
        except BlockingIOError:
            pass
        except InferenceServerException:
            pass  # the stream tells
        except OSError as error:
            engine.fail(lost(error, engine.goaway_message))

    def _read_final_response(self) -> None:
        """Read what came before sending failed: it may tell why."""
        engine = self._engine
        with contextlib.suppress(OSError, InferenceServerException):  # the stream tells
            while self._stream.result is None:
                count = self._socket.receive_now(engine.get_buffer())
                if not count:
                    return
                engine.buffer_updated(count)

    # The end; the lock is held

    def _release(self) -> None:
        """Give the connection back, once."""
        if self._released:
            return
        self._released = True
        _in_use.discard(self._connection)
        if self._unsent or self._reading or self._writing:
            self._pool.discard(self._connection)
        else:
            self._pool.release(self._connection)


def _wait_seconds(until: float) -> float | None:
    """Return the seconds until a time, as `threading` accepts them."""
    left = seconds_left(until, monotonic())
    return None if left is None else min(left, threading.TIMEOUT_MAX)


_streams: weakref.WeakSet[GrpcStream] = weakref.WeakSet()
#: Connections of open streams, which the pool refers to weakly. Otherwise a dropped stream in a
#: reference cycle is collected together with its socket, before it can give the connection back.
_in_use: set[Connection] = set()


def _after_fork() -> None:
    for stream in list(_streams):
        stream.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
