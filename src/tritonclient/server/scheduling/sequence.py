"""`SequenceBatcher`: requests of one sequence go to one instance of their model, in order.

A sequence occupies a slot of an instance from its first request to its last, or until it has been
idle for too long. If no slot is free, sequences wait in the order of their first requests. An
instance executes one request of each of its sequences together, as far as the strategy allows.
Control inputs describe the sequence to the model.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from ...errors import InvalidArgument
from ..jobs.errors import ModelClosed
from ..jobs.job import Job, PaddingJob
from ..jobs.sequence_state import SequenceState
from .base import not_iterative
from .policies import NEVER, BatchingRule
from .sequence_controls import SequenceControls, SequenceId
from .sequence_states import SequenceStates

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Sequence:
    """A sequence that has a slot, or waits for one.

    Attributes:
        state: what it keeps between requests.
        jobs: its waiting requests.
        ended: True if the last of them ends the sequence.
        executing: True while an instance executes one of its requests.
        used: when its last request arrived or was executed, on the monotonic clock.
    """

    id: SequenceId
    state: SequenceState
    jobs: deque[Job] = field(default_factory=deque)
    ended: bool = False
    executing: bool = False
    used: float = 0.0


class SequenceBatcher:
    """The sequence scheduler of one model, with the strategies `direct` and `oldest`.

    Args:
        config: the model configuration in its JSON form.
        instances: number of instances of the model.
        states: the model's implicit state.
    """

    ahead = False

    def __init__(
        self, name: str, config: Mapping[str, Any], instances: int, states: SequenceStates
    ) -> None:
        settings = config["sequence_batching"]
        self._name = name
        self._states = states
        self._controls = SequenceControls(config)
        self._iterative: bool = settings.get("iterative_sequence", False)
        self._numbers = itertools.count(1)
        self._strategy: OldestStrategy | DirectStrategy
        oldest = settings.get("oldest")
        if oldest is None:
            self._strategy = DirectStrategy(config, settings.get("direct") or {}, self._controls)
            slots = max(1, config["max_batch_size"])
        else:
            self._strategy = OldestStrategy(BatchingRule.of(config, oldest))
            slots = max(1, oldest["max_candidate_sequences"])
        self._idle: float = settings["max_sequence_idle_microseconds"] / 1e6
        self._changed = threading.Condition()
        self._closed = False
        self._slots: list[list[_Sequence | None]] = [[None] * slots for _ in range(instances)]
        self._sequences: dict[SequenceId, _Sequence] = {}
        self._backlog: deque[_Sequence] = deque()

    def put(self, job: Job) -> None:
        """Add a request to its sequence.

        Raises:
            InvalidArgument: the request belongs to no sequence.
            ModelClosed: the scheduler is closed.
        """
        parameters = job.options.parameters
        id: Any = parameters.get("sequence_id", 0)
        start, end = (bool(parameters.get(f"sequence_{flag}", False)) for flag in ("start", "end"))
        if self._iterative:
            # The model decides when the sequence ends, by not rescheduling its request.
            id, start, end = id or self._free_id(), start or not id, True
            _describe(job, id, start=start)
        if not id:
            self._refuse("must specify a non-zero or non-empty correlation ID")
        if job.batch_size != 1:
            self._refuse("must specify batch-size 1 due to requirements of sequence batcher")
        ends = end and not self._iterative
        controls = self._controls.tensors(id, start=start, end=ends, ready=True)
        job.inputs = [*job.inputs, *controls]
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{self._name}' was unloaded", "503")
            self._free_idle_slots()
            sequence = self._find(id, start)
            sequence.used = time.monotonic()
            sequence.jobs.append(job)
            sequence.ended = end
            self._fill_slots()
            self._changed.notify_all()

    def reschedule(self, job: Job) -> None:
        """Execute the request of an iterative sequence again; see `Scheduler`."""
        if not self._iterative:
            raise not_iterative(self._name)
        id: Any = job.options.parameters["sequence_id"]
        _describe(job, id, start=False)
        controls = self._controls.tensors(id, start=False, end=False, ready=True)
        added = len(controls) + (len(self._states) if job.state else 0)
        job.inputs = [*job.inputs[: len(job.inputs) - added], *controls]
        job.state = None
        job.queued = time.monotonic_ns()
        with self._changed:
            # Its sequence keeps the slot: the batch is not finished yet.
            self._sequences[id].jobs.append(job)

    def _free_id(self) -> int:
        return next(number for number in self._numbers if number not in self._sequences)

    def _refuse(self, text: str, sequence: str = "") -> NoReturn:
        raise InvalidArgument(f"inference request {sequence}to model '{self._name}' {text}", "400")

    # Callers of these hold the lock

    def _find(self, id: SequenceId, start: bool) -> _Sequence:
        """Return the sequence of a request; create it if the request starts one."""
        sequence = self._sequences.get(id)
        if not start and (sequence is None or sequence.ended):
            self._refuse(
                "must specify the START flag on the first request of the sequence",
                f"for sequence {id} ",
            )
        if sequence is None:
            sequence = self._sequences[id] = _Sequence(id, self._states.begin())
            self._backlog.append(sequence)
        elif start and not sequence.ended:
            _log.warning("sequence %s of model '%s' begins anew without an end", id, self._name)
        return sequence

    def _fill_slots(self) -> None:
        """Give free slots to waiting sequences, first on the instance with most free slots."""
        while self._backlog:
            slots = max(self._slots, key=lambda each: each.count(None))
            if None not in slots:
                return
            slots[slots.index(None)] = self._backlog.popleft()

    def _free_idle_slots(self) -> None:
        """Free the slots of sequences that were idle for too long."""
        latest = NEVER if self._closed else time.monotonic() - self._idle
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

    def _finish_batch(self, instance: int) -> None:
        """Mark the previous batch of an instance as executed; free slots of ended sequences."""
        slots = self._slots[instance]
        executed = [each for each in slots if each is not None and each.executing]
        for sequence in executed:
            sequence.executing = False
            sequence.used = time.monotonic()
            if sequence.ended and not sequence.jobs:
                self._free(slots, sequence)
        if executed:
            self._fill_slots()
            self._changed.notify_all()

    def _next_expiry(self) -> float:
        """Return when an idle sequence may lose its slot to a waiting one; NEVER if none waits."""
        if not self._backlog:
            return NEVER
        used = [each.used for slots in self._slots for each in slots if each]
        return min(used) + self._idle

    # Called by the threads of instances

    def next_batch(self, instance: int) -> list[Job]:
        """Return the next jobs of an instance; see `Scheduler`."""
        with self._changed:
            while True:
                jobs, until = self.take(instance)
                if jobs or (self._closed and self._is_done(instance)):
                    return jobs
                rest = None if until == NEVER else max(0.0, until - time.monotonic())
                self._changed.wait(rest)

    def _is_done(self, instance: int) -> bool:
        waiting = any(each and each.jobs for each in self._slots[instance])
        return not waiting and not self._backlog

    def take(self, instance: int) -> tuple[list[Job], float]:
        """Return the next jobs of an instance; see `Scheduler`."""
        slots = self._slots[instance]
        with self._changed:
            self._finish_batch(instance)
            self._free_idle_slots()
            if self._states:
                self._add_states(slots)
            now = time.monotonic()
            heads = [each.jobs[0] if each and each.jobs else None for each in slots]
            jobs = [job for job in heads if job is not None and job.refused()]
            until = now
            if not jobs:
                # A closed scheduler gets no more jobs, so no delay applies.
                jobs, until = self._strategy.choose(heads, NEVER if self._closed else now)
            if jobs:
                self._begin(slots, jobs)
                return jobs, until
            return [], min(until, self._next_expiry())

    def _add_states(self, slots: list[_Sequence | None]) -> None:
        """Give the state of each sequence to its first waiting request."""
        for sequence in slots:
            if sequence is None or not sequence.jobs or sequence.executing:
                continue
            job, state = sequence.jobs[0], sequence.state
            if job.state is None:
                if job.options.parameters.get("sequence_start", False):
                    state.reset()
                job.state = state
                cut = len(job.inputs) - len(self._controls)
                job.inputs = [*job.inputs[:cut], *state.inputs(), *job.inputs[cut:]]

    def _begin(self, slots: list[_Sequence | None], jobs: list[Job]) -> None:
        for sequence in slots:
            if sequence is not None and sequence.jobs and sequence.jobs[0] in jobs:
                sequence.jobs.popleft()
                sequence.executing = True

    def close(self) -> None:
        """Accept no more requests; waiting requests are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _describe(job: Job, id: SequenceId, *, start: bool) -> None:
    """Set the sequence parameters of a request of an iterative sequence."""
    parameters = {**job.options.parameters, "sequence_id": id, "sequence_start": start}
    job.options = replace(job.options, parameters={**parameters, "sequence_end": False})


