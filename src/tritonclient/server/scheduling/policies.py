"""When waiting requests are executed together, and how long they may wait."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..jobs.job import Job

NEVER = float("inf")


class Rule(NamedTuple):
    """Which of the requests that wait are executed together.

    Attributes:
        size: of the largest batch; 0 when each request is executed by itself.
        preferred: sizes of batches for which no others are awaited.
        delay: seconds that a request may wait for others, though an instance is idle.
    """

    size: int = 0
    preferred: tuple[int, ...] = ()
    delay: float = 0.0

    @classmethod
    def of(cls, config: Mapping[str, Any], settings: Mapping[str, Any]) -> Rule:
        """The rule that a scheduler's settings in a configuration (its JSON form) stand for."""
        return cls(
            config["max_batch_size"],
            tuple(settings["preferred_batch_size"]),
            settings["max_queue_delay_microseconds"] / 1e6,
        )

    def choose(self, waiting: Iterable[Job], *, now: float) -> tuple[list[Job], float]:
        """What to execute, of the jobs that wait in this order; or none, and when to ask again.

        Args:
            now: on the monotonic clock, as what is returned.
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
        return size + job.batch_size <= self.size and job.layout == first.layout


class Policy(NamedTuple):
    """What becomes of requests that wait for long, or among many.

    Attributes:
        limit: how many may wait; 0 for any number.
        timeout: seconds that a request may wait; 0 for any time.
        override: whether a request may ask for a shorter time.
        delays: whether it then waits behind all others, rather than being refused.
    """

    limit: int = 0
    timeout: float = 0.0
    override: bool = False
    delays: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Policy:
        """The policy in a configuration, given in its JSON form."""
        return cls(
            settings["max_queue_size"],
            settings["default_timeout_microseconds"] / 1e6,
            settings["allow_timeout_override"],
            settings["timeout_action"] == "DELAY",
        )

    def expiry(self, job: Job) -> float:
        """When a job that comes now has waited for too long, by the monotonic clock."""
        timeout = self.timeout
        asked = int(job.call.parameters.get("timeout", 0)) / 1e6
        if self.override and asked:
            timeout = min(timeout, asked)
        return time.monotonic() + timeout if timeout else NEVER
