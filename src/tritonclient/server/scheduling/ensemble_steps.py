"""The steps of an ensemble, checked against the models that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import NotFound
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
            "" if each.model_version < 0 else str(each.model_version),
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


def check(name: str, config: Any, host: Host) -> None:
    """Check that all models are ready and that a step or an input provides every tensor.

    Raises:
        ValueError: a model is missing, or the steps do not fit together.
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


def _find(step: Step, host: Host) -> ModelInfo | None:
    try:
        return host.model_info(step.model, step.version)
    except NotFound:
        return None


def _check_step(name: str, step: Step, host: Host) -> None:
    model = host.model_info(step.model, step.version)
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
