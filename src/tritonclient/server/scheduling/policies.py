"""Batching rules and queue policies, as pure functions of jobs and time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..jobs.job import Job

#: A time that never comes.
NEVER = float("inf")


class BatchingRule(NamedTuple):
    """The rule that chooses which waiting jobs are executed together.

    Attributes:
        size: largest batch size; 0 to execute each job alone.
        preferred: batch sizes that are executed without waiting for more jobs.
        delay: seconds that a job may wait for others while an instance is idle.
    """

    size: int = 0
    preferred: tuple[int, ...] = ()
    delay: float = 0.0

    @classmethod
    def of(cls, config: Mapping[str, Any], settings: Mapping[str, Any]) -> BatchingRule:
        """Return the rule of a batcher.

        Args:
            config: the model configuration in its JSON form.
            settings: its `dynamic_batching`, or `sequence_batching.oldest`.
        """
        return cls(
            config["max_batch_size"],
            tuple(settings["preferred_batch_size"]),
            settings["max_queue_delay_microseconds"] / 1e6,
        )

    def choose(self, waiting: Iterable[Job], *, now: float) -> tuple[list[Job], float]:
        """Return the next batch and `now`; or no jobs and the time to ask again.

        Args:
            waiting: jobs in the order of execution.
            now: seconds of the monotonic clock.
        """
        chosen: list[Job] = []
        size, best, whole = 0, 0, False
        for job in waiting:
            if chosen and not (self.size and self._fits(job, chosen[0], size)):
                whole = True
                break
            chosen.append(job)
            size += job.batch_size
            if size in self.preferred:
                best = len(chosen)
        if not chosen or best:
            return chosen[:best], now
        until = min(job.queued for job in chosen) / 1e9 + self.delay
        if whole or until <= now or size >= max(self.preferred, default=0):
            return chosen, now
        return [], until

    def _fits(self, job: Job, first: Job, size: int) -> bool:
        return size + job.batch_size <= self.size and job.batch_key == first.batch_key


class QueuePolicy(NamedTuple):
    """Limits of one priority level of a queue.

    Attributes:
        limit: largest number of waiting jobs; 0 for no limit.
        timeout: seconds that a job may wait; 0 for no limit.
        override: True if a request may ask for a shorter timeout.
        delays: True if a job that timed out waits behind all others instead of being refused.
    """

    limit: int = 0
    timeout: float = 0.0
    override: bool = False
    delays: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> QueuePolicy:
        """Return the policy of a `default_queue_policy` in its JSON form."""
        return cls(
            settings["max_queue_size"],
            settings["default_timeout_microseconds"] / 1e6,
            settings["allow_timeout_override"],
            settings["timeout_action"] == "DELAY",
        )

    def expiry(self, job: Job) -> float:
        """Return when a job that arrives now times out, in seconds of the monotonic clock."""
        timeout = self.timeout
        asked = int(job.options.parameters.get("timeout", 0)) / 1e6
        if self.override and asked:
            timeout = min(timeout, asked)
        return time.monotonic() + timeout if timeout else NEVER
