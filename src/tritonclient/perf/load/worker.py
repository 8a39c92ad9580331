"""A worker: a process with connections of its own that loads the server as it is told."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import IO, Any

from . import shared as c
from .closed_loop import ClosedLoop, SingleLoop, can_block
from .counting import Counter
from .lanes import raise_file_limit
from .open_loop import OpenLoop
from .plan import Load, Plan
from .sequences import Sequences


def main(
    index: int,
    workers: int,
    plan: Plan,
    board: c.Board | tuple[int, str],
    pipe: Connection,
) -> None:
    """Do what commands say until one says to quit, or the parent is gone.

    Args:
        board: shared memory, or how to open it where it is not inherited.
    """
    detach()
    if not isinstance(board, c.Board):
        board = c.Board(*board)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        Worker(index, workers, plan, board, pipe).run()
    # Not through the interpreter's own end, which would run what the parent has registered.
    sys.stdout.flush()
    os._exit(0)


def detach() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            prctl = ctypes.CDLL(None).prctl
            prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
            prctl(29, 1)  # PR_SET_TIMERSLACK: waits end within a microsecond rather than 50
    raise_file_limit()


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

    def run(self) -> None:
        """Do what commands say."""
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
            self._load(load)
            self.cells[c.IN_FLIGHT] = 0
            self.tick(time.monotonic_ns())
            if self._record is not None:
                self._record.flush()
            gc.collect()
            self.cells[c.STATE] = c.DRAINED
            self.pipe.send(("drained", None))

    def _load(self, load: Load) -> None:
        if load.schedule is not None:
            OpenLoop(self, load).run()
        elif self.plan.sessions:
            from .session_loop import SessionLoop

            SessionLoop(self, load).run()
        elif can_block(self.plan, load):
            SingleLoop(self, load).run()
        else:
            ClosedLoop(self, load).run()

    @property
    def commanded(self) -> bool:
        """Whether the parent has given a command that was not taken."""
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
