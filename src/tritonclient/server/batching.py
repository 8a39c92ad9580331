"""Requests that wait for an instance of their model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..errors import Unavailable
from .jobs import Job


class ModelClosed(Unavailable):
    """The version was unloaded when a request came to it; another may have taken its place."""


class Queue:
    """The jobs that wait for the instances which take from it."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Let a job wait.

        Raises:
            ModelClosed: no more are taken.
        """
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{job.model.name}' was unloaded", "503")
            self._waiting.append(job)
            self._changed.notify()

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next; here all take from one queue."""
        return self.take

    def take(self) -> list[Job]:
        """What is to be executed next, once there is something; nothing when there never will."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return [self._waiting.popleft()] if self._waiting else []

    def close(self) -> None:
        """Take no more jobs; those that wait are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
