"""`Scheduler`: a queue of jobs in front of the instances of a model."""

from __future__ import annotations

from typing import Protocol

from ...errors import Unimplemented
from ..jobs.job import Job


class Scheduler(Protocol):
    """A queue of jobs in front of the instances of a model.

    Attributes:
        ahead: True if an instance may take jobs while it executes others: nothing that happens to
            waiting jobs, such as a timeout, would change what it takes.
    """

    @property
    def ahead(self) -> bool: ...

    def put(self, job: Job) -> None:
        """Add a job without waiting for its execution.

        Raises:
            ModelClosed: the scheduler is closed.
            ServerError: the job is refused.
        """

    def next_batch(self, instance: int) -> list[Job]:
        """Return the jobs that an instance executes next; block until there are some.

        An empty list means that the scheduler is closed and no jobs are left. Jobs with a
        `refusal` must get it as response instead of being executed.
        """
        ...

    def take(self, instance: int) -> tuple[list[Job], float]:
        """Return the jobs that an instance executes next; or none, and the time to ask again.

        The time is in seconds of the monotonic clock, infinite if only other calls change
        anything. Unless `ahead`, the instance has finished what it took before.
        """
        ...

    def reschedule(self, job: Job) -> None:
        """Give a job that an instance has just executed to it again.

        Raises:
            Unimplemented: the model has no iterative sequences.
        """

    def close(self) -> None:
        """Accept no more jobs; waiting jobs are still executed."""


def not_iterative(model: str) -> Unimplemented:
    """Return the error of a request that is rescheduled by a model without iterative sequences."""
    return Unimplemented(
        f"model '{model}' rescheduled a request, which needs 'iterative_sequence: true' in "
        "'sequence_batching' of its configuration",
        "501",
    )
