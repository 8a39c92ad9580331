"""Ensembles: models that consist of steps, each of which is a request to another model.

A step runs as soon as all that it takes is there, so that steps which do not need each other run
at the same time. An instance is a thread that waits for the steps of one request.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ...errors import InferenceServerException, Internal, NotFound
from ..host import Host
from ..jobs import Answer, Job, Tensor
from ..statistics import Stopwatch
from . import Maker, Result, Source

if TYPE_CHECKING:
    from ..model import Model

#: Requests that are in work at a time; each costs a thread that waits.
_INSTANCES = 16

#: Tensors by their names within the ensemble.
_Pool: TypeAlias = dict[str, Tensor]


class Step(NamedTuple):
    """A request to another model.

    Attributes:
        version: "" for the one that is served by default.
        inputs: by the model's name for an input, the ensemble's name for the tensor.
        outputs: the same for what it gives.
    """

    model: str
    version: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def steps(config: Any) -> tuple[Step, ...]:
    """The steps in a configuration."""
    return tuple(
        Step(
            each.model_name,
            "" if each.model_version < 0 else str(each.model_version),
            dict(each.input_map),
            dict(each.output_map),
        )
        for each in config.ensemble_scheduling.step
    )


def check(name: str, config: Any, host: Host) -> None:
    """Make sure that the models are there, and that every tensor comes from somewhere.

    Raises:
        ValueError: the steps don't fit together, or one of the models is not there.
    """
    parts = steps(config)
    missing = [step.model for step in parts if _find(step, host) is None]
    if missing:
        raise ValueError(
            f"ensemble {name} contains models that are not available or ambiguous: "
            f"{', '.join(missing)}"
        )
    available = {each.name for each in config.input}
    for step in parts:
        _check_step(name, step, host)
        available |= set(step.outputs.values())
    taken = [tensor for step in parts for tensor in step.inputs.values()]
    for tensor in [*taken, *(each.name for each in config.output)]:
        if tensor not in available:
            raise ValueError(
                f"in ensemble {name}, ensemble tensor {tensor}: no step gives it, and it is no "
                "input"
            )


def _find(step: Step, host: Host) -> Model | None:
    try:
        return host.model(step.model, step.version)
    except NotFound:
        return None


def _check_step(name: str, step: Step, host: Host) -> None:
    model = host.model(step.model, step.version)
    if model.decoupled:
        raise ValueError(
            f"ensemble {name} has the decoupled model {step.model} as a step, which this server "
            "does not support"
        )
    for kind, mapped, tensors in (
        ("input", step.inputs, model.inputs),
        ("output", step.outputs, model.outputs),
    ):
        for tensor in mapped:
            if tensor not in tensors:
                raise ValueError(
                    f"in ensemble {name}, ensemble tensor {mapped[tensor]} is mapping to "
                    f"non-existing {kind} {tensor} in model {step.model}"
                )


class EnsembleBackend:
    """Loads ensembles that `check` approves of."""

    def complete(self, source: Source) -> None:
        """Nothing is learnt from the models."""

    def instances(self, source: Source, config: dict[str, Any]) -> list[Maker]:
        """Threads that wait for the steps."""
        return [partial(_Ensemble, source)] * _INSTANCES


def labels(source: Source) -> dict[str, tuple[str, ...]]:
    """The labels of outputs, which are those of the models that give them."""
    return {
        tensor: model.labels[output]
        for step in steps(source.config)
        for model in [source.host.model(step.model, step.version)]
        for output, tensor in step.outputs.items()
        if output in model.labels
    }


class _Ensemble:
    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._host = source.host
        self._steps = steps(source.config)
        self._outputs = {each.name for each in source.config.output}

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> list[Result]:
        watch.lap()
        results = [self._execute(job) for job in jobs]
        watch.lap()
        return results

    def _execute(self, job: Job) -> Result:
        try:
            return self._run(job)
        except InferenceServerException as error:
            text = f"in ensemble '{self._name}', {error.message()}"
            return type(error)(text, error.status())

    def _run(self, job: Job) -> Sequence[Tensor]:
        pool: _Pool = {tensor.name: tensor for tensor in job.inputs}
        waiting = list(self._steps)
        answers: queue.SimpleQueue[tuple[Step, Answer]] = queue.SimpleQueue()
        begun: list[Job] = []
        running = 0
        try:
            while True:
                ready = [step for step in waiting if pool.keys() >= set(step.inputs.values())]
                for step in ready:
                    waiting.remove(step)
                    begun.append(self._begin(step, job, pool, answers))
                running += len(ready)
                if not running:
                    break
                step, answer = answers.get()
                running -= 1
                if answer.error is not None:
                    raise answer.error
                pool.update(_named(step, answer.outputs or ()))
        finally:
            for each in begun:
                each.abandon()  # those that go on when one has failed
        return [pool[name] for name in self._outputs if name in pool]

    def _begin(
        self, step: Step, job: Job, pool: _Pool, answers: queue.SimpleQueue[tuple[Step, Answer]]
    ) -> Job:
        from ..inference import submit  # which needs the backends for its models

        tensors = [pool[tensor]._replace(name=name) for name, tensor in step.inputs.items()]
        call = replace(job.call, outputs=tuple(step.outputs))
        find = partial(self._host.model, step.model, step.version)
        return submit(find, tensors, call, lambda answer: answers.put((step, answer)))

    def close(self) -> None:
        pass


def _named(step: Step, outputs: Iterable[Tensor]) -> _Pool:
    """A step's outputs by the ensemble's names."""
    found = {
        step.outputs[each.name]: each._replace(name=step.outputs[each.name]) for each in outputs
    }
    missing = set(step.outputs.values()) - found.keys()
    if missing:
        raise Internal(f"model '{step.model}' did not give '{min(missing)}'", "500")
    return found
