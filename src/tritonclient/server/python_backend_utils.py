"""What a Python-backend `model.py` imports as `triton_python_backend_utils`.

The classes and functions carry the names of Triton's own module, so that models run unchanged.
Models that call other models (`InferenceRequest.exec`) and decoupled models are not served yet
and are told so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextvars import ContextVar
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from .. import datatypes
from ..datatypes import Array
from .backends import Call
from .config import DATATYPES
from .python_model_config import ModelConfig
from .python_tensor import Tensor, TritonModelException

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
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "using_decoupled_model_transaction_policy",
]

TRITONSERVER_MEMORY_CPU = 0
TRITONSERVER_MEMORY_GPU = 2
TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1

TRITON_STRING_TO_NUMPY: dict[str, Any] = {
    name: np.object_ if datatype == "BYTES" else datatypes.NUMPY[datatype].type
    for name, datatype in DATATYPES.items()
    if datatype != "BF16"
}

#: Directory of the model's version whose code is running.
model_directory: ContextVar[str] = ContextVar("model_directory", default="")


class TritonErrorCode(IntEnum):
    """The codes that an error may have, by their numbers in Triton."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7


class TritonError:
    """Why one request failed."""

    UNKNOWN: ClassVar = TritonErrorCode.UNKNOWN
    INTERNAL: ClassVar = TritonErrorCode.INTERNAL
    NOT_FOUND: ClassVar = TritonErrorCode.NOT_FOUND
    INVALID_ARG: ClassVar = TritonErrorCode.INVALID_ARG
    UNAVAILABLE: ClassVar = TritonErrorCode.UNAVAILABLE
    UNSUPPORTED: ClassVar = TritonErrorCode.UNSUPPORTED
    ALREADY_EXISTS: ClassVar = TritonErrorCode.ALREADY_EXISTS
    CANCELLED: ClassVar = TritonErrorCode.CANCELLED

    def __init__(self, message: str, code: TritonErrorCode = TritonErrorCode.INTERNAL) -> None:
        self._message = message
        self._code = TritonErrorCode(code)

    def message(self) -> str:
        return self._message

    def code(self) -> TritonErrorCode:
        return self._code

    def __str__(self) -> str:
        return self._message


class PreferredMemory:
    """Where the answer of another model should be."""

    def __init__(self, memory_type: int = TRITONSERVER_MEMORY_CPU, memory_id: int = 0) -> None:
        self.memory_type = memory_type
        self.memory_id = memory_id


class InferenceRequest:
    """One request to a model."""

    def __init__(
        self,
        model_name: str = "",
        requested_output_names: Sequence[str] = (),
        inputs: Sequence[Tensor] = (),
        request_id: str = "",
        correlation_id: int | str = 0,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: Any = None,
        parameters: dict[str, Any] | str | None = None,
    ) -> None:
        self._model = (model_name, model_version)
        self._inputs = list(inputs)
        self._flags = flags
        self._timeout = timeout
        self._correlation_id = correlation_id
        values = parameters if isinstance(parameters, dict) else json.loads(parameters or "{}")
        self._call = Call(request_id, tuple(requested_output_names), values)

    @classmethod
    def of(cls, model: str, version: int, inputs: Sequence[Tensor], call: Call) -> InferenceRequest:
        """The request that the server hands to a model."""
        known = call.parameters
        request = cls(
            model,
            inputs=inputs,
            model_version=version,
            correlation_id=known.get("sequence_id", 0),  # type: ignore[arg-type]  # checked before
            flags=TRITONSERVER_REQUEST_FLAG_SEQUENCE_START * bool(known.get("sequence_start"))
            | TRITONSERVER_REQUEST_FLAG_SEQUENCE_END * bool(known.get("sequence_end")),
            timeout=int(known.get("timeout", 0)),
        )
        request._call = call
        return request

    def inputs(self) -> list[Tensor]:
        return self._inputs

    def requested_output_names(self) -> list[str]:
        return list(self._call.outputs)

    def request_id(self) -> str:
        return self._call.id

    def model_name(self) -> str:
        return self._model[0]

    def model_version(self) -> int:
        return self._model[1]

    def correlation_id(self) -> int | str:
        return self._correlation_id

    def flags(self) -> int:
        return self._flags

    def set_flags(self, flags: int) -> None:
        self._flags = flags

    def set_release_flags(self, flags: int) -> None:
        if flags != TRITONSERVER_REQUEST_RELEASE_ALL:
            raise TritonModelException("rescheduling of requests is not supported by this server")

    def timeout(self) -> int:
        """Microseconds that the request may take; 0 for any."""
        return self._timeout

    def parameters(self) -> str:
        """The request's own parameters as JSON text."""
        standard = ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout")
        return json.dumps({k: v for k, v in self._call.parameters.items() if k not in standard})

    def trace(self) -> None:
        return None

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._call.cancelled.is_set()

    def get_response_sender(self) -> Any:
        raise TritonModelException("decoupled models are not supported by this server")

    def exec(self, decoupled: bool = False) -> Any:
        raise TritonModelException("models that call other models are not supported by this server")

    def async_exec(self, decoupled: bool = False) -> Any:
        raise TritonModelException("models that call other models are not supported by this server")


class InferenceResponse:
    """A model's answer to one request: tensors, or an error."""

    def __init__(
        self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None
    ) -> None:
        if error is not None and not isinstance(error, TritonError):
            raise TypeError(f"error is {type(error).__name__}, expected TritonError")
        for tensor in output_tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"output_tensors holds {type(tensor).__name__}, expected Tensor")
        self._tensors = list(output_tensors)
        self._error = error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


class Logger:
    """Messages of a model, which go to the server's log."""

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
    """The input of this name, or None."""
    return _by_name(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    """The output of this name, or None."""
    return _by_name(inference_response.output_tensors(), name)


def _by_name(tensors: Sequence[Tensor], name: str) -> Tensor | None:
    return next((tensor for tensor in tensors if tensor.name() == name), None)


def get_input_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The part of a configuration that describes an input, or None."""
    return _config_by_name(model_config, "input", name)


def get_output_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The part of a configuration that describes an output, or None."""
    return _config_by_name(model_config, "output", name)


def _config_by_name(config: dict[str, Any], kind: str, name: str) -> dict[str, Any] | None:
    return next((each for each in config.get(kind, ()) if each["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: dict[str, Any]) -> bool:
    """Whether a configuration lets the model answer with any number of responses."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """The numpy type of "TYPE_FP32" and its like."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]


def triton_to_numpy_type(data_type: int) -> Any:
    """The numpy type of a datatype's number in the model configuration."""
    return list(TRITON_STRING_TO_NUMPY.values())[data_type - 1]


def numpy_to_triton_type(data_type: Any) -> int:
    """The other way: a datatype's number in the model configuration."""
    return list(TRITON_STRING_TO_NUMPY.values()).index(np.dtype(data_type).type) + 1


def serialize_byte_tensor(input_tensor: Array) -> bytes | None:
    """The wire bytes of an array of texts or bytes; None when it is empty."""
    return datatypes.pack_bytes(input_tensor) if input_tensor.size else None


def deserialize_bytes_tensor(encoded_tensor: bytes) -> Array:
    """The 1-d array of bytes that wire bytes stand for."""
    count, position = 0, 0
    while position < len(encoded_tensor):
        position += 4 + int.from_bytes(encoded_tensor[position : position + 4], "little")
        count += 1
    return datatypes.unpack_bytes(encoded_tensor, count)


def get_model_dir() -> str:
    """The directory of the version whose code is running."""
    return model_directory.get()
