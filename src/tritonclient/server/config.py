"""Model configurations: reading `config.pbtxt`, completing and checking it.

What is completed follows Triton, so that the `config` endpoint answers alike. The configuration
is the protobuf message itself, whose class is made at run time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ..codec import messages_pb
from . import scheduling
from .extras import optional_import

_log = logging.getLogger(__name__)

#: The protobuf message `inference.ModelConfig`.
ModelConfig: TypeAlias = Any

DATATYPES = {
    "TYPE_BOOL": "BOOL",
    "TYPE_UINT8": "UINT8",
    "TYPE_UINT16": "UINT16",
    "TYPE_UINT32": "UINT32",
    "TYPE_UINT64": "UINT64",
    "TYPE_INT8": "INT8",
    "TYPE_INT16": "INT16",
    "TYPE_INT32": "INT32",
    "TYPE_INT64": "INT64",
    "TYPE_FP16": "FP16",
    "TYPE_FP32": "FP32",
    "TYPE_FP64": "FP64",
    "TYPE_STRING": "BYTES",
    "TYPE_BF16": "BF16",
}

_PLATFORM_OF_BACKEND = {"onnxruntime": "onnxruntime_onnx"}
_BACKEND_OF_PLATFORM = {"onnxruntime_onnx": "onnxruntime"}
_FILE_OF_BACKEND = {"onnxruntime": "model.onnx", "python": "model.py"}
#: Triton runs two instances of these on a CPU unless told otherwise.
_TWO_INSTANCES = ("onnxruntime",)


class Specification(NamedTuple):
    """One input or output of a model, in the protocol's terms.

    Attributes:
        shape: dimensions without the batch dimension; -1 takes any size.
        reshape: the shape that the model sees instead, or None.
        label_filename: of an output, the file with its classes; else "".
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    optional: bool = False
    label_filename: str = ""


# Reading


def read(path: Path) -> ModelConfig:
    """The configuration in a `config.pbtxt`; an empty one when there is no such file.

    Raises:
        ValueError: the file is not a model configuration.
    """
    config = new()
    if not path.exists():
        return config
    with optional_import("protobuf"):
        from google.protobuf import text_format
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except text_format.ParseError as error:
        raise ValueError(f"{path}: {error}") from error
    return config


def from_json(text: str) -> ModelConfig:
    """The configuration in a JSON text, as a load request carries it.

    Raises:
        ValueError: the text is not a model configuration.
    """
    config = new()
    with optional_import("protobuf"):
        from google.protobuf import json_format
    try:
        json_format.Parse(text, config)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    return config


def new() -> ModelConfig:
    """An empty configuration."""
    with optional_import("protobuf"):
        return messages_pb.message("ModelConfig")()


# Completing


def complete(config: ModelConfig, name: str, files: Iterable[str]) -> None:
    """Fill in what does not depend on the model itself.

    Args:
        name: the name of the model's directory.
        files: names of the files in its version directories, which tell the backend.

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
    if is_ensemble(config):
        config.model_transaction_policy.SetInParent()
        check_ensemble(config)
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
        group.count = group.count or default_count


# Checking


def check(config: ModelConfig) -> None:
    """Raise ValueError, in Triton's words, for a configuration that can't be served."""
    name = config.name
    if not config.backend and not is_ensemble(config):
        raise ValueError(
            f"unexpected platform type '{config.platform}' for {name}"
            if config.platform
            else f"must specify 'platform' or 'backend' for model '{name}'"
        )
    if config.max_batch_size < 0:
        raise ValueError(f"'max_batch_size' must be non-negative value for {name}")
    if config.batch_input or config.batch_output:
        raise ValueError(f"model '{name}' has ragged batches, which this server does not make")
    for group in config.instance_group:
        if group.count < 1:
            raise ValueError(f"instance group '{group.name}' of {name} must have a count >= 1")
    for kind, tensors in (("input", config.input), ("output", config.output)):
        for tensor in tensors:
            _check_tensor(tensor, f"model {kind} '{tensor.name}'", kind, name)


def is_ensemble(config: ModelConfig) -> bool:
    """Whether a model consists of requests to other models."""
    return bool(config.platform == "ensemble" or config.HasField("ensemble_scheduling"))


def check_ensemble(config: ModelConfig) -> None:
    """Raise ValueError for an ensemble that lacks something."""
    name = config.name
    if config.platform != "ensemble":
        raise ValueError(
            f"ensemble scheduling can't be set for model '{name}' whose platform is not ensemble"
        )
    if not config.ensemble_scheduling.step:
        raise ValueError(f"must specify 'step' for ensemble '{name}'")
    for step in config.ensemble_scheduling.step:
        if not step.model_name:
            raise ValueError(f"must specify 'model_name' in step of ensemble '{name}'")
        if not step.input_map:
            raise ValueError(f"must specify 'input_map' in step of ensemble '{name}'")
        if not step.output_map:
            raise ValueError(f"must specify 'output_map' in step of ensemble '{name}'")


def _check_tensor(tensor: Any, label: str, kind: str, model: str) -> None:
    if not tensor.name:
        raise ValueError(f"must specify 'name' for model {kind} of {model}")
    if tensor.data_type == 0:
        raise ValueError(f"{label} must specify 'data_type' for {model}")
    if _enum_name(tensor, "data_type") not in DATATYPES:
        raise ValueError(f"{label} has the unknown data_type {tensor.data_type} for {model}")
    if not tensor.dims and not tensor.HasField("reshape"):
        raise ValueError(f"{label} must specify 'dims' for {model}")
    if any(size < 1 and size != -1 for size in tensor.dims):
        raise ValueError(f"{label} dimension must be integer >= 1, or -1 to indicate a variable")
    if tensor.HasField("reshape") and _sizes(tensor.dims) != _sizes(tensor.reshape.shape):
        raise ValueError(f"{label} has different size for dims and reshape for {model}")


def _enum_name(message: Any, field: str) -> Any:
    return messages_pb.scalar(message.DESCRIPTOR.fields_by_name[field], getattr(message, field))


def _sizes(dims: Iterable[int]) -> tuple[int, int]:
    """Elements in the fixed dimensions, and how many dimensions vary."""
    elements, variable = 1, 0
    for size in dims:
        if size == -1:
            variable += 1
        else:
            elements *= size
    return elements, variable


def specifications(tensors: Iterable[Any]) -> Iterator[Specification]:
    """The inputs or outputs of a configuration in the protocol's terms."""
    for tensor in tensors:
        yield Specification(
            name=tensor.name,
            datatype=DATATYPES[_enum_name(tensor, "data_type")],
            shape=tuple(tensor.dims),
            reshape=tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None,
            optional=getattr(tensor, "optional", False),
            label_filename=getattr(tensor, "label_filename", ""),
        )
