"""The model under test: its tensors, and how the server schedules it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...messages import ModelMetadata
from ..exits import SetupError

_Config = Callable[[str, str], "Mapping[str, Any] | None"]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output; its shape is without the batch dimension, -1 is any size.

    Attributes:
        shape_tensor: whether its values are a shape.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    shape_tensor: bool = False


@dataclass(frozen=True)
class ModelInfo:
    """A model's interface.

    Attributes:
        max_batch_size: 0 for a model that does not batch.
        sequence: whether it keeps state between the requests of a sequence.
        decoupled: whether a request has any number of responses.
        composing: models of an ensemble, with their versions ("" for the server's choice).
        cached: whether it, or a composing model, has a response cache.
        top_cached: whether it has one itself.
    """

    name: str
    version: str = ""
    inputs: Mapping[str, TensorInfo] = field(default_factory=dict)
    outputs: Mapping[str, TensorInfo] = field(default_factory=dict)
    max_batch_size: int = 0
    sequence: bool = False
    decoupled: bool = False
    composing: tuple[tuple[str, str], ...] = ()
    cached: bool = False
    top_cached: bool = False


def describe(
    metadata: ModelMetadata,
    config: Mapping[str, Any] | None,
    version: str,
    config_of: _Config,
    bls: tuple[tuple[str, str], ...] = (),
) -> ModelInfo:
    """What metadata and configuration say of a model.

    Args:
        config: None when the server has none; the model then counts as one that does not batch.
        config_of: gives the configuration of a composing model, by name and version.
        bls: models that this one calls, which its configuration does not tell.
    """
    config = config or {}
    batch = int(config.get("max_batch_size", 0))
    described = {each.get("name"): each for each in config.get("input", [])}
    cut = 1 if batch > 0 else 0

    def tensors(group: Any) -> dict[str, TensorInfo]:
        return {
            each.name: TensorInfo(
                each.name,
                each.datatype,
                tuple(each.shape[cut:]),
                bool(described.get(each.name, {}).get("optional")),
                bool(described.get(each.name, {}).get("is_shape_tensor")),
            )
            for each in group
        }

    composing: dict[str, str] = {}
    cached = top_cached = _caches(config)
    sequence = "sequence_batching" in config
    for name, asked in (*_steps(config), *bls):
        found = _collect(name, asked, config_of, composing)
        cached, sequence = cached or found[0], sequence or found[1]
    return ModelInfo(
        name=metadata.name,
        version=version,
        inputs=tensors(metadata.inputs),
        outputs=tensors(metadata.outputs),
        max_batch_size=batch,
        sequence=sequence,
        decoupled=bool(config.get("model_transaction_policy", {}).get("decoupled")),
        composing=tuple(composing.items()),
        cached=cached,
        top_cached=top_cached,
    )


def _caches(config: Mapping[str, Any]) -> bool:
    return bool((config.get("response_cache") or {}).get("enable"))


def _steps(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    steps = (config.get("ensemble_scheduling") or {}).get("step", [])
    found = []
    for step in steps:
        version = str(step.get("model_version", "-1"))
        found.append((str(step.get("model_name")), "" if version == "-1" else version))
    return found


def _collect(
    name: str, version: str, config_of: _Config, into: dict[str, str]
) -> tuple[bool, bool]:
    """Add a composing model and those below it; whether one caches, and keeps sequences."""
    if name in into:
        return False, False
    config = config_of(name, version) or {}
    steps = _steps(config)
    cached, sequence = _caches(config), "sequence_batching" in config
    into[name] = version
    for inner, asked in steps:
        found = _collect(inner, asked, config_of, into)
        cached, sequence = cached or found[0], sequence or found[1]
    return cached, sequence


def check_batch(model: ModelInfo, batch_size: int) -> None:
    """Raise for a batch size that the model does not take."""
    if batch_size > 1 and model.max_batch_size == 0:
        raise SetupError("can not specify batch size > 1 as the model does not support batching")
    if batch_size > 1 and model.sequence:
        raise SetupError(
            f"-b is {batch_size}, but model {model.name!r} keeps sequences, which allow 1 only"
        )
