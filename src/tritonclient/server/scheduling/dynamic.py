"""Requests that wait for an instance of their model, and which of them are executed together."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import insort
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...errors import Unavailable
from ..jobs.errors import ModelClosed
from ..jobs.job import Job
from .policies import NEVER, Policy, Rule


class _Entry(NamedTuple):
    """A job that waits; these sort in the order in which they are to be executed."""

    level: int
    late: bool
    number: int
    expiry: float
    job: Job


class Queue:
    """The jobs that wait for the instances which take from it.

    Args:
        config: the model's, in its JSON form. Without `dynamic_batching` each request is executed
            by itself, in the order of arrival.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = config.get("dynamic_batching")
        self._rule = Rule() if settings is None else Rule.of(config, settings)
        self._levels, self._default_level, self._policies = _policies(settings or {})
        self._timed = any(policy.timeout for policy in self._policies)
        self._numbers = itertools.count()
        self._waiting: list[_Entry] = []
        self._closed = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Let a job wait.

        Raises:
            ModelClosed: no more are taken.
            Unavailable: too many wait.
        """
        level = self._level(job)
        policy = self._policies[level]
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{job.model.name}' was unloaded", "503")
            if policy.limit and sum(each.level == level for each in self._waiting) >= policy.limit:
                raise Unavailable(
                    f"[request id: {job.call.id or '<id_unknown>'}] Exceeds maximum queue size",
                    "503",
                )
            entry = _Entry(level, False, next(self._numbers), policy.expiry(job), job)
            insort(self._waiting, entry)
            self._changed.notify()

    def _level(self, job: Job) -> int:
        asked = int(job.call.parameters.get("priority", 0))
        return asked if 1 <= asked <= self._levels else self._default_level

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next; here all take from one queue."""
        return self.take

    def take(self) -> list[Job]:
        """What is to be executed next, once there is something; nothing when there never will.

        Jobs that are not to be executed after all come with their refusal.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                if self._timed and (expired := self._expire(now)):
                    return expired
                jobs, until = self._rule.choose((each.job for each in self._waiting), now=now)
                if jobs or (self._closed and not self._waiting):
                    del self._waiting[: len(jobs)]
                    for job in jobs:
                        job.refused()
                    return jobs
                self._changed.wait(until - now if self._waiting else None)

    def _expire(self, now: float) -> list[Job]:
        """Refuse what has waited for too long, or let it wait behind the others."""
        expired = [each for each in self._waiting if each.expiry <= now]
        refused = []
        for each in expired:
            self._waiting.remove(each)
            if self._policies[each.level].delays:
                insort(self._waiting, each._replace(late=True, expiry=NEVER))
            else:
                each.job.refusal = Unavailable("Request timeout expired", "503")
                refused.append(each.job)
        return refused

    def close(self) -> None:
        """Take no more jobs; those that wait are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _policies(settings: Mapping[str, Any]) -> tuple[int, int, list[Policy]]:
    """How many levels of priority there are, that of requests without one, and their policies."""
    levels = settings.get("priority_levels", 0)
    default = settings.get("default_queue_policy")
    policies = [Policy() if default is None else Policy.of(default)] * (levels + 1)
    for level, policy in settings.get("priority_queue_policy", {}).items():
        policies[int(level)] = Policy.of(policy)
    return levels, settings.get("default_priority_level", 0), policies
