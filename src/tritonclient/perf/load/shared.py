"""Memory that workers count in and the parent reads: cells and histograms, ever growing.

Nothing is ever set back. What a window saw is the difference of two snapshots, so no request is
lost or counted twice, and neither side waits for the other.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np

from .histogram import BUCKETS, Counts

# Cells, each a signed 64-bit number. Times are in nanoseconds.
(
    CONTROL,  # commands that the parent has given
    STATE,  # what the worker does, see below
    STARTED,  # requests begun, also those that failed
    DONE,  # requests that ended well
    FAILED,  # requests that did not
    RESPONSES,  # responses that were not empty
    SEQUENCES,  # sequences whose last request ended
    DELAYED,  # requests sent more than 1 ms behind their schedule
    DROPPED,  # requests not sent as too many were in flight
    LATENCY,  # sum of latencies
    SEND,  # sum of times from the beginning of a request until it was sent
    RECEIVE,  # sum of times from the first byte of an answer to its end
    IDLE,  # time spent waiting
    CPU,  # processor time of the worker
    FIRST,  # when the first request of this load began
    LAST,  # when the last one ended
    IN_FLIGHT,  # requests that wait for their answers
    TOKENS,  # output tokens
    INPUT_TOKENS,  # input tokens, as the service tells them
    GOOD,  # requests that kept all goals
    BYTES_OUT,
    BYTES_IN,
    SENT,  # requests sent; their rate is the rate that was kept
    SCHEDULED,  # sum of latencies from the intended time
) = range(24)
CELLS = 32

# Histograms.
SERVICE, PLANNED, LAG, TTFT, ITL = range(5)
HISTOGRAMS = 5

# States of a worker. One that has ended has all answers, but keeps its sequences open until it is
# told to stop.
IDLE_STATE, RUNNING, DRAINED, UNREACHABLE, ENDED = range(5)

_WORKER_SIZE = 8 * (CELLS + HISTOGRAMS * BUCKETS)


class Snapshot:
    """What all workers together had counted at a time; snapshots can be subtracted and added."""

    def __init__(self, at: int, cells: Counts, histograms: Counts) -> None:
        self.at = at
        self.cells = cells
        self.histograms = histograms

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        return Snapshot(
            self.at - earlier.at,
            self.cells - earlier.cells,
            self.histograms - earlier.histograms,
        )

    def __add__(self, other: Snapshot) -> Snapshot:
        return Snapshot(
            self.at + other.at, self.cells + other.cells, self.histograms + other.histograms
        )


class Board:
    """The memory of all workers.

    Args:
        workers: how many there are.
        path: of the file that another process made; None makes one.
    """

    def __init__(self, workers: int, path: str | None = None) -> None:
        self.workers = workers
        size = workers * _WORKER_SIZE
        self._owner = path is None
        if path is None:
            # In memory where there is a file system for that.
            folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
            descriptor, path = tempfile.mkstemp(prefix="perf-analyzer-", dir=folder)
            os.ftruncate(descriptor, size)
        else:
            descriptor = os.open(path, os.O_RDWR)
        try:
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.path = path
        array = np.frombuffer(self._map, np.int64).reshape(workers, -1)
        self._cells = array[:, :CELLS]
        self._histograms = array[:, CELLS:].reshape(workers, HISTOGRAMS, BUCKETS)

    def forget_file(self) -> None:
        """Remove the file's name; processes that have it open keep the memory."""
        if self._owner:
            self._owner = False
            os.unlink(self.path)

    def views(self, worker: int) -> tuple[Any, list[Any]]:
        """A worker's cells and histograms, as quick to change as a list."""
        start = worker * _WORKER_SIZE
        whole = memoryview(self._map)[start : start + _WORKER_SIZE].cast("q")
        return whole[:CELLS], [
            whole[CELLS + index * BUCKETS : CELLS + (index + 1) * BUCKETS]
            for index in range(HISTOGRAMS)
        ]

    def snapshot(self, at: int) -> Snapshot:
        """What all workers have counted by now."""
        return Snapshot(at, self._cells.sum(axis=0), self._histograms.sum(axis=0))

    def cell(self, index: int) -> Counts:
        """A cell of all workers."""
        return self._cells[:, index]
