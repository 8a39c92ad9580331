"""What all loops have in common: choosing requests, sending them, and counting how they ended."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import shared as c
from .connection import Failure, Wire, failure_of
from .grpc_lanes import GrpcLane, GrpcStreamLane
from .http_lanes import HttpLane, SseLane
from .lanes import Flight, Lane
from .plan import Load
from .pollers import Poller
from .process_lanes import ProcessLane
from .sequences import Slot

if TYPE_CHECKING:
    from .worker import Worker

_SECOND = 1_000_000_000
_LANES: dict[str, type[Lane]] = {
    "http": HttpLane,
    "sse": SseLane,
    "grpc": GrpcLane,
    "grpc_stream": GrpcStreamLane,
    "process": ProcessLane,
}
#: How long no connection may be had before the server counts as gone.
GONE_AFTER = 5 * _SECOND
_MOST_TRIES = 4
#: Pauses after a connection could not be made, in nanoseconds.
_PAUSES = (10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000)


class Loop:
    """A worker's loop for one load."""

    def __init__(self, worker: Worker, load: Load) -> None:
        self.worker = worker
        self.load = load
        self.plan = worker.plan
        self.cells = worker.cells
        self.counter = worker.counter
        self.counter.open_loop = load.schedule is not None
        self.clock = time.monotonic_ns
        self.poller = Poller()
        self.lanes: dict[int, Lane] = {}
        self.control = worker.pipe.fileno()
        self.poller.watch(self.control, 1)
        self.begun = 0
        self.in_flight = 0
        self.limit = load.limit
        self._number, self._stride = load.share
        self._count = len(self.plan.wires)
        self._placed = bool(self.plan.place_wires)
        self._no_connection = 0
        self._attempts = 0
        self._collect = bool(self.plan.record) or self.plan.expected is not None
        self.timeout = self.plan.timeout

    @abstractmethod
    def run(self) -> None:
        """Load the server until told to stop, or all is sent."""

    def new_lane(self) -> Lane:
        """A connection, to be opened when it is first used."""
        lane = _LANES[self.plan.target.kind](self.plan.target)
        lane.collect = self._collect
        lane.clock = self.clock
        lane.changed = self._lane_changed
        if isinstance(lane, GrpcStreamLane):
            lane.decoupled = self.plan.decoupled
        return lane

    def _lane_changed(self, lane: Lane) -> None:
        if lane.fd < 0:
            assert lane.stream is not None
            fd = lane.stream.sock.fileno()
            self.poller.forget(fd)
            self.lanes.pop(fd, None)
        else:
            self.poller.watch(lane.fd, lane.wants)
            self.lanes[lane.fd] = lane

    # Choosing

    def choose(self, flight: Flight, number: int | None = None) -> None:
        """Give a flight its request: the next of the data, or the next of its sequence."""
        if flight.slot is not None:
            assert self.worker.sequences is not None
            step, flight.sequence_id, begins, ends = self.worker.sequences.next(flight.slot)
            flight.slot.busy += 1
            flight.last_of_sequence = ends
            flight.wire_index = step
            flight.wire = self.sequence_wire(step, flight.sequence_id, begins, ends, flight.place)
            return
        if number is None:
            number = self._number
            self._number += self._stride
        flight.wire_index = number % self._count
        wires = self.plan.wires if not self._placed else self.plan.place_wires[flight.place]
        flight.wire = wires[flight.wire_index]

    def sequence_wire(self, step: int, id: int, begins: bool, ends: bool, place: int = 0) -> Wire:
        """A request of a sequence, encoded."""
        plan = self.plan
        request = plan.place_requests[place][step] if self._placed else plan.requests[step]
        flags = {"sequence_id": id, "sequence_start": begins, "sequence_end": ends}
        return self.plan.target.encode(replace(request, parameters={**flags, **request.parameters}))

    # Sending

    def send(self, flight: Flight, lane: Lane, start: int) -> bool:
        """Send a flight's request; whether it is under way, otherwise its failure is counted."""
        flight.lane = lane
        flight.failure = None
        flight.start = start
        flight.first = flight.response_count = flight.tries = 0
        if not self.begun:
            self.cells[c.FIRST] = start
        self.begun += 1
        self.cells[c.STARTED] += 1
        return self._attempt(flight, lane)

    def _attempt(self, flight: Flight, lane: Lane) -> bool:
        while True:
            try:
                lane.begin(flight)
            except Exception as error:  # whatever it is, the run goes on
                lane.flights = [each for each in lane.flights if each is not flight]
                failure = failure_of(error)
                if failure.again and flight.tries < _MOST_TRIES:
                    flight.tries += 1
                    continue
                if not lane.flights:
                    lane.close()
                flight.failure = failure._replace(lost=lane.stream is None)
                flight.end = flight.sent = flight.first = self.clock()
                self.finish(flight)
                return False
            flight.sent = self.clock()
            self.cells[c.SENT] += 1
            self.in_flight += 1
            if self.timeout:
                flight.deadline = flight.start + self.timeout
            return True

    def finish(self, flight: Flight) -> bool:
        """Count a flight that ended; whether it ended well."""
        slot = flight.slot
        if slot is not None:
            slot.busy -= 1
            if flight.last_of_sequence:
                self.cells[c.SEQUENCES] += 1
            if flight.failure is not None:
                slot.left = 0  # the rest of a broken sequence means nothing
        if self.counter.ended(flight):
            if self._attempts:
                self._no_connection = self._attempts = 0
            return True
        assert flight.failure is not None
        if flight.failure.lost:
            now = flight.end
            if not self._no_connection:
                self._no_connection = now
            self._attempts += 1
            if now - self._no_connection > GONE_AFTER:
                self.cells[c.STATE] = c.UNREACHABLE
        return False

    def pause(self) -> int:
        """Nanoseconds to wait before the next request; 0 unless connections can't be had."""
        if not self._attempts:
            return 0
        return _PAUSES[min(self._attempts, len(_PAUSES)) - 1]

    # Receiving

    def receive(self, events: list[tuple[int, int]]) -> list[Flight]:
        """Read what has come; the flights that ended by it, counted."""
        ended: list[Flight] = []
        clock = self.clock
        for fd, mask in events:
            lane = self.lanes.get(fd)
            if lane is None:
                if fd == self.control:
                    self.worker.take_command()
                continue
            now = clock()
            for flight in lane.flights:
                if lane.chatters or not flight.first:
                    flight.first = now
            flights = lane.advance(mask)
            if not flights:
                continue
            now = clock()
            ended += [flight for flight in flights if self.ended(flight, now)]
        return ended

    def ended(self, flight: Flight, now: int) -> bool:
        """Count a flight that ended; False if it is under way again."""
        self.in_flight -= 1
        failure = flight.failure
        if failure is not None and failure.again and flight.tries < _MOST_TRIES:
            flight.tries += 1
            flight.failure = None
            assert flight.lane is not None
            return not self._attempt(flight, flight.lane)
        # The end of a decoupled request is its last response that is not empty.
        if not (flight.response_count and self.plan.decoupled):
            flight.end = now
        self.finish(flight)
        return True

    def sweep(self, now: int) -> list[Flight]:
        """Give up what has taken too long; those flights, counted."""
        if not self.timeout:
            return []
        late = [
            flight
            for lane in set(self.lanes.values())
            for flight in lane.flights
            if now > flight.deadline
        ]
        return self.give_up(late, "timeout", f"no answer within {self.timeout / 1e9:g} s")

    def give_up(self, flights: Sequence[Flight], kind: str, text: str) -> list[Flight]:
        """End flights that have no answer; they count as failed."""
        now = self.clock()
        for flight in flights:
            assert flight.lane is not None
            flight.lane.give_up(flight)
            flight.failure = Failure(kind, text)
            flight.first = flight.end = now
            self.in_flight -= 1
            self.finish(flight)
        return list(flights)

    # The end

    def drain(self) -> None:
        """Wait for what is in flight, then close all connections."""
        worker = self.worker
        while self.in_flight > 0:
            now = self.clock()
            if worker.stopping and now > worker.drain_until:
                break
            self.receive(self.poller.wait(20_000_000))
            self.sweep(now)
            if now > worker.next_tick:
                self.maintain(now)

    def close_sequences(self, slots: Sequence[Slot], lanes: Sequence[Lane]) -> None:
        """End sequences that are open on the server; these requests are not counted.

        Where all requests were sent, the server's statistics are read first.
        """
        sequences = self.worker.sequences
        if sequences is None:
            return
        self.maintain(self.clock())
        while not self.worker.stopping:
            self.cells[c.STATE] = c.ENDED
            self.worker.take_command()
        flights: list[Flight] = []
        for slot, lane in zip(slots, lanes, strict=False):
            found = sequences.close(slot)
            if found is None or not lane.usable or lane.flights:
                continue
            flight = Flight(lane)
            flight.wire = self.sequence_wire(*found, False, True)
            try:
                lane.begin(flight)
            except Exception:  # the server forgets them by itself, too
                continue
            flights.append(flight)
        until = self.clock() + _SECOND
        while any(flight.lane and flight in flight.lane.flights for flight in flights):
            if self.clock() > until:
                break
            for fd, mask in self.poller.wait(20_000_000):
                lane_of = self.lanes.get(fd)
                if lane_of is not None:
                    lane_of.advance(mask)

    def close(self, lanes: Sequence[Any]) -> None:
        """Close connections."""
        for lane in lanes:
            lane.close()

    def maintain(self, now: int) -> None:
        """What is done every 50 ms."""
        self.cells[c.IN_FLIGHT] = self.in_flight
        self.worker.tick(now)
