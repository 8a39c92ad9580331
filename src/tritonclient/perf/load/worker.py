"""What the loops of a worker process share: its plan, its counts and the parent's commands."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import IO, Any

from . import shared as c
from .counting import Counter
from .plan import Load, Plan
from .sequences import Sequences


class Worker:
    """What the loops of a worker share.

    Attributes:
        cells: counts in shared memory.
        stopping: whether no more requests are to be begun.
        drain_until: when those in flight are given up.
    """

    def __init__(
        self, index: int, workers: int, plan: Plan, board: c.Board, pipe: Connection
    ) -> None:
        self.index = index
        self.plan = plan
        self.pipe = pipe
        self.cells, histograms = board.views(index)
        self._record: IO[bytes] | None = None
        if plan.record:
            path = os.path.join(plan.record, f"{index}.records")
            self._record = open(path, "wb", 1 << 20)  # noqa: SIM115 - as long as the process
        self.counter = Counter(plan, self.cells, histograms, self._record)
        self.sequences: Sequences | None = None
        if plan.sequences is not None:
            self.sequences = Sequences(plan.sequences, index, workers, plan.seed)
        self.stopping = False
        self.drain_until = 0
        self._seen = 0
        self._reported: dict[str, int] = {}
        self.next_tick = 0
        self._next: Load | None = None
        self._quit = False

    def run(self, run_load: Callable[[Worker, Load], None]) -> None:
        """Do what commands say; `run_load` runs the loop for a load."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self.pipe.send(("ready", None))
        while not self._quit:
            load, self._next = self._next, None
            if load is None:
                self.take_command()
                continue
            self.stopping = False
            self.cells[c.FIRST] = self.cells[c.LAST] = 0
            self.cells[c.STATE] = c.RUNNING
            run_load(self, load)
            self.cells[c.IN_FLIGHT] = 0
            self.tick(time.monotonic_ns())
            if self._record is not None:
                self._record.flush()
            gc.collect()
            self.cells[c.STATE] = c.DRAINED
            self.pipe.send(("drained", None))

    @property
    def commanded(self) -> bool:
        """True if the parent has given a command that was not taken."""
        # The parent counts a command after sending it, so one may have been taken before.
        return bool(self.cells[c.CONTROL] > self._seen)

    def take_command(self) -> None:
        """Wait for a command and follow it."""
        name, value = self.pipe.recv()
        self._seen += 1
        if name == "load":
            self._next = value
        elif name == "stop":
            self.stopping = True
            self.drain_until = time.monotonic_ns() + value
        else:
            self._quit = self.stopping = True
            self.drain_until = 0

    def tick(self, now: int) -> None:
        """Now and then: report errors and processor time."""
        self.next_tick = now + 50_000_000
        self.cells[c.CPU] = time.process_time_ns()
        news: dict[str, Any] = {}
        for kind, (count, text) in self.counter.errors.items():
            known = self._reported.get(kind, 0)
            if count != known:
                news[kind] = (count - known, text)
                self._reported[kind] = count
        if news:
            self.pipe.send(("errors", news))
