"""Connections of HTTP/1.1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .connection import (
    Failure,
    ProtocolError,
    Response,
    Target,
)
from .lanes import Flight, Lane

#: Bytes of one server-sent event; more is no stream of events.
_LARGEST_EVENT = 16 << 20


class HttpLane(Lane):
    """A connection of HTTP/1.1."""

    #: Whether what answers hold is read by the lane itself.
    reads_bodies = False

    def connect(self) -> None:
        super().connect()
        self.engine.keep_bodies = self.collect or self.reads_bodies

    def begin(self, flight: Flight) -> None:
        engine = self.engine
        if self.stream is None or not engine.reusable:
            self.connect()
            engine = self.engine
        wire = flight.wire
        self.flights = [flight]
        engine.start(wire.head, wire.body)
        self.transmit(engine.data_to_send())

    def _finished(self) -> Sequence[Flight]:
        if not self.flights:
            if not self.usable:
                self.close()  # the server has sent what nobody asked for
            return ()
        response: Response | None = self.engine.response
        if response is None:
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
    text = bytes(response.content()[:2000]).decode("utf-8", "replace")
    try:
        found = json.loads(text)
        error = found.get("error", found.get("message", text)) if isinstance(found, dict) else text
        text = error.get("message", str(error)) if isinstance(error, dict) else str(error)
    except ValueError:
        pass
    return Failure(f"HTTP {response.status}", text or "no text")


class SseLane(HttpLane):
    """A connection of HTTP/1.1 whose answers may be streams of server-sent events."""

    reads_bodies = True

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
        body: Any = self.engine.collected if response is None else response.content()
        if response is not None and "event-stream" not in response.headers.get("content-type", ""):
            self.flights[0].responses = [(self.clock(), bytes(response.content()))]
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
