"""Sequences: requests that belong together and go to one instance of their model, in order.

A sequence takes a slot of an instance with its first request and gives it back with its last, or
when nothing has come for too long. When all slots are taken, sequences wait for one in the order of
their first requests. An instance executes one request of each of its sequences together, as far as
the strategy allows. What a model wants to know of a sequence it is told by control inputs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ...errors import InvalidArgument
from ..jobs.errors import ModelClosed
from ..jobs.job import Filler, Job
from .policies import Rule
from .sequence_controls import Controls, Id

_log = logging.getLogger(__name__)

_NEVER = float("inf")


@dataclass(slots=True, eq=False)
class _Sequence:
    """A sequence that has a slot, or waits for one.

    Attributes:
        jobs: its requests that are to be executed.
        ended: whether the last of them ends it.
        executing: whether one more is being executed.
        used: when its last request came or was executed, by the monotonic clock.
    """

    id: Id
    jobs: deque[Job] = field(default_factory=deque)
    ended: bool = False
    executing: bool = False
    used: float = 0.0


class Sequences:
    """The requests of sequences, on their way to the instances that take them.

    Args:
        config: the model's, in its JSON form.
        instances: how many instances there are.

    Raises:
        ValueError: it asks for what is not served.
    """

    def __init__(self, name: str, config: Mapping[str, Any], instances: int) -> None:
        settings = config["sequence_batching"]
        if settings["state"]:
            raise ValueError(f"model '{name}' has implicit state, which this server does not keep")
        self._name = name
        self._controls = Controls(config)
        self._strategy: _Oldest | _Direct
        oldest = settings.get("oldest")
        if oldest is None:
            self._strategy = _Direct(config, settings.get("direct") or {}, self._controls)
            slots = max(1, config["max_batch_size"])
        else:
            self._strategy = _Oldest(Rule.of(config, oldest))
            slots = max(1, oldest["max_candidate_sequences"])
        self._idle: float = settings["max_sequence_idle_microseconds"] / 1e6
        self._changed = threading.Condition()
        self._closed = False
        self._slots: list[list[_Sequence | None]] = [[None] * slots for _ in range(instances)]
        self._sequences: dict[Id, _Sequence] = {}
        self._backlog: deque[_Sequence] = deque()

    def put(self, job: Job) -> None:
        """Let a request wait for its sequence's turn.

        Raises:
            InvalidArgument: it belongs to no sequence.
            ModelClosed: no more are taken.
        """
        parameters = job.call.parameters
        id: Any = parameters.get("sequence_id", 0)
        start, end = (bool(parameters.get(f"sequence_{flag}", False)) for flag in ("start", "end"))
        if not id:
            self._refuse("must specify a non-zero or non-empty correlation ID")
        if job.batch_size != 1:
            self._refuse("must specify batch-size 1 due to requirements of sequence batcher")
        job.inputs = [*job.inputs, *self._controls.tensors(id, start=start, end=end, ready=True)]
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{self._name}' was unloaded", "503")
            self._give_up_idle()
            sequence = self._find(id, start)
            sequence.used = time.monotonic()
            sequence.jobs.append(job)
            sequence.ended = end
            self._fill_slots()
            self._changed.notify_all()

    def _refuse(self, text: str, sequence: str = "") -> NoReturn:
        raise InvalidArgument(f"inference request {sequence}to model '{self._name}' {text}", "400")

    # The lock is held by the callers of these

    def _find(self, id: Id, start: bool) -> _Sequence:
        """The sequence that a request belongs to, which it may begin."""
        sequence = self._sequences.get(id)
        if not start and (sequence is None or sequence.ended):
            self._refuse(
                "must specify the START flag on the first request of the sequence",
                f"for sequence {id} ",
            )
        if sequence is None:
            sequence = self._sequences[id] = _Sequence(id)
            self._backlog.append(sequence)
        elif start and not sequence.ended:
            _log.warning("sequence %s of model '%s' begins anew without an end", id, self._name)
        return sequence

    def _fill_slots(self) -> None:
        """Give slots to those that wait longest, on the instances with most that are free."""
        while self._backlog:
            slots = max(self._slots, key=lambda each: each.count(None))
            if None not in slots:
                return
            slots[slots.index(None)] = self._backlog.popleft()

    def _give_up_idle(self) -> None:
        """Take the slots of sequences of which nothing has come for too long."""
        latest = _NEVER if self._closed else time.monotonic() - self._idle
        for slots in self._slots:
            for sequence in slots:
                if (
                    sequence is not None
                    and sequence.used <= latest
                    and not (sequence.jobs or sequence.executing)
                ):
                    self._free(slots, sequence)
        self._fill_slots()

    def _free(self, slots: list[_Sequence | None], sequence: _Sequence) -> None:
        slots[slots.index(sequence)] = None
        del self._sequences[sequence.id]

    def _executed(self, instance: int) -> None:
        """What the instance has taken before is executed."""
        slots = self._slots[instance]
        for sequence in slots:
            if sequence is not None and sequence.executing:
                sequence.executing = False
                sequence.used = time.monotonic()
                if sequence.ended and not sequence.jobs:
                    self._free(slots, sequence)
        self._fill_slots()
        self._changed.notify_all()

    def _next_expiry(self) -> float:
        """When a slot may be taken from an idle sequence for one that waits."""
        if not self._backlog:
            return _NEVER
        used = [each.used for slots in self._slots for each in slots if each]
        return min(used) + self._idle

    # What instances do

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next, as `Queue.take` does."""
        return lambda: self._take(instance)

    def _take(self, instance: int) -> list[Job]:
        slots = self._slots[instance]
        with self._changed:
            self._executed(instance)
            while True:
                self._give_up_idle()
                now = time.monotonic()
                heads = [each.jobs[0] if each and each.jobs else None for each in slots]
                jobs = [job for job in heads if job is not None and job.refused()]
                until = now
                if not jobs:
                    jobs, until = self._strategy.choose(heads, now)
                if jobs:
                    self._begin(slots, jobs)
                    return jobs
                if self._closed and not any(heads) and not self._backlog:
                    return []
                until = min(until, self._next_expiry())
                self._changed.wait(None if until == _NEVER else max(0.0, until - now))

    def _begin(self, slots: list[_Sequence | None], jobs: list[Job]) -> None:
        for sequence in slots:
            if sequence is not None and sequence.jobs and sequence.jobs[0] in jobs:
                sequence.jobs.popleft()
                sequence.executing = True

    def close(self) -> None:
        """Take no more requests; those that wait are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Oldest:
    """Executes those together that have waited longest."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def choose(self, heads: list[Job | None], now: float) -> tuple[list[Job], float]:
        """What to execute of the first requests of the slots; or none, and when to ask again."""
        waiting = sorted(filter(None, heads), key=lambda job: job.queued)
        return self._rule.choose(waiting, now=now) if waiting else ([], _NEVER)


