"""Check model configurations, with Triton's error messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import fields
from .reading import ModelConfig
from .specification import DATATYPES, enum_name

_IMAGE_FORMATS = ("FORMAT_NHWC", "FORMAT_NCHW")


def check(config: ModelConfig) -> None:
    """Raise ValueError if a configuration cannot be served."""
    name = config.name
    check_model(config)
    names = [each.name for each in config.input]
    if twice := [each for each in names if names.count(each) > 1]:
        raise ValueError(f"model '{name}' has several inputs named '{twice[0]}'")
    for tensor in config.input:
        if enum_name(tensor, "format") in _IMAGE_FORMATS and len(tensor.dims) != 3:
            raise ValueError(f"model input NHWC/NCHW require 3 dims for {name}")
    fields.check(config)
    for group in config.instance_group:
        if group.gpus and enum_name(group, "kind") == "KIND_CPU":
            raise ValueError(
                f"instance group {group.name} of model {name} has kind KIND_CPU but specifies one "
                "or more GPUs"
            )
    for kind, tensors in (("input", config.input), ("output", config.output)):
        for tensor in tensors:
            _check_tensor(tensor, f"model {kind} '{tensor.name}'", kind, name)


def check_model(config: ModelConfig) -> None:
    """Raise ValueError if Triton refuses a configuration before it looks at the model's versions.

    A request to load such a model says only that the model was not polled.
    """
    name = config.name
    if not config.backend and not is_ensemble(config):
        raise ValueError(
            f"unexpected platform type '{config.platform}' for {name}"
            if config.platform
            else f"Invalid model name: Could not determine backend for model '{name}' with no "
            "backend in model configuration. Expected model name of the form "
            "'model.<backend_name>'."
        )
    if config.max_batch_size < 0:
        raise ValueError(f"'max_batch_size' must be non-negative value for {name}")


def check_cache(config: ModelConfig) -> None:
    """Raise ValueError if the responses of a model can't be kept, and it asks for it."""
    if not config.response_cache.enable:
        return
    for given, what in (
        (config.model_transaction_policy.decoupled, "'decoupled' transaction policy"),
        (config.HasField("sequence_batching"), "sequence batching scheduler"),
    ):
        if given:
            raise ValueError(
                f"Response Cache does not currently support model {config.name} with {what}. "
                "Please disable the response cache."
            )


def is_ensemble(config: ModelConfig) -> bool:
    """Return True if a configuration is that of an ensemble."""
    return bool(config.platform == "ensemble" or config.HasField("ensemble_scheduling"))


def _check_tensor(tensor: Any, label: str, kind: str, model: str) -> None:
    if not tensor.name:
        raise ValueError(f"model {kind} must specify 'name' for {model}")
    if tensor.data_type == 0:
        raise ValueError(f"{label} must specify 'data_type' for {model}")
    if enum_name(tensor, "data_type") not in DATATYPES:
        raise ValueError(f"{label} has the unknown data_type {tensor.data_type} for {model}")
    if not tensor.dims and not tensor.HasField("reshape"):
        raise ValueError(f"{label} must specify 'dims' for {model}")
    if any(size < 1 and size != -1 for size in tensor.dims):
        raise ValueError(
            f"{label} dimension must be integer >= 1, or -1 to indicate a variable-size dimension "
            f"for {model}"
        )
    if tensor.HasField("reshape"):
        _check_reshape(tensor, label, model)


def _check_reshape(tensor: Any, label: str, model: str) -> None:
    sizes, reshaped = _sizes(tensor.dims), _sizes(tensor.reshape.shape)
    if len(sizes) != len(reshaped):
        raise ValueError(
            f"{label} has different number of variable-size dimensions for dims and reshape for "
            f"{model}"
        )
    if sizes != reshaped:
        raise ValueError(f"{label} has different size for dims and reshape for {model}")


def _sizes(dims: Iterable[int]) -> list[int]:
    """Return the product of the fixed dimensions before, between and after variable ones."""
    sizes = [1]
    for size in dims:
        if size == -1:
            sizes.append(1)
        else:
            sizes[-1] *= size
    return sizes
