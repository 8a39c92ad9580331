"""Open loops: requests sent by a schedule, whatever became of those before."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from . import shared as c
from .grpc_lanes import GrpcLane
from .lanes import Flight, Lane
from .loop import Loop
from .plan import Load
from .sequences import Slot

if TYPE_CHECKING:
    from .worker import Worker

_LONGEST_WAIT = 50_000_000
#: Connections that gRPC calls share when there are more calls than these.
_GRPC_CONNECTIONS = 16
#: Connections opened before the first request is due.
_READY = 4


class OpenLoop(Loop):
    """Requests by a schedule.

    A request that can't be sent in time, because too many are in flight, is sent as soon as one
    ends; its scheduled latency counts from when it was due.
    """

    def __init__(self, worker: Worker, load: Load) -> None:
        super().__init__(worker, load)
        assert load.schedule is not None
        self._due = load.schedule.due(*load.share)
        self._idle: list[Lane] = []
        self._all: list[Lane] = []
        self._slots: list[Slot] = []
        self._places = list(range(load.place, load.place + load.cap)) if self._placed else []
        self._random = random.Random(self.plan.seed * 7919 + worker.index)
        self._turn = 0
        if worker.sequences is not None:
            rules = worker.sequences.rules
            index, workers = load.share
            mine = len(range(index, max(rules.slots, workers), workers))
            self._slots = [Slot() for _ in range(mine)]

    def run(self) -> None:
        """Send until told to stop, or the schedule is over."""
        self._prepare()
        base = max(self.load.at, self.clock())
        number, after = next(self._due, (-1, 0))
        worker, clock = self.worker, self.clock
        limit = self.limit
        while not worker.stopping and number >= 0 and not (limit and self.begun >= limit):
            due = base + after
            now = clock()
            if due <= now and (taken := self._take(number, due)):
                if taken == _DROPPED:
                    self.cells[c.DROPPED] += 1
                number, after = next(self._due, (-1, 0))
                if self.in_flight and now > due + 1_000_000:
                    self._look()  # far behind: answers must not wait for the backlog
            else:
                self._wait(due - now, now)
            if now > worker.next_tick:
                self.maintain(now)
                self.sweep_idle(now)
        self.drain()
        self.close_sequences(self._slots, [lane for lane in self._all if not lane.flights])
        self.close(self._all)

    def _prepare(self) -> None:
        """Open the first connections, so that the first requests do not wait for them."""
        cap = self.load.cap or _READY
        for _ in range(min(cap, _READY)):
            lane = self._new()
            try:
                lane.connect()
            except Exception:  # the requests themselves will tell
                continue
            self._idle.append(lane)

    def _new(self) -> Lane:
        lane = self.new_lane()
        self._all.append(lane)
        return lane

    def _take(self, number: int, due: int) -> int:
        """Send a request that is due: `_SENT`, `_DROPPED`, or 0 when it has to wait."""
        cap = self.load.cap
        if cap and self.in_flight >= cap:
            return _DROPPED if self.load.drop else 0
        slot = None
        if self._slots:
            slot = self._slot()
            if slot is None:
                return 0
        flight = Flight()
        if self._placed:
            flight.place = self._places.pop()
        flight.slot = slot
        self.choose(flight, number)
        flight.due = due
        lane = self._lane()
        start = self.clock()
        flight.start = start
        self.counter.begun(flight)
        if not self.send(flight, lane, start):
            self._freed(flight)
        elif isinstance(lane, GrpcLane) and self._shares(lane):
            self._release(lane)
        return _SENT

    def _shares(self, lane: Lane) -> bool:
        """True if a connection takes another call beside those on it."""
        return len(self._all) >= _GRPC_CONNECTIONS and len(lane.flights) < min(
            lane.capacity, max(1, lane.engine.max_streams)
        )

    def _slot(self) -> Slot | None:
        rules = self.worker.sequences.rules  # type: ignore[union-attr]
        ordered = rules.serial or self.plan.target.kind == "grpc_stream"
        if ordered:
            for _ in self._slots:
                self._turn = (self._turn + 1) % len(self._slots)
                if not self._slots[self._turn].busy:
                    return self._slots[self._turn]
            return None
        return self._slots[self._random.randrange(len(self._slots))]

    def _lane(self) -> Lane:
        idle = self._idle
        while idle:
            lane = idle.pop()
            if lane.usable or not lane.flights:
                return lane
        return self._new()

    def _release(self, lane: Lane) -> None:
        if lane not in self._idle:
            self._idle.append(lane)

    def _wait(self, left: int, now: int) -> None:
        if left <= 0:
            left = _LONGEST_WAIT  # until an answer makes room
            events = self.poller.wait(left)
        else:
            events = self.poller.poll(min(left, _LONGEST_WAIT))
        self.cells[c.IDLE] += self.clock() - now
        if events:
            self._react(events)

    def _look(self) -> None:
        events = self.poller.poll(0)
        if events:
            self._react(events)

    def _react(self, events: list[tuple[int, int]]) -> None:
        for flight in self.receive(events):
            self._freed(flight)

    def _freed(self, flight: Flight) -> None:
        """Let other requests have what one used that ended."""
        if self._placed:
            self._places.append(flight.place)
        if flight.lane is not None:
            self._release(flight.lane)

    def sweep_idle(self, now: int) -> None:
        """Give up late requests, and free their connections."""
        for flight in self.sweep(now):
            self._freed(flight)


_SENT, _DROPPED = 1, 2
