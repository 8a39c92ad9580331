"""`EnsembleScheduler`: executes a job as a graph of requests to other models.

A step starts when all its inputs are available, so independent steps run at the same time. No
thread waits for a step: the thread that delivers its response starts the next one. Each response
of a decoupled model is a branch of its own through the remaining steps.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from ...errors import InferenceServerException, InvalidArgument
from ...messages import Parameter
from ..jobs.errors import ModelClosed, as_server_error
from ..jobs.host import Host
from ..jobs.job import Job
from ..jobs.response import Response
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Statistics, Stopwatch
from .base import not_iterative
from .ensemble_steps import Step, needed, steps
from .policies import NEVER

#: Tensors by their names in the ensemble.
_Tensors: TypeAlias = dict[str, Tensor]


class EnsembleScheduler:
    """The scheduler of one ensemble; it executes jobs by itself and has no instances.

    Args:
        config: the configuration, which `ensemble_steps.check` accepts.
    """

    ahead = False

    def __init__(self, name: str, config: Any, host: Host, statistics: Statistics) -> None:
        self.name = name
        self.host = host
        self.steps = steps(config)
        self.decoupled = {
            step for step in self.steps if self.host.model_info(step.model, step.version).decoupled
        }
        self.optional = {each.name for each in config.input if each.optional}
        self.required = {step: self._required(step) for step in self.steps}
        self.statistics = statistics
        self._closed = False

    def _required(self, step: Step) -> set[str]:
        """Return the ensemble tensors that a step's model cannot do without."""
        inputs = self.host.model_info(step.model, step.version).inputs
        return {tensor for name, tensor in step.inputs.items() if not inputs[name].optional}

    def put(self, job: Job) -> None:
        """Start the first steps of a job.

        Raises:
            ModelClosed: the scheduler is closed.
        """
        if self._closed:
            raise ModelClosed(f"model '{self.name}' was unloaded", "503")
        _Run(self, job).begin()

    def next_batch(self, instance: int) -> list[Job]:
        """Return no jobs; an ensemble has no instances."""
        return []

    def take(self, instance: int) -> tuple[list[Job], float]:
        """Return no jobs; an ensemble has no instances."""
        return [], NEVER

    def reschedule(self, job: Job) -> None:
        """Raise Unimplemented; see `Scheduler`."""
        raise not_iterative(job.model.name)

    def close(self) -> None:
        """Accept no more jobs; those that were started continue."""
        self._closed = True


@dataclass(slots=True, eq=False)
class _Branch:
    """One path through the steps; each response of a decoupled model creates another.

    Attributes:
        tensors: the inputs and the outputs of finished steps.
        waiting: steps that were not started.
        running: number of steps that were started and have not responded.
        absent: tensors that finished steps left out.
    """

    tensors: _Tensors
    waiting: list[Step]
    running: int = 0
    absent: set[str] = field(default_factory=set)