class _Direct:
    """Gives each slot a row of the batch, where a model may keep what it knows of a sequence.

    Rows of sequences that have no request are filled, as far as others are below them.
    """

    def __init__(
        self, config: Mapping[str, Any], settings: Mapping[str, Any], controls: Controls
    ) -> None:
        self._controls = controls
        self._delay = settings.get("max_queue_delay_microseconds", 0) / 1e6
        slots = max(1, config["max_batch_size"])
        self._enough = settings.get("minimum_slot_utilization", 0) * slots

    def choose(self, heads: list[Job | None], now: float) -> tuple[list[Job], float]:
        """What to execute of the first requests of the slots; or none, and when to ask again."""
        waiting = [job for job in heads if job is not None]
        if not waiting:
            return [], _NEVER
        until = min(job.queued for job in waiting) / 1e9 + self._delay
        if len(waiting) < self._enough and now < until:
            return [], until
        first = min(waiting, key=lambda job: job.queued)
        together = [job if job and job.layout == first.layout else None for job in heads]
        while together[-1] is None:
            together.pop()
        return [job or self._filler(first) for job in together], now

    def _filler(self, like: Job) -> Job:
        controls = self._controls.tensors(0, start=False, end=False, ready=False)
        count = len(like.inputs) - len(controls)
        return Filler(like, [*(each.blank() for each in like.inputs[:count]), *controls])
