"""Closed loops: a number of requests at a time, each sent when another has ended."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from . import shared as c
from .connection import IN, OUT
from .lanes import Flight, Lane, set_patience
from .loop import Loop
from .plan import Load, Plan
from .sequences import Slot

if TYPE_CHECKING:
    from .worker import Worker

_LONGEST_WAIT = 50_000_000
#: Connections from which gRPC calls share some.
_MANY = 256


def can_block(plan: Plan, load: Load) -> bool:
    """True if a blocking loop does, which saves a system call for each request."""
    rules = plan.sequences
    return (
        load.lanes == 1
        and not load.ramp
        and load.growth is None
        and plan.target.kind in ("http", "grpc")
        and not plan.target.endpoint.secure
        and (rules is None or not rules.interval)
    )


class SingleLoop(Loop):
    """One request at a time on one connection, waiting in the kernel for its answer."""

    def run(self) -> None:
        """Send until told to stop."""
        lane = self.new_lane()
        plain = lane.changed

        def changed(lane: Lane) -> None:
            plain(lane)
            if lane.fd >= 0 and lane.wants == IN:
                set_patience(lane, 0.05)

        lane.changed = changed
        flight = Flight(lane)
        flight.place = self.load.place
        if self.worker.sequences is not None:
            flight.slot = Slot()
        self._wait_for_start()
        self._send_all(lane, flight)
        if flight.slot is not None:
            self.close_sequences([flight.slot], [lane])
        self.close([lane])

    def _wait_for_start(self) -> None:
        while not self.worker.stopping and (left := self.load.at - self.clock()) > 0:
            for fd, _ in self.poller.poll(min(left, _LONGEST_WAIT)):
                if fd == self.control:
                    self.worker.take_command()

    def _send_all(self, lane: Lane, flight: Flight) -> None:
        worker, clock, cells = self.worker, self.clock, self.cells
        start = clock()
        while not worker.stopping:
            if self.limit and self.begun >= self.limit:
                return
            self.choose(flight)
            flight.due = start
            sent = self.send(flight, lane, start)
            if start > worker.next_tick:  # now, as the request is in flight
                self.maintain(start)
            if sent:
                self._receive(lane, flight)
                cells[c.IDLE] += flight.first - flight.sent
            elif (pause := self.pause()) and not worker.commanded:
                self.poller.wait(pause)
            start = clock()
            while worker.commanded and not worker.stopping:
                worker.take_command()

    def _receive(self, lane: Lane, flight: Flight) -> None:
        worker, clock = self.worker, self.clock
        while True:
            if lane.wants & OUT:
                events = [(fd, mask) for fd, mask in self.poller.wait(_LONGEST_WAIT)]
                ended = self.receive(events)
                if ended:
                    return
            else:
                flights = lane.advance_blocking()
                if flights:
                    if self.ended(flight, clock()):
                        return
                    continue
                if flights is not None:
                    continue
            now = clock()
            self.maintain(now)
            while worker.commanded and not worker.stopping:
                worker.take_command()
            if worker.stopping and now > worker.drain_until:
                lane.give_up(flight)
                self.in_flight -= 1
                flight.first = now
                return
            if self.sweep(now):
                return


class ClosedLoop(Loop):
    """Any number of requests at a time, on a connection each."""

    def __init__(self, worker: Worker, load: Load) -> None:
        super().__init__(worker, load)
        # Flights that wait for their time: after a failed connection, or within a sequence.
        self._waiting: list[tuple[int, int, Flight]] = []
        self._tie = 0
        self._growth: tuple[int, int, int] | None = load.growth
        self._periodic = load.growth is not None
        self._flights: list[Flight] = []
        self._newest: list[Flight] = []

    def run(self) -> None:
        """Send until told to stop."""
        load, worker = self.load, self.worker
        lanes = self._make_lanes()
        start = max(load.at, self.clock())
        for index, flight in enumerate(self._flights):
            self._later(flight, start + load.ramp * index // max(1, load.lanes))
        self._newest = list(self._flights)
        try:
            self._loop()
            self.drain()
        finally:
            if worker.sequences is not None:
                self.close_sequences([each.slot for each in self._flights], lanes)
            self.close(lanes)

    def _make_lanes(self) -> list[Lane]:
        plan = self.plan
        count = self.load.lanes
        shared = plan.target.kind == "grpc" and count > _MANY
        lanes = [self.new_lane() for _ in range(_MANY if shared else count)]
        for index in range(count):
            flight = Flight(lanes[index % len(lanes)])
            flight.place = self.load.place + index
            if self.worker.sequences is not None:
                flight.slot = Slot()
            self._flights.append(flight)
        return lanes

    def _later(self, flight: Flight, due: int) -> None:
        self._tie += 1
        heappush(self._waiting, (due, self._tie, flight))

    @property
    def _exhausted(self) -> bool:
        return bool(self.limit and self.begun >= self.limit)

    def _loop(self) -> None:
        worker, clock, cells = self.worker, self.clock, self.cells
        poller, waiting = self.poller, self._waiting
        while not worker.stopping:
            now = clock()
            while waiting and waiting[0][0] <= now and not self._exhausted:
                _, _, flight = heappop(waiting)
                self._next(flight, now)
                now = clock()
            if self._exhausted and not self.in_flight:
                return
            if now > worker.next_tick:
                self.maintain(now)
                for flight in self.sweep(now):
                    self._next(flight, clock())
            if waiting and not self._exhausted:
                events = poller.poll(min(waiting[0][0] - now, _LONGEST_WAIT))
            else:
                events = poller.wait(_LONGEST_WAIT)
            cells[c.IDLE] += clock() - now
            if events:
                self._react(events)

    def _react(self, events: list[tuple[int, int]]) -> None:
        """Read what has come, and send the next request of each that ended at once."""
        clock, lanes = self.clock, self.lanes
        for fd, mask in events:
            lane = lanes.get(fd)
            if lane is None:
                if fd == self.control:
                    self.worker.take_command()
                continue
            first = clock()
            for flight in lane.flights:
                if lane.chatters or not flight.first:
                    flight.first = first
            flights = lane.advance(mask)
            if self._growth is not None:
                self._grow()
            if not flights:
                continue
            now = clock()
            for flight in flights:
                if self.ended(flight, now):
                    self._next(flight, now)

    def _next(self, flight: Flight, now: int) -> None:
        """Send a place's next request, now or when it is due."""
        if self.worker.stopping or (self.limit and self.begun >= self.limit):
            return
        if self._periodic and flight.start:
            return
        if flight.failure is not None and (pause := self.pause()):
            flight.failure = None
            self._later(flight, now + pause)
            return
        slot = flight.slot
        if slot is not None and self.worker.sequences is not None:
            interval = self.worker.sequences.rules.interval
            if interval:
                if slot.left and slot.due > now:
                    self._later(flight, slot.due)
                    return
                # From the intended time on, so that delays do not add up.
                slot.due = (slot.due if slot.left and slot.due else now) + interval
        self.choose(flight)
        flight.due = now
        assert flight.lane is not None
        if not self.send(flight, flight.lane, now):
            self._later(flight, now + max(self.pause(), 1))

    def _grow(self) -> None:
        """Periodic concurrency: add requests when each of the newest has had its responses."""
        assert self._growth is not None
        step, end, period = self._growth
        if any(len(flight.responses) < period and flight in flight.lane.flights  # type: ignore[union-attr]
               for flight in self._newest):  # fmt: skip
            return
        count = min(step, end - len(self._flights))
        if count <= 0:
            self._growth = None
            return
        self._newest = [Flight(self.new_lane()) for _ in range(count)]
        self._flights += self._newest
        for flight in self._newest:
            if self.worker.sequences is not None:
                flight.slot = Slot()
            self._next(flight, self.clock())
