"""Connections that carry requests: a `Lane` is a connection, a `Flight` a request on it.

Over HTTP a lane carries one request at a time, over gRPC as many as there are streams.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from .connection import (
    BROKEN,
    CONNECT_TIMEOUT,
    IN,
    OUT,
    Buffer,
    CallRefused,
    ConnectionFailed,
    Failure,
    InferenceServerException,
    Outcome,
    ProtocolError,
    Response,
    Stream,
    Target,
    Wire,
    behind,
    connect,
    decode_stream_response,
    failure_of,
    gather,
)

#: Bytes of one server-sent event; more is no stream of events.
_LARGEST_EVENT = 16 << 20
_MESSAGE_RESPONSE = 0x12  # how a stream's message begins that is an answer and no error


def lane_of(target: Target) -> Lane:
    """A connection to a target, not opened yet."""
    kinds: dict[str, type[Lane]] = {
        "http": HttpLane,
        "sse": SseLane,
        "grpc": GrpcLane,
        "grpc_stream": GrpcStreamLane,
    }
    return kinds[target.kind](target)


class Flight:
    """A request under way, or a place for one.

    Attributes:
        number: of the request in this load; its step of the data is `wire`.
        due: when it was to be sent, in nanoseconds of the monotonic clock.
        start, sent, first, end: when it began, was sent, its answer began and ended.
        responses: times of its responses, and what they held if that is wanted.
        failure: why it failed, if it did.
        slot: the sequence's place.
    """

    __slots__ = (
        "answer", "deadline", "due", "end", "failure", "first", "lane", "last_of_sequence",
        "number", "place", "response_count", "responses", "rpc", "sent",
        "sequence_id", "slot", "start", "tokens", "tries", "wire", "wire_index",
    )  # fmt: skip

    def __init__(self, lane: Lane | None = None) -> None:
        self.lane = lane
        self.number = self.wire_index = self.place = 0
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
        """Whether it is connected and can take another request."""
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
            buffers = behind(buffers, sent)

    def _send_rest(self) -> None:
        rest, self._unsent = self._unsent, []
        self.transmit(rest)
        if not self._unsent:
            self.wants = IN
            self.changed(self)

    def begin(self, flight: Flight) -> None:
        """Send a request.

        Raises:
            InferenceServerException, OSError: it can't be sent.
        """
        raise NotImplementedError

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
            if not count:
                self.engine.eof_received()
                raise ConnectionFailed("the server closed the connection")
            self.engine.buffer_updated(count)
            if self.engine.pending:
                self.transmit(gather(self.engine.data_to_send()))
            return self._finished()
        except BROKEN as error:
            return self.broken(error)

    def _read(self) -> None:
        stream, engine = self.stream, self.engine
        assert stream is not None
        while True:
            count = stream.receive_now(engine.get_buffer())
            if not count:
                engine.eof_received()
                raise ConnectionFailed("the server closed the connection")
            engine.buffer_updated(count)
            if not self._secure:
                return

    def _finished(self) -> Sequence[Flight]:
        raise NotImplementedError

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


class HttpLane(Lane):
    """A connection of HTTP/1.1."""

    def begin(self, flight: Flight) -> None:
        if self.stream is None or not self.engine.reusable:
            self.connect()
        wire = flight.wire
        self.flights = [flight]
        self.transmit(self.engine.start(wire.head, wire.body))

    def _read(self) -> None:
        super()._read()
        if not self.flights and not self.engine.reusable:
            raise ConnectionFailed("the server spoke unasked")

    def _finished(self) -> Sequence[Flight]:
        response: Response | None = self.engine.response if self.engine is not None else None
        if response is None or not self.flights:
            return ()
        ended, self.flights = self.flights, []
        flight = ended[0]
        if self._unsent:
            self.close()  # answered before all was sent
        if not 200 <= response.status < 300:
            flight.failure = _http_failure(response)
        elif self.collect:
            flight.answer = response
        flight.response_count = 1
        if not self.usable:
            self.close()
        return ended


def _http_failure(response: Response) -> Failure:
    text = bytes(response.body[:2000]).decode("utf-8", "replace")
    try:
        found = json.loads(text)
        error = found.get("error", found.get("message", text)) if isinstance(found, dict) else text
        text = error.get("message", str(error)) if isinstance(error, dict) else str(error)
    except ValueError:
        pass
    return Failure(f"HTTP {response.status}", text or "no text")


class SseLane(HttpLane):
    """A connection of HTTP/1.1 whose answers may be streams of server-sent events."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._seen = 0

    def begin(self, flight: Flight) -> None:
        self._seen = 0
        flight.responses = []
        super().begin(flight)

    def _read(self) -> None:
        super()._read()
        if not self.flights:
            return
        response: Response | None = self.engine.response
        body: Any = self.engine.collected if response is None else response.body
        if response is not None and "event-stream" not in response.headers.get("content-type", ""):
            self.flights[0].responses = [(self.clock(), bytes(response.body))]
            return
        self._events(bytes(body[self._seen :]), response is not None)

    def _events(self, fresh: bytes, over: bool) -> None:
        """Take whole events out of what has come behind the last one."""
        now = self.clock()
        flight = self.flights[0]
        unified = fresh.replace(b"\r\n", b"\n") if b"\r" in fresh else fresh
        position = 0
        while (end := unified.find(b"\n\n", position)) >= 0:
            flight.responses.append((now, unified[position:end]))
            position = end + 2
        if unified is fresh:
            self._seen += position
        elif position:
            # Find the same place among the bytes with both kinds of line ends.
            blank = unified[:position].count(b"\n")
            place = 0
            for _ in range(blank):
                place = fresh.index(b"\n", place) + 1
            self._seen += place
        if len(fresh) > _LARGEST_EVENT:
            raise ProtocolError(f"an event of the answer exceeds {_LARGEST_EVENT} bytes")
        if over and unified[position:].strip():
            flight.responses.append((now, unified[position:]))