class OldestStrategy:
    """The strategy `oldest`: batches the requests that have waited longest."""

    def __init__(self, rule: BatchingRule) -> None:
        self._rule = rule

    def choose(self, heads: list[Job | None], now: float) -> tuple[list[Job], float]:
        """Return the next batch and `now`; or no jobs and the time to ask again.

        Args:
            heads: the first waiting request of each slot.
            now: seconds of the monotonic clock.
        """
        waiting = sorted(filter(None, heads), key=lambda job: job.queued)
        return self._rule.choose(waiting, now=now) if waiting else ([], NEVER)


class DirectStrategy:
    """The strategy `direct`: each slot has a fixed row of the batch.

    A model may therefore keep the state of a sequence by row. A slot without a request gets
    padding, unless no slot behind it has a request.
    """

    def __init__(
        self, config: Mapping[str, Any], settings: Mapping[str, Any], controls: SequenceControls
    ) -> None:
        self._controls = controls
        self._delay = settings.get("max_queue_delay_microseconds", 0) / 1e6
        slots = max(1, config["max_batch_size"])
        self._enough = settings.get("minimum_slot_utilization", 0) * slots

    def choose(self, heads: list[Job | None], now: float) -> tuple[list[Job], float]:
        """Return the next batch and `now`; or no jobs and the time to ask again.

        Args:
            heads: the first waiting request of each slot.
            now: seconds of the monotonic clock.
        """
        waiting = [job for job in heads if job is not None]
        if not waiting:
            return [], NEVER
        until = min(job.queued for job in waiting) / 1e9 + self._delay
        if len(waiting) < self._enough and now < until:
            return [], until
        first = min(waiting, key=lambda job: job.queued)
        together = [job if job and job.batch_key == first.batch_key else None for job in heads]
        while together[-1] is None:
            together.pop()
        return [job or self._padding(first) for job in together], now

    def _padding(self, like: Job) -> Job:
        controls = self._controls.tensors(0, start=False, end=False, ready=False)
        count = len(like.inputs) - len(controls)
        return PaddingJob(like, [*(each.blank() for each in like.inputs[:count]), *controls])
