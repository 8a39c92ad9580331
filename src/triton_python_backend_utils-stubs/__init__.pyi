"""Types of `triton_python_backend_utils`, the module that Triton gives to `model.py`.

The module itself is not in this package: Triton has it, and the embedded server makes it for its
models. Parameters without a name in Triton are positional here.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from enum import IntEnum
from typing import Any, ClassVar, Final, Literal, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

_Parameter: TypeAlias = bool | int | str

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START: Final = 1
"""The request begins a sequence."""
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END: Final = 2
"""The request ends a sequence."""
TRITONSERVER_REQUEST_RELEASE_ALL: Final = 1
"""The request ends with this execution."""
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE: Final = 2
"""The request is executed again."""
TRITONSERVER_RESPONSE_COMPLETE_FINAL: Final = 1
"""No response follows this one."""
TRITON_STRING_TO_NUMPY: Final[dict[str, Any]]
"""Numpy types by names such as TYPE_FP32."""

class _MemoryType(IntEnum):
    TRITONSERVER_MEMORY_GPU = 0
    TRITONSERVER_MEMORY_CPU = 1

TRITONSERVER_MEMORY_CPU: Final = _MemoryType.TRITONSERVER_MEMORY_CPU
"""Memory of the CPU."""
TRITONSERVER_MEMORY_GPU: Final = _MemoryType.TRITONSERVER_MEMORY_GPU
"""Memory of a GPU."""

class TritonModelException(Exception):
    """Raised by a model to fail all requests of an `execute` call."""

class _ErrorCode(IntEnum):
    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7

class TritonError:
    """The error of one request."""

    UNKNOWN: ClassVar[_ErrorCode]
    """A failure without a kind."""
    INTERNAL: ClassVar[_ErrorCode]
    """A failure of the model."""
    NOT_FOUND: ClassVar[_ErrorCode]
    """Something is not there."""
    INVALID_ARG: ClassVar[_ErrorCode]
    """The request is wrong."""
    UNAVAILABLE: ClassVar[_ErrorCode]
    """Not possible at this time."""
    UNSUPPORTED: ClassVar[_ErrorCode]
    """Not possible with this model."""
    ALREADY_EXISTS: ClassVar[_ErrorCode]
    """Something is there already."""
    CANCELLED: ClassVar[_ErrorCode]
    """The request was cancelled."""
    def __init__(self, message: str, code: _ErrorCode = ...) -> None: ...
    def message(self) -> str:
        """Return the text."""
    def code(self) -> _ErrorCode:
        """Return the code."""

class Tensor:
    """A named tensor."""

    def __init__(self, name: str, array: NDArray[Any], /) -> None: ...
    def name(self) -> str:
        """Return the name."""
    def shape(self) -> list[int]:
        """Return the lengths of the dimensions."""
    def triton_dtype(self) -> Any:
        """Return the datatype."""
    def as_numpy(self) -> NDArray[Any]:
        """Return an array of the tensor's memory; numpy has no BF16."""
    def is_cpu(self) -> bool:
        """Return True if the tensor is in CPU memory."""
    def to_dlpack(self) -> Any:
        """Return a DLPack capsule of the tensor's memory."""
    @staticmethod
    def from_dlpack(name: str, tensor: Any, /) -> Tensor:
        """Return a tensor of the memory of a DLPack capsule or of an object with `__dlpack__`."""
    def __dlpack__(self, stream: Any = None) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class InferenceResponse:
    """A response to one request: output tensors or an error."""

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = ...,
        error: TritonError | None = None,
        parameters: Mapping[str, _Parameter] | None = None,
    ) -> None: ...
    def output_tensors(self) -> list[Tensor]:
        """Return the output tensors."""
    def has_error(self) -> bool:
        """Return True if this is an error."""
    def error(self) -> TritonError | None:
        """Return the error, or None."""
    def parameters(self) -> str:
        """Return the parameters as JSON text."""

@final
class _InferenceResponseSender:
    """Sends the responses to one request, from any thread."""

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response; with `TRITONSERVER_RESPONSE_COMPLETE_FINAL`, end the responses."""
    def is_cancelled(self) -> bool:
        """Return True if the client no longer waits for responses."""

@final
class _InferenceTrace:
    """The trace of a request."""

    def get_context(self) -> str | None:
        """Return the OpenTelemetry context as JSON text, or None."""

@final
class _ResponseIterator(Iterator[InferenceResponse], AsyncIterator[InferenceResponse]):
    """The responses of another model as they arrive."""

    def __iter__(self) -> _ResponseIterator: ...
    def __next__(self) -> InferenceResponse: ...
    def __aiter__(self) -> _ResponseIterator: ...
    async def __anext__(self) -> InferenceResponse: ...
    def cancel(self) -> None:
        """Cancel the request."""

class PreferredMemory:
    """Where the response of another model should be."""

    def __init__(
        self, preferred_memory_type: _MemoryType, preferred_device_id: int = 0
    ) -> None: ...

class InferenceRequest:
    """A request to a model, made by a client or by another model."""

    def __init__(
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        *,
        inputs: Sequence[Tensor],
        requested_output_names: Iterable[str],
        model_name: str,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: _InferenceTrace | None = None,
        parameters: Mapping[str, _Parameter] | None = None,
    ) -> None: ...
    def inputs(self) -> list[Tensor]:
        """Return the input tensors."""
    def requested_output_names(self) -> set[str]:
        """Return the names of the outputs that the client wants."""
    def request_id(self) -> str:
        """Return the client's name for the request."""
    def correlation_id(self) -> int | str:
        """Return the sequence; 0 for none."""
    def flags(self) -> int:
        """Return the flags of the sequence."""
    def set_flags(self, flags: int, /) -> None:
        """Set the flags of the sequence."""
    def set_release_flags(self, flags: int, /) -> None:
        """Set what follows `execute`: the end of the request, or another execution."""
    def timeout(self) -> int:
        """Return the timeout in microseconds; 0 for none."""
    def parameters(self) -> str:
        """Return the request's custom parameters as JSON text."""
    def trace(self) -> _InferenceTrace:
        """Return the trace of the request."""
    def is_cancelled(self) -> bool:
        """Return True if the client no longer waits for a response."""
    def get_response_sender(self) -> _InferenceResponseSender:
        """Return the response sender, which is usable after `execute` has returned."""
    @overload
    def exec(self, decoupled: Literal[False] = False) -> InferenceResponse: ...
    @overload
    def exec(self, decoupled: Literal[True]) -> _ResponseIterator:
        """Execute this request on another model and return its response or responses."""
    @overload
    def async_exec(self, decoupled: Literal[False] = False) -> Awaitable[InferenceResponse]: ...
    @overload
    def async_exec(self, decoupled: Literal[True]) -> Awaitable[_ResponseIterator]:
        """Start `exec` and return an awaitable of its result."""

