"""A connection on a blocking socket, which carries one call at a time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...datatypes import Buffer
from ...errors import CallRefused, ConnectionFailed, DeadlineExceeded, InferenceServerException
from ..call import Engine, KeepAlive, gather, lost
from ..deadlines import RECEIVING, SENDING, WAITING, late
from ..polling import IN, OUT
from .sockets import Stream, behind


class Place:
    """One of as many connections as a pool may have; free when nothing refers to it any more."""

    __slots__ = ("__weakref__",)


class Connection:
    """A connected socket and the engine that reads from it.

    Attributes:
        engine, stream: these two.
        reused: whether it has carried a call before.
        heard: when it was put back into the pool last, by the monotonic clock.
        place: its place in the pool.
    """

    __slots__ = (
        "__weakref__",
        "_confirms",
        "_keep_alive",
        "_pinged",
        "_sent",
        "_unsent",
        "_used",
        "engine",
        "heard",
        "place",
        "reused",
        "stream",
    )

    def __init__(
        self, stream: Stream, engine: Engine, keep_alive: KeepAlive | None, place: Place
    ) -> None:
        self.stream = stream
        self._keep_alive = keep_alive
        self._unsent = False  # whether sending broke off, perhaps inside a frame
        self._sent = 0  # bytes of the call under way
        # Whether it comes out in the end if a call was sent to a server that had gone.
        self._confirms = stream.tells_untaken and engine.numbers_calls
        self._used = monotonic()
        self._pinged = 0.0  # when the ping was sent that is not answered yet
        self.heard = 0.0
        self.place = place
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
        except DeadlineExceeded:
            if monotonic() < deadline:
                raise  # nothing came for too long
            sending = self._unsent or engine.unsent
            phase = SENDING if sending else RECEIVING if engine.answering else WAITING
            raise late(phase) from None
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
            if self._keep_alive is None:
                count = self.stream.receive(buffer, deadline, whole)
            else:
                count = self._receive_or_ping(buffer, deadline)
        except OSError as error:
            raise self._lost(error) from error
        if count:
            engine.buffer_updated(count)
        else:
            engine.eof_received()

    def _receive_or_ping(self, buffer: memoryview, deadline: float) -> int:
        while True:
            self.wait(IN, deadline, lambda: self.flush(deadline))
            with contextlib.suppress(BlockingIOError):  # a part of a record of TLS
                return self.stream.receive_now(buffer)

    def wait(self, events: int, until: float, flush: Callable[[], object]) -> int:
        """Wait until there is something to receive, and send pings in times of silence.

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
            if engine.ping_pending:
                # Whatever comes meanwhile: only the answer counts.
                alarm = self._pinged + settings.timeout
            else:
                alarm = monotonic() + settings.time
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
            self._ping()
            flush()

    def _ping(self) -> None:
        self._pinged = monotonic()
        self.engine.ping()

    def _prove_alive(self) -> None:
        """Send a ping after a long pause: what lies between may have forgotten us."""
        now = monotonic()
        assert self._keep_alive is not None
        if now - self._used > self._keep_alive.time:
            self._ping()
        self._used = now

    def leave(self) -> bool:
        """End the call that is under way; whether the connection can go on.

        It can not before the probe is answered, see `stale`: the server may be silent for good.
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
                if self._wait_to_send(deadline) & ~OUT and self._answered_early():
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

    def _wait_to_send(self, deadline: float) -> int:
        """Wait until the peer takes more, or has sent something.

        Raises:
            ConnectionFailed: neither for as long as a ping would have taken to find it dead.
            DeadlineExceeded: neither in time.
        """
        settings = self._keep_alive
        if settings is None:
            return self.stream.wait(IN | OUT, deadline)
        # A ping would have to wait behind what is being sent.
        alarm = monotonic() + settings.time + settings.timeout
        try:
            return self.stream.wait(IN | OUT, min(alarm, deadline))
        except DeadlineExceeded:
            if deadline <= alarm:
                raise
        raise ConnectionFailed(
            f"keepalive: the server took nothing for {settings.time + settings.timeout:g} s"
        )

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

    def __del__(self) -> None:
        if hasattr(self, "stream"):
            self.stream.close()  # if a call has lost it to an exception

    def abort(self) -> None:
        """End the connection under the call that uses it, in whatever thread."""
        self.stream.shut_down()
