"""The steps of an ensemble, checked against the models that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InvalidArgument, NotFound
from ..config.specification import Specification, specifications, type_name
from ..jobs.errors import ModelNotReady
from ..jobs.host import Host
from ..jobs.model_info import ModelInfo


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A request to another model.

    Attributes:
        version: "" for the highest.
        inputs: ensemble tensors by the model's input names.
        outputs: ensemble tensors by the model's output names.
    """

    model: str
    version: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def steps(config: Any) -> tuple[Step, ...]:
    """Return the steps of a configuration."""
    return tuple(
        Step(
            each.model_name,
            "" if each.model_version == -1 else str(each.model_version),
            dict(each.input_map),
            dict(each.output_map),
        )
        for each in config.ensemble_scheduling.step
    )


def needed(parts: Sequence[Step], outputs: Iterable[str]) -> list[Step]:
    """Return the steps that these outputs of the ensemble depend on, in their order."""
    wanted, found = set(outputs), set[Step]()
    while more := {
        step for step in parts if step not in found and wanted & set(step.outputs.values())
    }:
        found |= more
        wanted |= {tensor for step in more for tensor in step.inputs.values()}
    return [step for step in parts if step in found]


def check(name: str, config: Any, host: Host, failures: Mapping[str, str]) -> None:
    """Check that all models are ready, and that their tensors fit together.

    Args:
        failures: why models of steps could not be loaded, by name.

    Raises:
        ValueError: a model is missing, or the steps do not fit together.
    """
    parts = steps(config)
    missing = [step for step in parts if _find(step, host) is None]
    for step in missing:
        if step.model in failures:
            raise ValueError(
                f"ensemble '{name}' depends on '{step.model}' which has no loaded version. Model "
                f"'{step.model}' loading failed with error: {failures[step.model]}"
            )
        if _is_ready(step.model, host):
            raise ValueError(
                f"ensemble '{name}' depends on '{step.model}' whose required version "
                f"{step.version} is not loaded."
            )
    if missing:
        raise ValueError(
            f"ensemble {name} contains models that are not available or ambiguous: "
            f"{', '.join(step.model for step in missing)}"
        )
    own = [*specifications(config.input), *specifications(config.output)]
    tensors = {
        # Between the steps a tensor has the shape that it is reshaped to.
        each.name: _Node(name, config.max_batch_size > 0, each._replace(shape=each.inner_shape))
        for each in own
    }
    for step in parts:
        _check_step(name, config.max_batch_size, step, host, tensors)
    _check_responses(name, config, host, tensors)


def _find(step: Step, host: Host) -> ModelInfo | None:
    try:
        return host.model_info(step.model, step.version)
    except (NotFound, ModelNotReady, InvalidArgument):  # the latter for a version below -1
        return None


def _is_ready(model: str, host: Host) -> bool:
    try:
        host.model_info(model)
    except (NotFound, ModelNotReady):
        return False
    return True


class _Node(NamedTuple):
    """A tensor of an ensemble as a model, or the ensemble itself, specifies it."""

    model: str
    batches: bool
    tensor: Specification

    @property
    def full_dims(self) -> tuple[int, ...]:
        """Its dimensions, with the batch dimension."""
        return (-1, *self.tensor.shape) if self.batches else self.tensor.shape

    def check(self, other: _Node, where: str) -> None:
        """Raise ValueError if this and another node can't be the same tensor."""
        mine, its = self.tensor, other.tensor
        if mine.datatype != its.datatype:
            raise ValueError(
                f"{where}inconsistent data type: {type_name(mine.datatype)} is inferred from model "
                f"{self.model} while {type_name(its.datatype)} is inferred from model {other.model}"
            )
        if mine.any_shape or its.any_shape or _alike(mine.shape, its.shape):
            return
        # A model that does not batch may have the batch dimension among its own.
        if not _alike(self.full_dims, other.full_dims):
            raise ValueError(
                f"{where}inconsistent shape: {_text(self.full_dims)} is inferred from model "
                f"{self.model} while {_text(other.full_dims)} is inferred from model {other.model}"
            )


def _alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return True if the dimensions are equal, where both are fixed."""
    return len(one) == len(other) and all(
        mine == its or -1 in (mine, its) for mine, its in zip(one, other, strict=True)
    )


def _text(dims: Iterable[int]) -> str:
    return f"[{','.join(map(str, dims))}]"


def _check_step(
    name: str, max_batch_size: int, step: Step, host: Host, tensors: dict[str, _Node]
) -> None:
    model = host.model_info(step.model, step.version)
    if model.batches and max_batch_size > model.max_batch_size:
        raise ValueError(
            f"ensemble {name} allows maximum batch size {max_batch_size}, but it contains model "
            f"{step.model} which only allows maximum batch size to be {model.max_batch_size}"
        )
    unmapped = [
        each.name
        for each in model.inputs.values()
        if not each.optional and each.name not in step.inputs
    ]
    for kind, mapped, known in (
        ("mapping to non-existing input", step.inputs, model.inputs),
        ("mapped from non-existing output", step.outputs, model.outputs),
    ):
        for own, tensor in mapped.items():
            where = f"in ensemble {name}, ensemble tensor {tensor}"
            if own not in known:
                raise ValueError(f"{where} is {kind} {own} in model {step.model}")
            node = _Node(step.model, model.batches, known[own])
            tensors.setdefault(tensor, node).check(node, f"{where}: ")
        if unmapped:
            raise ValueError(
                f"in ensemble {name}, input {unmapped[0]} in model {step.model} is not mapped to "
                "any ensemble tensors"
            )


def _check_responses(name: str, config: Any, host: Host, tensors: Mapping[str, _Node]) -> None:
    """Raise ValueError if a step, or the ensemble, joins tensors that come differently often.

    Those of a decoupled model come once with each of its responses.
    """
    # The decoupled step that each tensor comes from last; None for those that come once.
    origins: dict[str, Step | None] = {each.name: None for each in config.input}
    waiting = list(steps(config))
    while ready := [each for each in waiting if origins.keys() >= set(each.inputs.values())]:
        waiting = [each for each in waiting if each not in ready]
        for step in ready:
            found = {origins[tensor] for tensor in step.inputs.values()}
            if len(found) > 1:
                raise _joins_responses(name, tensors[next(iter(step.outputs.values()))].model)
            decoupled = host.model_info(step.model, step.version).decoupled
            origins |= dict.fromkeys(step.outputs.values(), step if decoupled else found.pop())
    if len({origins.get(each.name) for each in config.output}) > 1:
        raise _joins_responses(name, name)


def _joins_responses(name: str, model: str) -> ValueError:
    return ValueError(
        f"in ensemble {name}, step of model '{model}' receives inputs originated from different "
        "decoupled models"
    )


def labels(config: Any, host: Host) -> dict[str, tuple[str, ...]]:
    """Return the labels of the outputs, taken from the models that provide them."""
    return {
        tensor: model.labels[output]
        for step in steps(config)
        for model in [host.model_info(step.model, step.version)]
        for output, tensor in step.outputs.items()
        if output in model.labels
    }


def complete(config: Any, host: Host) -> None:
    """Mark the ensemble as decoupled if one of its models is."""
    config.model_transaction_policy.decoupled = any(
        host.model_info(step.model, step.version).decoupled for step in steps(config)
    )