@final
class _Metric:
    """One value of a family."""

    def increment(self, value: float, /) -> None:
        """Add a value; not to a HISTOGRAM, and to a COUNTER none below 0."""
    def set(self, value: float, /) -> None:
        """Set the value of a GAUGE."""
    def observe(self, value: float, /) -> None:
        """Count a value of a HISTOGRAM."""
    def value(self) -> float:
        """Return the value; a HISTOGRAM has none."""

class _MetricKind(IntEnum):
    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2

class MetricFamily:
    """Metrics of one name and kind."""

    COUNTER: ClassVar[_MetricKind]
    """A value that grows."""
    GAUGE: ClassVar[_MetricKind]
    """A value that is set."""
    HISTOGRAM: ClassVar[_MetricKind]
    """Counts of values in buckets."""
    def __init__(self, name: str, description: str, kind: _MetricKind) -> None: ...
    def Metric(
        self, labels: dict[str, str] | None = None, buckets: list[float] | None = None
    ) -> _Metric:
        """Return the metric with these labels; a HISTOGRAM needs buckets."""

class Logger:
    """The log of the server."""

    class LogLevel(IntEnum):
        """Levels of the log."""

        INFO = 0
        WARNING = 1
        ERROR = 2
        VERBOSE = 3

    INFO: ClassVar[LogLevel]
    """The level of information."""
    WARNING: ClassVar[LogLevel]
    """The level of warnings."""
    ERROR: ClassVar[LogLevel]
    """The level of errors."""
    VERBOSE: ClassVar[LogLevel]
    """The level of details."""
    @staticmethod
    def log(message: str, level: LogLevel = ...) -> None:
        """Log a text."""
    @staticmethod
    def log_info(message: str) -> None:
        """Log an information."""
    @staticmethod
    def log_warn(message: str) -> None:
        """Log a warning."""
    @staticmethod
    def log_error(message: str) -> None:
        """Log an error."""
    @staticmethod
    def log_verbose(message: str) -> None:
        """Log a detail."""

class ModelConfig:
    """The configuration that `auto_complete_config` completes."""

    def __init__(self, model_config: str) -> None: ...
    def as_dict(self) -> dict[str, Any]:
        """Return the configuration with all changes."""
    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch size."""
    def set_dynamic_batching(self) -> None:
        """Enable dynamic batching."""
    def set_model_transaction_policy(self, transaction_policy_dict: dict[str, Any]) -> None:
        """Set whether the model is decoupled."""
    def add_input(self, input: dict[str, Any]) -> None:
        """Add an input: its name, data_type, dims and perhaps optional."""
    def add_output(self, output: dict[str, Any]) -> None:
        """Add an output: its name, data_type and dims."""

def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | None:
    """Return the input with this name, or None."""

def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    """Return the output with this name, or None."""

def get_input_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the part of a configuration that describes an input, or None."""

def get_output_config_by_name(model_config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the part of a configuration that describes an output, or None."""

def using_decoupled_model_transaction_policy(model_config: dict[str, Any]) -> bool:
    """Return True if a configuration declares a decoupled model."""

def triton_string_to_numpy(triton_type_string: str) -> Any:
    """Return the numpy type of a name such as TYPE_FP32."""

def triton_to_numpy_type(data_type: int) -> Any:
    """Return the numpy type of a datatype's number; None if it has none."""

def numpy_to_triton_type(data_type: Any) -> int | None:
    """Return the number of a numpy type; None if it has none."""

def serialize_byte_tensor(input_tensor: NDArray[Any]) -> bytes | tuple[()] | None:
    """Return the BYTES encoding of an array of objects."""

def deserialize_bytes_tensor(encoded_tensor: bytes) -> NDArray[np.object_]:
    """Return the array that a BYTES encoding stands for."""

def get_model_dir() -> str:
    """Return the directory of the model's version."""

def load_model(model_name: str, config: str = "", files: Mapping[str, bytes] | None = None) -> None:
    """Load a model, perhaps with another configuration and other files."""

def unload_model(model_name: str, unload_dependents: bool = False) -> None:
    """Unload a model."""

def is_model_ready(model_name: str, model_version: str = "") -> bool:
    """Return True if a model is ready."""
