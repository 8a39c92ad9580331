"""Connections that carry requests: a `Lane` is a connection, a `Flight` a request on it.

Over HTTP a lane carries one request at a time, over gRPC as many as there are streams.
"""

from __future__ import annotations

import socket
import struct
from abc import abstractmethod
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from .connection import (
    BROKEN,
    CONNECT_TIMEOUT,
    IN,
    OUT,
    Buffer,
    ConnectionFailed,
    Failure,
    Stream,
    Target,
    Wire,
    connect,
    drop_first,
    failure_of,
    gather,
)


class Flight:
    """A request under way, or a place for one.

    Attributes:
        wire, wire_index: the request, and its step of the data.
        due: when it was to be sent, in nanoseconds of the monotonic clock.
        start, sent, first, end: when it began, was sent, its answer began and ended.
        responses: times of its responses, and what they held if that is wanted.
        failure: why it failed, if it did.
        slot: the sequence's place.
    """

    __slots__ = (
        "answer", "deadline", "due", "end", "failure", "first", "lane", "last_of_sequence",
        "place", "response_count", "responses", "rpc", "sent",
        "sequence_id", "slot", "start", "tokens", "tries", "wire", "wire_index",
    )  # fmt: skip

    def __init__(self, lane: Lane | None = None) -> None:
        self.lane = lane
        self.wire_index = self.place = 0
        self.due = self.start = self.sent = self.first = self.end = 0
        self.deadline = 0
        self.tries = 0
        self.failure: Failure | None = None
        self.responses: list[tuple[int, Any]] = []
        self.response_count = 0
        self.answer: Any = None
        self.rpc: Any = None
        self.slot: Any = None
        self.sequence_id = 0
        self.last_of_sequence = False
        self.tokens: tuple[int, int] | None = None
        self.wire: Wire = _NOTHING


_NOTHING = Wire(b"", ())


class Lane:
    """A connection.

    Attributes:
        flights: requests on it.
        wants: events to wait for.
        collect: whether to keep what responses hold.
        changed: called when `wants` has changed, or the socket.
    """

    #: Requests that it carries at a time.
    capacity = 1
    #: Whether what comes need not be an answer, so that only its last part tells when it began.
    chatters = False

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stream: Stream | None = None
        self.engine: Any = None
        self.flights: list[Flight] = []
        self.collect = False
        self.count_tokens = False
        self._unsent: list[Buffer] = []
        self._context: Any = None
        self._secure = target.endpoint.secure
        self.fd = -1
        self.wants = IN
        self.changed: Callable[[Lane], None] = _ignore
        self.clock: Callable[[], int] = _no_clock

    @property
    def usable(self) -> bool:
        """True if it is connected and can take another request."""
        return self.stream is not None and self.engine.reusable

    def connect(self) -> None:
        """Connect anew.

        Raises:
            ConnectionFailed, DeadlineExceeded: nobody answers.
        """
        self.close()
        settings = self.target.settings
        if self._secure and self._context is None:
            self._context = self.target.tls.make_context(settings.alpn)
        self.stream = connect(
            settings.endpoint, self.target.tls, self._context, monotonic() + CONNECT_TIMEOUT
        )
        self.engine = settings.engine()
        self.fd = self.stream.sock.fileno()
        self.wants = IN
        self.changed(self)

    def close(self) -> None:
        """Close the connection; requests on it are forgotten."""
        if self.stream is not None:
            self.fd = -1
            self.changed(self)
            self.stream.close()
            self.stream = None
        self._unsent = []

    def transmit(self, buffers: list[Buffer]) -> None:
        """Send buffers now as far as that goes, and the rest when the socket takes more."""
        if self._unsent:
            self._unsent += buffers
            return
        assert self.stream is not None
        while buffers:
            try:
                sent = self.stream.send_some(buffers)
            except BlockingIOError:
                self._unsent = buffers
                self.wants = IN | OUT
                self.changed(self)
                return
            if len(buffers) == 1 and sent == len(buffers[0]):
                return
            buffers = drop_first(buffers, sent)

    def _send_rest(self) -> None:
        rest, self._unsent = self._unsent, []
        self.transmit(rest)
        if not self._unsent:
            self.wants = IN
            self.changed(self)

    @abstractmethod
    def begin(self, flight: Flight) -> None:
        """Send a request.

        Raises:
            InferenceServerException, OSError: it can't be sent.
        """

    def advance(self, events: int) -> Sequence[Flight]:
        """Read what has come; the flights that ended by it, also because the connection broke."""
        try:
            if events & OUT and self._unsent:
                self._send_rest()
            if events & ~OUT:
                self._read()
        except BlockingIOError:
            pass
        except BROKEN as error:
            return self.broken(error)
        return self._finished()

    def advance_blocking(self) -> Sequence[Flight] | None:
        """The same, waiting for something to come; None when nothing came in time."""
        assert self.stream is not None
        try:
            count = self.stream.sock.recv_into(self.engine.get_buffer())
        except BlockingIOError:
            return None
        except OSError as error:
            return self.broken(error)
        for flight in self.flights:
            flight.first = self.clock()
        try:
            self._received(count)
            return self._finished()
        except BROKEN as error:
            return self.broken(error)

    def _read(self) -> None:
        assert self.stream is not None
        self._received(self.stream.receive_now(self.engine.get_buffer()))
        while self._secure:  # a record may hold more than was asked for
            self._received(self.stream.receive_now(self.engine.get_buffer()))

    def _received(self, count: int) -> None:
        """Read what was received into the engine's buffer, and send what the engine answers."""
        engine = self.engine
        if not count:
            engine.eof_received()
            raise ConnectionFailed("the server closed the connection")
        engine.buffer_updated(count)
        if engine.pending:
            self.transmit(gather(engine.data_to_send()))

    @abstractmethod
    def _finished(self) -> Sequence[Flight]:
        """Return the flights that what was received has ended."""

    def broken(self, error: BaseException) -> list[Flight]:
        """Close the connection; the flights that failed by it."""
        ended = self._finished()
        failed, self.flights = self.flights, []
        for flight in failed:
            flight.failure = failure_of(error)
        self.close()
        return [*ended, *failed]

    def give_up(self, flight: Flight) -> None:
        """End a request whose time is over."""
        self.flights = []
        self.close()


def _ignore(lane: Lane) -> None:
    pass


def _no_clock() -> int:
    return 0


def raise_file_limit() -> None:
    """Let the process have as many connections as the system allows."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return


def set_patience(lane: Lane, seconds: float) -> None:
    """Let blocking receives on a plain connection give up after this long, by BlockingIOError."""
    assert lane.stream is not None
    value = struct.pack("@ll", *divmod(int(seconds * 1e6), 1_000_000))
    lane.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