class _Run:
    """A job in execution, and the cancel flag of its steps. Any thread may deliver a response."""

    def __init__(self, ensemble: EnsembleScheduler, job: Job) -> None:
        self._ensemble = ensemble
        self._job = job
        self._lock = threading.Lock()
        self._running = 0
        self._failed = False
        self._watch = Stopwatch()

    def is_set(self) -> bool:
        """Return True if the steps are cancelled."""
        return self._failed or self._job.cancelled

    def begin(self) -> None:
        """Start the steps that need only the inputs."""
        branch = _Branch(
            {tensor.name: tensor for tensor in self._job.inputs},
            needed(self._ensemble.steps, self._job.options.outputs),
        )
        self._watch.lap()
        self._advance(branch)

    def _advance(
        self,
        branch: _Branch,
        outputs: _Tensors | None = None,
        *,
        step: Step | None = None,
        ended: bool = False,
    ) -> None:
        """Start the steps that are ready; respond if the branch is finished.

        Args:
            outputs: of the step of this branch that just finished; None if none did.
            step: the step that gave the branch its last outputs; None at the beginning.
            ended: True if a step finished, of this branch or of the one it came from.
        """
        with self._lock:
            if outputs is not None:
                branch.tensors.update(outputs)
                branch.running -= 1
            if step is not None:
                branch.absent |= set(step.outputs.values()) - branch.tensors.keys()
            chosen = self._choose(branch)
            branch.running += len(chosen)
            self._running += len(chosen) - ended
            finished = not branch.running
            final = not self._running
        if finished:
            self._respond(branch, final=final)
        for step in chosen:
            self._begin(step, branch)

    def _choose(self, branch: _Branch) -> list[Step]:
        """Return the steps to start; a decoupled step only when no other step is running."""
        ready = [step for step in branch.waiting if not self._missing(step, branch)]
        single = [step for step in ready if step not in self._ensemble.decoupled]
        chosen = single or ([] if branch.running else ready[:1])
        branch.waiting = [step for step in branch.waiting if step not in chosen]
        return chosen

    def _missing(self, step: Step, branch: _Branch) -> set[str]:
        """Return the tensors that a step waits for.

        As in Triton, an input of the ensemble may be missing if the ensemble says that it is
        optional, and an output of a step if the next step's model says so.
        """
        settled = branch.tensors.keys() | self._ensemble.optional | branch.absent
        required = self._ensemble.required[step]
        return (set(step.inputs.values()) - settled) | (required & branch.absent)

    def _begin(self, step: Step, branch: _Branch) -> None:
        available = branch.tensors
        tensors = [
            available[tensor]._replace(name=name)
            for name, tensor in step.inputs.items()
            if tensor in available
        ]
        options = replace(self._job.options, outputs=tuple(step.outputs), cancelled=self)
        sink = partial(self._receive, step, branch)
        try:
            self._ensemble.host.submit(step.model, step.version, tensors, options, sink)
        except Exception as error:
            self._fail(as_server_error(error))

    def _receive(self, step: Step, branch: _Branch, response: Response) -> None:
        if response.error is not None:
            self._fail(response.error)
        elif step not in self._ensemble.decoupled:
            if response.outputs is not None:
                self._advance(branch, _named(step, response.outputs), step=step, ended=True)
        elif response.outputs is not None:
            tensors = {**branch.tensors, **_named(step, response.outputs)}
            new = _Branch(tensors, branch.waiting, absent=set(branch.absent))
            self._advance(new, step=step, ended=response.final)
        else:
            with self._lock:
                self._running -= 1
                final = not self._running
            if final:
                self._end()

    def _respond(self, branch: _Branch, *, final: bool) -> None:
        """Send the outputs of a finished branch."""
        wanted = self._job.options.outputs
        if branch.waiting:
            step = branch.waiting[0]
            missing = sorted(self._missing(step, branch))
            self._fail(
                InvalidArgument(
                    f"[request id: {self._job.options.id or '<id_unknown>'}] unexpected deadlock, "
                    "at least one output is not set while no more ensemble steps can be made: "
                    f"model '{step.model}' needs {', '.join(map(repr, missing))}, which neither "
                    "the request nor another step gave",
                    "400",
                )
            )
            return
        # As in Triton, outputs that a step left out are left out here.
        outputs = [branch.tensors[name] for name in wanted if name in branch.tensors]
        if final:
            self._end(outputs)
        elif not self._failed:
            self._job.send(outputs, final=False, parameters=self._parameters())

    def _parameters(self) -> Mapping[str, Parameter]:
        """Return the parameters of each response: as in Triton, the sequence of the request."""
        given = self._job.options.parameters
        return {
            "sequence_id": given.get("sequence_id", 0),
            "sequence_start": bool(given.get("sequence_start", False)),
            "sequence_end": bool(given.get("sequence_end", False)),
        }

    def _end(self, outputs: list[Tensor] | None = None) -> None:
        if self._failed:
            return
        job, statistics = self._job, self._ensemble.statistics
        self._watch.lap()
        self._watch.lap()
        durations = self._watch.durations(job.queued, job.decoding)
        statistics.executed(job.batch_size, durations)
        statistics.succeeded(job.batch_size, durations)
        job.send(outputs, final=True, parameters=self._parameters())

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


def _named(step: Step, outputs: tuple[Tensor, ...]) -> _Tensors:
    """Return the outputs of a step by their names in the ensemble."""
    return {
        step.outputs[each.name]: each._replace(name=step.outputs[each.name]) for each in outputs
    }
