"""Fill in defaults of a model configuration, as Triton does."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from . import ensembles, scheduling
from .checking import check_cache, check_model, is_ensemble
from .reading import ModelConfig

_log = logging.getLogger(__name__)
_PLATFORM_OF_BACKEND = {"onnxruntime": "onnxruntime_onnx"}
_BACKEND_OF_PLATFORM = {"onnxruntime_onnx": "onnxruntime"}
_FILE_OF_BACKEND = {"onnxruntime": "model.onnx", "python": "model.py"}
#: Backends with two instances on a CPU by default.
_TWO_INSTANCES = ("onnxruntime",)


def complete(config: ModelConfig, name: str, files: Iterable[str]) -> None:
    """Fill in the defaults that do not depend on the model's file.

    Args:
        name: the name of the model's directory.
        files: names of the files in its version directories, from which the backend follows.

    Raises:
        ValueError: the configuration is for another model.
    """
    if config.name and config.name != name:
        raise ValueError(
            f"unexpected directory name '{name}' for model '{config.name}', "
            "directory name must equal model name"
        )
    config.name = name
    _complete_backend(config, set(files))
    if config.version_policy.WhichOneof("policy_choice") is None:
        config.version_policy.latest.num_versions = 1
    check_model(config)
    check_cache(config)
    if is_ensemble(config):
        config.model_transaction_policy.SetInParent()
        ensembles.check(config)
        return
    optimization = config.optimization
    for kind in ("input_pinned_memory", "output_pinned_memory"):
        if not optimization.HasField(kind):
            getattr(optimization, kind).enable = True
    scheduling.check(config)
    scheduling.complete(config)
    _complete_instances(config)


def _complete_backend(config: ModelConfig, files: set[str]) -> None:
    if not config.backend:
        config.backend = _BACKEND_OF_PLATFORM.get(config.platform, "")
    if not config.backend and not config.platform:
        found = [name for name, file in _FILE_OF_BACKEND.items() if file in files]
        config.backend = found[0] if found else ""
    if not config.platform:
        config.platform = _PLATFORM_OF_BACKEND.get(config.backend, "")
    if not config.default_model_filename:
        config.default_model_filename = _FILE_OF_BACKEND.get(config.backend, "")


def _complete_instances(config: ModelConfig) -> None:
    default_count = 2 if config.backend in _TWO_INSTANCES else 1
    if not config.instance_group:
        config.instance_group.add().name = config.name
    for index, group in enumerate(config.instance_group):
        if group.kind == group.Kind.Value("KIND_GPU"):
            _log.warning("model '%s' asks for a GPU and gets the CPU", config.name)
        group.name = group.name or f"{config.name}_{index}"
        if group.kind == group.Kind.Value("KIND_AUTO"):
            group.kind = group.Kind.Value("KIND_CPU")
        if group.count < 1:
            group.count = default_count
