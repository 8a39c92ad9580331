"""`Scheduler`: where jobs wait for an instance of their model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..jobs.job import Job


class Scheduler(Protocol):
    """Where jobs wait for their turn."""

    def put(self, job: Job) -> None:
        """Let a job wait; a ServerError when it may not."""

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next, none when there is no more."""
        ...

    def close(self) -> None:
        """Take no more jobs; those that wait are still executed."""