class GrpcLane(Lane):
    """A connection of HTTP/2 that carries unary calls."""

    capacity = 100

    def begin(self, flight: Flight) -> None:
        if self.stream is None or not self.engine.reusable:
            if self.flights:  # a server that goes away still answers these
                raise CallRefused("the server is going away")
            self.connect()
        wire = flight.wire
        engine = self.engine
        flight.rpc = engine.start(wire.head, wire.body)
        self.flights.append(flight)
        self.transmit(gather(engine.data_to_send()))

    def _read(self) -> None:
        super()._read()
        if self.engine.pending:
            self.transmit(gather(self.engine.data_to_send()))

    def _finished(self) -> Sequence[Flight]:
        flights = self.flights
        if len(flights) == 1:
            if flights[0].rpc.result is None:
                return ()
            ended, self.flights = flights, []
        else:
            ended = [flight for flight in flights if flight.rpc.result is not None]
            if not ended:
                return ()
            self.flights = [flight for flight in flights if flight.rpc.result is None]
        for flight in ended:
            result = flight.rpc.result
            if type(result) is not Outcome or result.code:
                flight.failure = _grpc_failure(result)
            elif not flight.rpc.messages:
                flight.failure = Failure("protocol error", "the answer has no message")
            elif self.collect:
                flight.answer = flight.rpc.take()
            flight.response_count = 1
            flight.rpc = None
        return ended

    def give_up(self, flight: Flight) -> None:
        self.flights = [each for each in self.flights if each is not flight]
        if self.stream is None:
            return
        self.engine.cancel(flight.rpc, Outcome(4, "deadline", None, {}, {}))
        try:
            self.transmit(gather(self.engine.data_to_send()))
        except OSError:
            self.close()


_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)


def _grpc_failure(result: Any) -> Failure:
    if isinstance(result, InferenceServerException):
        return failure_of(result)
    code = result.code
    name = _CODES[code] if 0 <= code < len(_CODES) else str(code)
    return Failure(f"gRPC {name}", result.message or "no text")


class GrpcStreamLane(Lane):
    """A connection of HTTP/2 with a stream of inferences on it, one request at a time."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._rpc: Any = None
        self.decoupled = False

    def begin(self, flight: Flight) -> None:
        if self.stream is None or self._rpc is None or self._rpc.result is not None:
            if self.stream is None or not self.engine.reusable:
                self.connect()
            settings = self.target.settings
            block = settings.block("ModelStreamInfer", self.target.options)
            self._rpc = self.engine.start(block, end=False, single=False)
        flight.responses = []
        self.flights = [flight]
        self.engine.send(self._rpc, flight.wire.body)
        self.transmit(gather(self.engine.data_to_send()))

    def close(self) -> None:
        super().close()
        self._rpc = None

    def _read(self) -> None:
        super()._read()
        if self.engine.pending:
            self.transmit(gather(self.engine.data_to_send()))

    def _finished(self) -> Sequence[Flight]:
        rpc = self._rpc
        if rpc is None:
            return ()
        ended: list[Flight] = []
        while rpc.messages and self.flights:
            if self._take(rpc.take(), self.flights[0]):
                ended, self.flights = self.flights, []
        if rpc.result is not None:
            self._rpc = None
            if self.flights:
                ended, self.flights = self.flights, []
                if type(rpc.result) is Outcome and not rpc.result.code:
                    ended[0].failure = Failure("connection lost", "the server ended the stream")
                else:
                    ended[0].failure = _grpc_failure(rpc.result)
        return ended

    def _take(self, message: Any, flight: Flight) -> bool:
        """Take a response; whether it was the last one of its request."""
        if message[:1] and message[0] != _MESSAGE_RESPONSE:
            answer = decode_stream_response(message)
            if answer.error:
                flight.failure = Failure("response error", answer.error)
                return True
        if not self.decoupled:
            flight.response_count = 1
            if self.collect:
                flight.responses.append((self.clock(), message))
            return True
        answer = decode_stream_response(message)
        now = self.clock()
        if answer.response.outputs:
            flight.response_count += 1
            flight.end = now
            flight.responses.append((now, message if self.collect else None))
        elif self.collect:
            flight.responses.append((now, message))
        return bool(answer.response.parameters.get("triton_final_response"))


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
