"""The parent's side of the workers: starting them, telling them what to do, reading what they
have counted.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from ..exits import SetupError
from . import shared as c
from .plan import Load, Plan
from .process import main

_SECOND = 1_000_000_000
_START_PATIENCE = 60.0


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkersLost(Exception):
    """A worker process ended by itself."""


class Manager:
    """Worker processes.

    Args:
        count: how many.
        method: how they are started: "fork" or "spawn"; None for what suits the platform.
        start: starts a worker in place of that, where the server is inside it.

    Attributes:
        errors: by kind how many requests failed since the last load began, and an example text.
    """

    def __init__(
        self, plan: Plan, count: int, method: str | None = None, start: Any = None
    ) -> None:
        self.count = count
        self.errors: dict[str, list[Any]] = {}
        self.board = c.Board(count)
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        self._drained: set[int] = set()
        self._active = count
        self._end_patience = 2 if start is None else 20  # a server takes time to end
        method = method or ("fork" if sys.platform == "linux" else "spawn")
        context: Any = multiprocessing.get_context(method)
        self.cells = [self.board.views(index)[0] for index in range(count)]
        try:
            for index in range(count):
                ours, theirs = context.Pipe()
                board = self.board if method == "fork" else (count, self.board.path)
                if start is not None:
                    process = start(index, count, plan, (count, self.board.path), theirs)
                else:
                    process = context.Process(
                        target=main, args=(index, count, plan, board, theirs), daemon=True
                    )
                    process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
            self._wait_ready()
        except BaseException:
            self.close()
            raise
        self.board.forget_file()

    def _wait_ready(self) -> None:
        waiting = dict(enumerate(self._pipes))
        until = time.monotonic() + _START_PATIENCE
        while waiting:
            ready = wait(list(waiting.values()), max(0.0, until - time.monotonic()))
            if not ready:
                raise SetupError("the worker processes did not start in time")
            for index, pipe in list(waiting.items()):
                if pipe in ready:
                    self._receive(index)
                    del waiting[index]

    def _receive(self, index: int) -> None:
        try:
            name, value = self._pipes[index].recv()
        except (EOFError, ConnectionResetError):
            self._processes[index].join(1)
            code = self._processes[index].exitcode
            raise WorkersLost(f"worker {index} ended with exit code {code}") from None
        if name == "drained":
            self._drained.add(index)
        elif name == "failed":
            raise SetupError(value)
        elif name == "errors":
            for kind, (count, text) in value.items():
                known = self.errors.setdefault(kind, [0, text])
                known[0] += count

    def pump(self, seconds: float = 0.0) -> None:
        """Take what workers report, waiting for it for so long at most.

        Raises:
            WorkersLost: one has ended.
        """
        until = time.monotonic() + seconds
        while True:
            ready = wait(self._pipes, max(0.0, until - time.monotonic()))
            for pipe in ready:
                self._receive(self._pipes.index(pipe))  # type: ignore[arg-type]
            if not ready:
                return
            if time.monotonic() >= until and seconds:
                return

    def _command(self, index: int, name: str, value: Any) -> None:
        try:
            self._pipes[index].send((name, value))
        except (BrokenPipeError, ConnectionResetError):
            raise WorkersLost(f"worker {index} is gone") from None
        self.cells[index][c.CONTROL] += 1

    def begin(self, loads: list[Load]) -> None:
        """Give each worker a load; those beyond have none."""
        self._active = len(loads)
        self._drained = set()
        self.errors = {}
        for index, load in enumerate(loads):
            self.cells[index][c.STATE] = c.RUNNING
            self._command(index, "load", load)

    @property
    def finished(self) -> bool:
        """True if all workers have sent what they had to and have its answers."""
        states = self.board.cell(c.STATE)[: self._active]
        return all(index in self._drained or state == c.ENDED for index, state in enumerate(states))

    @property
    def unreachable(self) -> bool:
        """True if no worker has been able to connect for seconds."""
        states = self.board.cell(c.STATE)[: self._active]
        return bool((states == c.UNREACHABLE).all())

    def stop(self, patience: float) -> None:
        """Let workers begin no more requests, and wait for those in flight for so long."""
        running = [index for index in range(self._active) if index not in self._drained]
        for index in running:
            self._command(index, "stop", int(patience * _SECOND))
        until = time.monotonic() + patience + 10
        while len(self._drained) < self._active and time.monotonic() < until:
            self.pump(0.05)

    def snapshot(self) -> c.Snapshot:
        """What has been counted by now."""
        return self.board.snapshot(time.monotonic_ns())

    def span(self) -> tuple[int, int]:
        """When the first request of the load began and the last one ended; 0 for none."""
        first = self.board.cell(c.FIRST)[: self._active]
        last = self.board.cell(c.LAST)[: self._active]
        begun = first[first > 0]
        return (int(begun.min()), int(last.max())) if len(begun) else (0, 0)

    def cpu_times(self) -> Any:
        """Nanoseconds of processor time of each worker."""
        return np.array(self.board.cell(c.CPU))

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        """End all workers."""
        for index in range(len(self._pipes)):
            try:
                self._command(index, "quit", 0)
            except (WorkersLost, OSError):
                continue
        until = time.monotonic() + self._end_patience
        for process in self._processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []
        self.board.forget_file()
