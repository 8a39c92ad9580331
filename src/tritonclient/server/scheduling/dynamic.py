"""`DynamicBatcher`: one queue for all instances of a model, which may batch its jobs."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import insort
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...errors import Unavailable
from ..jobs.errors import ModelClosed
from ..jobs.job import Job
from .base import not_iterative
from .policies import NEVER, BatchingRule, QueuePolicy


class _Entry(NamedTuple):
    """A waiting job; entries sort in the order of execution."""

    level: int
    late: bool
    number: int
    expiry: float
    job: Job


class DynamicBatcher:
    """A queue with priorities, timeouts and dynamic batching.

    Args:
        config: the model configuration in its JSON form. Without `dynamic_batching` each job is
            executed alone, in the order of arrival.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = config.get("dynamic_batching")
        self._rule = BatchingRule() if settings is None else BatchingRule.of(config, settings)
        self.ahead = settings is None
        self._levels, self._default_level = 0, 0
        self._policies: dict[int, QueuePolicy] = {}
        self._default_policy = QueuePolicy()
        if settings is not None:
            self._set_policies(settings)
        self._timed = any(
            policy.timeout for policy in (self._default_policy, *self._policies.values())
        )
        self._numbers = itertools.count()
        self._waiting: list[_Entry] = []
        self._closed = False
        self._changed = threading.Condition()

    def _set_policies(self, settings: Mapping[str, Any]) -> None:
        self._levels = settings["priority_levels"]
        self._default_level = settings["default_priority_level"]
        default = settings.get("default_queue_policy")
        self._default_policy = QueuePolicy() if default is None else QueuePolicy.of(default)
        if self._levels:  # As in Triton, there are no policies for levels that do not exist.
            self._policies = {
                int(level): QueuePolicy.of(policy)
                for level, policy in settings["priority_queue_policy"].items()
            }

    def _policy(self, level: int) -> QueuePolicy:
        return self._policies.get(level, self._default_policy)

    def put(self, job: Job) -> None:
        """Add a job.

        Raises:
            ModelClosed: the queue is closed.
            Unavailable: the queue of the job's priority level is full.
        """
        level = self._level(job)
        policy = self._policy(level)
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{job.model.name}' was unloaded", "503")
            if policy.limit and sum(each.level == level for each in self._waiting) >= policy.limit:
                raise Unavailable(
                    f"[request id: {job.options.id or '<id_unknown>'}] Exceeds maximum queue size",
                    "503",
                )
            entry = _Entry(level, False, next(self._numbers), policy.expiry(job), job)
            insort(self._waiting, entry)
            self._changed.notify()

    def _level(self, job: Job) -> int:
        asked = int(job.options.parameters.get("priority", 0))
        return asked if 1 <= asked <= self._levels else self._default_level

    def next_batch(self, instance: int) -> list[Job]:
        """Return the next jobs, the same for every instance; see `Scheduler`."""
        with self._changed:
            while True:
                jobs, until = self.take(instance)
                if jobs or (self._closed and not self._waiting):
                    return jobs
                self._changed.wait(None if until == NEVER else until - time.monotonic())

    def take(self, instance: int) -> tuple[list[Job], float]:
        """Return the next jobs, the same for every instance; see `Scheduler`."""
        with self._changed:
            if not self._waiting:
                return [], NEVER
            now = time.monotonic()
            if self._timed and (expired := self._expire(now)):
                return expired, now
            waiting = (each.job for each in self._waiting)
            # A closed queue gets no more jobs, so no delay applies.
            jobs, until = self._rule.choose(waiting, now=NEVER if self._closed else now)
            del self._waiting[: len(jobs)]
            for job in jobs:
                job.refused()
            return jobs, until

    def _expire(self, now: float) -> list[Job]:
        """Remove and return the jobs that timed out; move those that may be late to the end."""
        expired = [each for each in self._waiting if each.expiry <= now]
        refused = []
        for each in expired:
            self._waiting.remove(each)
            if self._policy(each.level).delays:
                insort(self._waiting, each._replace(late=True, expiry=NEVER))
            else:
                each.job.refusal = Unavailable("Request timeout expired", "503")
                refused.append(each.job)
        return refused

    def reschedule(self, job: Job) -> None:
        """Raise Unimplemented; see `Scheduler`."""
        raise not_iterative(job.model.name)

    def close(self) -> None:
        """Accept no more jobs; waiting jobs are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
