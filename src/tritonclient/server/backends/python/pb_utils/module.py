"""The module that `model.py` imports as `triton_python_backend_utils`.

Classes and functions have the names of Triton's module, so models run unchanged. `of_model` makes
a copy of this module for each model, with functions that need the model or the server.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ..... import datatypes, errors, messages
from .....datatypes import Array
from ....config.specification import DATATYPES
from ....jobs.host import Host
from .errors import TritonError, TritonModelException
from .metrics import MetricFamily
from .model_config import ModelConfig
from .request import (
    TRITONSERVER_MEMORY_CPU,
    TRITONSERVER_MEMORY_GPU,
    TRITONSERVER_REQUEST_FLAG_SEQUENCE_END,
    TRITONSERVER_REQUEST_FLAG_SEQUENCE_START,
    TRITONSERVER_REQUEST_RELEASE_ALL,
    TRITONSERVER_REQUEST_RELEASE_RESCHEDULE,
    InferenceRequest,
    PreferredMemory,
)
from .response import (
    TRITONSERVER_RESPONSE_COMPLETE_FINAL,
    InferenceResponse,
    as_bytes,
)
from .tensor import Tensor

__all__ = [
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "using_decoupled_model_transaction_policy",
]

_OF_DATATYPE: dict[str, Any] = {"BYTES": np.object_, "BOOL": bool}
TRITON_STRING_TO_NUMPY: dict[str, Any] = {
    name: _OF_DATATYPE.get(datatype) or datatypes.NUMPY[datatype].type
    for name, datatype in DATATYPES.items()
    if datatype != "BF16"
}


class Logger:
    """The log of models: the logger "tritonclient.server.models"."""

    class LogLevel(IntEnum):
        INFO = 0
        WARNING = 1
        ERROR = 2
        VERBOSE = 3

    INFO: ClassVar = LogLevel.INFO
    WARNING: ClassVar = LogLevel.WARNING
    ERROR: ClassVar = LogLevel.ERROR
    VERBOSE: ClassVar = LogLevel.VERBOSE

    _logger: ClassVar = logging.getLogger("tritonclient.server.models")
    _levels: ClassVar = (logging.INFO, logging.WARNING, logging.ERROR, logging.DEBUG)

    @staticmethod
    def log(message: str, level: LogLevel = LogLevel.INFO) -> None:
        """Log a text; TypeError for an argument of another type."""
        if not isinstance(message, (str, bytes)):
            raise TypeError(f"message is {type(message).__name__}, expected str")
        if not isinstance(level, Logger.LogLevel):
            raise TypeError(f"level is {level!r}, expected a level such as Logger.WARNING")
        Logger._logger.log(Logger._levels[level], "%s", message)

    @staticmethod
    def log_info(message: str) -> None:
        Logger.log(message, Logger.INFO)

    @staticmethod
    def log_warn(message: str) -> None:
        Logger.log(message, Logger.WARNING)

    @staticmethod
    def log_error(message: str) -> None:
        Logger.log(message, Logger.ERROR)

    @staticmethod
    def log_verbose(message: str) -> None:
        Logger.log(message, Logger.VERBOSE)


# Functions


def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | None:
    """Return the input with this name, or None."""
    return _by_name(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    """Return the output with this name, or None."""
    return _by_name(inference_response.output_tensors(), name)


def _by_name(tensors: Sequence[Tensor], name: str) -> Tensor | None:
    return next((tensor for tensor in tensors if tensor.name() == name), None)


def get_input_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the part of a configuration that describes an input, or None."""
    return _config_by_name(model_config, "input", name)


def get_output_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the part of a configuration that describes an output, or None."""
    return _config_by_name(model_config, "output", name)


def _config_by_name(config: dict[str, Any], kind: str, name: str) -> dict[str, Any] | None:
    return next((each for each in config.get(kind, ()) if each["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: dict[str, Any]) -> bool:
    """Return True if a configuration declares a decoupled model."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """Return the numpy type of a datatype's name in the configuration, such as "TYPE_FP32"."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]


def triton_to_numpy_type(data_type: int) -> Any:
    """Return the numpy type of a datatype's number in the configuration; None if it has none."""
    kinds = list(TRITON_STRING_TO_NUMPY.values())
    kind = kinds[data_type - 1] if 1 <= data_type <= len(kinds) else None
    return np.bool_ if kind is bool else kind


def numpy_to_triton_type(data_type: Any) -> int | None:
    """Return the number in the configuration of a numpy type; None if it has none."""
    kind = np.dtype(data_type).type
    if kind is np.bytes_:
        kind = np.object_
    known = [np.dtype(each).type for each in TRITON_STRING_TO_NUMPY.values()]
    return known.index(kind) + 1 if kind in known else None


def serialize_byte_tensor(input_tensor: Array) -> bytes | tuple[()] | None:
    """Return the BYTES encoding of an array of objects or bytes.

    It is the text of elements that are not bytes. An empty array gives (), other dtypes None.
    """
    if input_tensor.size == 0:
        return ()
    if input_tensor.dtype.kind not in "OS":
        return None
    return datatypes.pack_bytes(as_bytes(input_tensor))


def deserialize_bytes_tensor(encoded_tensor: bytes) -> Array:
    """Return the 1-d object array that a BYTES encoding stands for."""
    count, position = 0, 0
    while position < len(encoded_tensor):
        position += 4 + int.from_bytes(encoded_tensor[position : position + 4], "little")
        count += 1
    return datatypes.unpack_bytes(encoded_tensor, count)


# Functions that need the model or the server


@contextlib.contextmanager
def _failing(what: str) -> Iterator[None]:
    """Raise errors of the server as TritonModelException, which models expect."""
    try:
        yield
    except errors.InferenceServerException as error:
        raise TritonModelException(f"{what}: {error.message()}") from error


def of_model(host: Host, directory: str) -> ModuleType:
    """Return a copy of this module for one model.

    Args:
        host: the server.
        directory: the directory of the model's version.
    """
    request = type("InferenceRequest", (InferenceRequest,), {"host": host})
    family = type("MetricFamily", (MetricFamily,), {"metrics": host.metrics()})

    def get_model_dir() -> str:
        return directory

    def load_model(
        model_name: str, config: str = "", files: Mapping[str, bytes] | None = None
    ) -> None:
        with _failing("Failed to load model"):
            host.handle(messages.LoadModel(model_name, config or None, files or {}))

    def unload_model(model_name: str, unload_dependents: bool = False) -> None:
        with _failing("Failed to unload model"):
            host.handle(messages.UnloadModel(model_name, unload_dependents))

    def is_model_ready(model_name: str, model_version: str = "") -> bool:
        with _failing("Failed to check model readiness"):
            return host.handle(messages.IsModelReady(model_name, model_version))

    module = ModuleType("triton_python_backend_utils", __doc__)
    module.__dict__.update({name: globals()[name] for name in __all__})
    for each in (request, family, get_model_dir, load_model, unload_model, is_model_ready):
        setattr(module, each.__name__, each)
    return module


def close(module: ModuleType) -> None:
    """Release what the model holds through its copy of this module."""
    module.MetricFamily.metrics.close()


def __getattr__(name: str) -> Any:
    if name in ("get_model_dir", "load_model", "unload_model", "is_model_ready"):
        raise AttributeError(f"{name} is known to those who import this when their model is loaded")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
