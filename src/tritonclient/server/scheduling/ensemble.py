"""Ensembles: models that consist of steps, each of which is a request to another model.

A step begins as soon as all that it takes is there, so that steps which do not need each other run
at the same time. No thread waits for them: whoever brings the answer of one begins the next. Each
answer of a decoupled model goes its own way through the steps that are left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from ...errors import InferenceServerException, InvalidArgument
from ..jobs.errors import ModelClosed, own
from ..jobs.host import Host
from ..jobs.job import Job
from ..jobs.response import Answer
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Statistics, Stopwatch
from .ensemble_steps import Step, steps

#: Tensors by their names within the ensemble.
_Pool: TypeAlias = dict[str, Tensor]


class Ensemble:
    """What executes the jobs of an ensemble that `check` approves of."""

    def __init__(self, name: str, config: Any, host: Host, statistics: Statistics) -> None:
        self.name = name
        self.host = host
        self.steps = steps(config)
        self.decoupled = {
            step for step in self.steps if self.host.model_info(step.model, step.version).decoupled
        }
        self.optional = {each.name for each in config.input if each.optional}
        self.statistics = statistics
        self._closed = False

    def put(self, job: Job) -> None:
        """Begin a job.

        Raises:
            ModelClosed: no more are taken.
        """
        if self._closed:
            raise ModelClosed(f"model '{self.name}' was unloaded", "503")
        _Run(self, job).begin()

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """There are no instances that would take anything."""
        return list

    def close(self) -> None:
        """Take no more jobs; those that have begun go on."""
        self._closed = True


@dataclass(slots=True, eq=False)
class _Branch:
    """A way through the steps, which the answers of decoupled models multiply.

    Attributes:
        waiting: steps that have not begun.
        running: how many have begun and are not answered.
    """

    pool: _Pool
    waiting: list[Step]
    running: int = 0


class _Run:
    """A job on its way through the steps; any thread may bring an answer."""

    def __init__(self, ensemble: Ensemble, job: Job) -> None:
        self._ensemble = ensemble
        self._job = job
        self._lock = threading.Lock()
        self._running = 0
        self._failed = False
        self._watch = Stopwatch()

    def is_set(self) -> bool:
        """Whether nobody waits for the steps any more."""
        return self._failed or self._job.cancelled

    def begin(self) -> None:
        """Begin with the steps that take the inputs."""
        branch = _Branch(
            {tensor.name: tensor for tensor in self._job.inputs}, list(self._ensemble.steps)
        )
        self._watch.lap()
        self._advance(branch)

    def _advance(
        self, branch: _Branch, outputs: _Pool | None = None, *, ended: bool = False
    ) -> None:
        """Begin the steps that can be begun, or answer when a branch is at its end.

        Args:
            outputs: of one of the branch's steps, which has ended.
            ended: whether a step has, of this branch or of another.
        """
        with self._lock:
            if outputs is not None:
                branch.pool.update(outputs)
                branch.running -= 1
            chosen = self._choose(branch)
            branch.running += len(chosen)
            self._running += len(chosen) - ended
            arrived = not branch.running
            final = not self._running
        if arrived:
            self._answer(branch, final=final)
        for step in chosen:
            self._begin(step, branch)

    def _choose(self, branch: _Branch) -> list[Step]:
        """The steps to begin; a decoupled one only when everything that goes with it is there."""
        there = branch.pool.keys() | self._ensemble.optional
        ready = [step for step in branch.waiting if there >= set(step.inputs.values())]
        single = [step for step in ready if step not in self._ensemble.decoupled]
        chosen = single or ([] if branch.running else ready[:1])
        branch.waiting = [step for step in branch.waiting if step not in chosen]
        return chosen

    def _begin(self, step: Step, branch: _Branch) -> None:
        pool = branch.pool
        tensors = [
            pool[tensor]._replace(name=name)
            for name, tensor in step.inputs.items()
            if tensor in pool
        ]
        call = replace(self._job.call, outputs=tuple(step.outputs), cancelled=self)
        answered = partial(self._answered, step, branch)
        try:
            self._ensemble.host.submit(step.model, step.version, tensors, call, answered)
        except Exception as error:
            self._fail(own(error))

    def _answered(self, step: Step, branch: _Branch, answer: Answer) -> None:
        if answer.error is not None:
            self._fail(answer.error)
        elif step not in self._ensemble.decoupled:
            if answer.outputs is not None:
                self._advance(branch, _named(step, answer.outputs), ended=True)
        elif answer.outputs is not None:
            pool = {**branch.pool, **_named(step, answer.outputs)}
            self._advance(_Branch(pool, branch.waiting), ended=answer.final)
        else:
            with self._lock:
                self._running -= 1
                final = not self._running
            if final:
                self._end()

    def _answer(self, branch: _Branch, *, final: bool) -> None:
        """Answer with what a branch has come to."""
        wanted = self._job.call.outputs
        if branch.waiting or not branch.pool.keys() >= set(wanted):
            self._fail(
                InvalidArgument(
                    f"[request id: {self._job.call.id or '<id_unknown>'}] unexpected deadlock, at "
                    "least one output is not set while no more ensemble steps can be made",
                    "400",
                )
            )
            return
        outputs = [branch.pool[name] for name in wanted]
        if final:
            self._end(outputs)
        elif not self._failed:
            self._job.send(outputs, final=False)

    def _end(self, outputs: list[Tensor] | None = None) -> None:
        if self._failed:
            return
        job, statistics = self._job, self._ensemble.statistics
        self._watch.lap()
        self._watch.lap()
        durations = self._watch.durations(job.queued, job.decoding)
        statistics.executed(job.batch_size, durations)
        statistics.succeeded(job.batch_size, durations)
        job.send(outputs, final=True)

    def _fail(self, error: InferenceServerException) -> None:
        with self._lock:
            failed, self._failed = self._failed, True
        if failed:
            return
        job = self._job
        self._watch.lap()
        self._ensemble.statistics.failed(self._watch.durations(job.queued, job.decoding))
        text = f"in ensemble '{self._ensemble.name}', {error.message()}"
        job.send(error=type(error)(text, error.status()), final=True)


def _named(step: Step, outputs: tuple[Tensor, ...]) -> _Pool:
    """A step's outputs by the ensemble's names."""
    return {
        step.outputs[each.name]: each._replace(name=step.outputs[each.name]) for each in outputs
    }
