"""Check the steps of an ensemble's configuration, as Triton does before it looks at the models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .reading import ModelConfig


@dataclass(slots=True)
class _Flow:
    """Where a tensor of an ensemble comes from and goes to.

    Attributes:
        given: True if a step gives it.
        sources: the tensors that the step that gives it takes.
        used: True if a step takes it.
    """

    given: bool = False
    sources: list[str] = field(default_factory=list)
    used: bool = False


def check(config: ModelConfig) -> None:
    """Raise ValueError if the configuration of an ensemble is incomplete, or its steps do not join.

    Each input and each tensor between steps must be taken by a step, and each output be given.
    """
    name = config.name
    if config.platform != "ensemble":
        raise ValueError(
            f"ensemble scheduling cannot be set for model '{name}' whose platform is not ensemble"
        )
    if config.backend:
        raise ValueError(
            f"Ensemble model '{name}' must have platform type 'ensemble' and empty backend type"
        )
    if config.instance_group:
        raise ValueError(f"instance group should not be specified for ensemble '{name}'")
    if config.HasField("optimization"):
        raise ValueError(f"optimization should not be specified for ensemble '{name}'")
    if config.model_warmup:
        raise ValueError(f"model_warmup can not be specified for ensemble '{name}'")
    if not config.ensemble_scheduling.step:
        raise ValueError(f"must specify 'step' for ensemble '{name}'")
    _check_flows(config, _flows(config.ensemble_scheduling.step, name))


def _flows(steps: Any, ensemble: str) -> dict[str, _Flow]:
    flows: dict[str, _Flow] = {}
    for index, step in enumerate(steps):
        for key in ("model_name", "input_map", "output_map"):
            if not getattr(step, key):
                raise ValueError(f"must specify '{key}' in step of ensemble '{ensemble}'")
        for tensor in step.output_map.values():
            flow = flows.setdefault(tensor, _Flow())
            if flow.given:
                raise ValueError(
                    f"ensemble tensor '{tensor}' can appear in an output map only once for "
                    f"ensemble '{ensemble}' step {index}"
                )
            flow.given = True
            flow.sources = sorted(step.input_map.values())
        for tensor in step.input_map.values():
            flows.setdefault(tensor, _Flow()).used = True
    return flows


def _check_flows(config: ModelConfig, flows: dict[str, _Flow]) -> None:
    name = config.name
    for kind, tensors in (("input", config.input), ("output", config.output)):
        for each in tensors:
            if each.name not in flows:
                raise ValueError(f"ensemble {kind} '{each.name}' for ensemble {name}' is not used")
    ready = _connected({each.name for each in config.input}, flows)
    outputs = {each.name for each in config.output}
    for each in sorted(outputs - ready):
        missing = next((source for source in flows[each].sources if source not in ready), each)
        raise ValueError(
            f"output '{each}' for ensemble '{name}' is not written: at least one of its depending "
            f"tensors, '{missing}', is not connected"
        )
    for tensor, flow in flows.items():
        if tensor not in outputs and not (tensor in ready and flow.used):
            raise ValueError(f"ensemble tensor '{tensor}' is unused in ensemble '{name}'")


def _connected(inputs: set[str], flows: dict[str, _Flow]) -> set[str]:
    """Return the tensors that the inputs lead to."""
    ready = set(inputs)
    while more := {
        tensor
        for tensor, flow in flows.items()
        if tensor not in ready and flow.given and ready.issuperset(flow.sources)
    }:
        ready |= more
    return ready
