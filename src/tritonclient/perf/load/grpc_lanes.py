"""Connections of HTTP/2 that carry gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .connection import (
    Failure,
    InferenceServerException,
    Outcome,
    StreamRefused,
    Target,
    decode_stream_response,
    failure_of,
    gather,
)
from .lanes import Flight, Lane

_MESSAGE_RESPONSE = 0x12  # how a stream's message begins that is an answer and no error


class GrpcLane(Lane):
    """A connection of HTTP/2 that carries unary calls."""

    capacity = 100
    chatters = True

    def begin(self, flight: Flight) -> None:
        if self.stream is None or not self.engine.reusable:
            if self.flights:  # a server that goes away still answers these
                raise StreamRefused("the server is going away")
            self.connect()
        engine = self.engine
        flight.rpc = engine.start_framed(flight.wire.frames, flight.wire.body)
        self.flights.append(flight)
        self.transmit(gather(engine.data_to_send()))

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

    chatters = True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._rpc: Any = None
        self.decoupled = False

    def begin(self, flight: Flight) -> None:
        if self.stream is None or self._rpc is None or self._rpc.result is not None:
            if self.stream is None or not self.engine.reusable:
                self.connect()
            block = self.target.block("ModelStreamInfer")
            self._rpc = self.engine.start(block, end=False, single=False)
        flight.responses = []
        self.flights = [flight]
        self.engine.send(self._rpc, flight.wire.body)
        self.transmit(gather(self.engine.data_to_send()))

    def close(self) -> None:
        super().close()
        self._rpc = None

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
