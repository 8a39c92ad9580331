"""`InferenceRequest` of `triton_python_backend_utils`."""

from __future__ import annotations

import json
import operator
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, ClassVar

from .....messages import Parameter
from ....jobs.host import Host
from ....jobs.job import Job, JobOptions
from .errors import TritonModelException
from .model_calls import ModelCall
from .parameters import checked
from .response import InferenceResponse, InferenceResponseSender, response_of, snapshots
from .response_iterator import ResponseIterator
from .tensor import Tensor, text

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2

#: Parameters of a request that it has other methods for.
_STANDARD = ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout")


class MemoryType(IntEnum):
    """Kinds of memory, with Triton's numbers."""

    TRITONSERVER_MEMORY_GPU = 0
    TRITONSERVER_MEMORY_CPU = 1


TRITONSERVER_MEMORY_CPU = MemoryType.TRITONSERVER_MEMORY_CPU
TRITONSERVER_MEMORY_GPU = MemoryType.TRITONSERVER_MEMORY_GPU


class PreferredMemory:
    """Where the response of another model should be; this server has only CPU memory.

    Args:
        preferred_memory_type: `TRITONSERVER_MEMORY_CPU` or `TRITONSERVER_MEMORY_GPU`.
        preferred_device_id: number of the device.

    Raises:
        TypeError: an argument has another type.
    """

    def __init__(self, preferred_memory_type: MemoryType, preferred_device_id: int = 0) -> None:
        _check("preferred_memory_type", preferred_memory_type, MemoryType)
        self._type = preferred_memory_type
        self._id = operator.index(preferred_device_id)


class InferenceTrace:
    """The trace of a request. Nothing is traced yet, so it has no context."""

    def get_context(self) -> str | None:
        """Return the OpenTelemetry context as JSON text, or None."""
        return None


_compact = json.JSONEncoder(separators=(",", ":"))
_NO_TRACE = InferenceTrace()


class InferenceRequest:
    """A request to a model, made by a client or by another model.

    Args:
        correlation_id: the sequence, as int or str.
        inputs: a list of `Tensor`.
        requested_output_names: names of outputs; all if empty.
        model_name: the name of the model, as str or bytes.
        model_version: -1 for the highest.
        flags: `TRITONSERVER_REQUEST_FLAG_SEQUENCE_START`, `..._END`, both or none.
        timeout: microseconds, 0 for none.
        preferred_memory: accepted; responses are in CPU memory.
        trace: accepted; nothing is traced.
        parameters: values of type bool, int or str by name.

    Raises:
        TypeError: an argument is missing or has another type.
        TritonModelException: the correlation ID or a parameter has another type.
    """

    #: False until the model is initialized, and while it is finalized.
    may_call: ClassVar[bool] = False
    #: The server, in the subclass that `module.of_model` makes for a model.
    host: ClassVar[Host | None] = None

    def __init__(
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        inputs: Sequence[Tensor] | None = None,
        requested_output_names: Iterable[str] | None = None,
        model_name: str | None = None,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: InferenceTrace | None = None,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        if inputs is None or requested_output_names is None or model_name is None:
            raise TypeError("inputs, requested_output_names and model_name are required")
        if isinstance(requested_output_names, str):
            raise TypeError("requested_output_names is a str, expected a list of str")
        for tensor in inputs:
            _check("an element of inputs", tensor, Tensor)
        if type(correlation_id) not in (int, str):
            raise TritonModelException("Correlation ID must be integer or string")
        if preferred_memory is not None:
            _check("preferred_memory", preferred_memory, PreferredMemory)
        if trace is not None:
            _check("trace", trace, InferenceTrace)
        names = tuple(text("a requested output name", each) for each in requested_output_names)
        self._model = (text("model_name", model_name), _number("model_version", model_version))
        self._inputs = list(inputs)
        self._flags = _number("flags", flags, 0, 32)
        self._timeout = _number("timeout", timeout, 0, 64)
        if type(correlation_id) is int:
            _number("correlation_id", correlation_id, 0, 64)
        self._correlation_id = correlation_id
        self._options = JobOptions(text("request_id", request_id), names, checked(parameters))
        self._trace = trace or _NO_TRACE
        self._sender: InferenceResponseSender | None = None
        self._uses_sender = False
        self._release = TRITONSERVER_REQUEST_RELEASE_ALL

    @classmethod
    def of(cls, job: Job) -> InferenceRequest:
        """Return the request of a job."""
        options = job.options
        known = options.parameters
        request = cls.__new__(cls)
        request._model = (job.model.name, job.model.version)
        request._inputs = [Tensor.of(*tensor) for tensor in job.inputs]
        request._correlation_id = known.get("sequence_id", 0)  # type: ignore[assignment]  # checked before
        request._flags = TRITONSERVER_REQUEST_FLAG_SEQUENCE_START * bool(
            known.get("sequence_start")
        ) | TRITONSERVER_REQUEST_FLAG_SEQUENCE_END * bool(known.get("sequence_end"))
        request._timeout = int(known.get("timeout", 0))
        request._options = options
        request._trace = _NO_TRACE
        request._sender = InferenceResponseSender(job)
        request._uses_sender = False
        request._release = TRITONSERVER_REQUEST_RELEASE_ALL
        return request

    def inputs(self) -> list[Tensor]:
        return self._inputs

    def requested_output_names(self) -> set[str]:
        return set(self._options.outputs)

    def request_id(self) -> str:
        return self._options.id

    def correlation_id(self) -> int | str:
        return self._correlation_id

    def flags(self) -> int:
        return self._flags

    def set_flags(self, flags: int) -> None:
        self._flags = flags

    def set_release_flags(self, flags: int) -> None:
        """Set what follows `execute`: `TRITONSERVER_REQUEST_RELEASE_ALL` or `..._RESCHEDULE`.

        A rescheduled request is executed again. `execute` returns None for it, and does not send
        its last response.

        Raises:
            TritonModelException: the flags are unknown, or a model made the request.
        """
        if flags not in (TRITONSERVER_REQUEST_RELEASE_ALL, TRITONSERVER_REQUEST_RELEASE_RESCHEDULE):
            raise TritonModelException(f"unknown release flags: {flags}")
        if self._sender is None:
            raise TritonModelException("release flags are for requests that `execute` receives")
        self._release = flags

    def is_rescheduled(self) -> bool:
        """Return True if the model wants to execute this request again."""
        return self._release == TRITONSERVER_REQUEST_RELEASE_RESCHEDULE

    def timeout(self) -> int:
        """Return the timeout in microseconds; 0 for none."""
        return self._timeout

    def parameters(self) -> str:
        """Return the request's custom parameters as JSON text."""
        known = {k: v for k, v in self._options.parameters.items() if k not in _STANDARD}
        return _compact.encode({**known, **self._options.custom})

    def trace(self) -> InferenceTrace:
        return self._trace

    def is_cancelled(self) -> bool:
        """Return True if the client no longer waits for a response."""
        return self._sender is not None and self._sender.is_cancelled()

    def get_response_sender(self) -> InferenceResponseSender:
        """Return the response sender of this request; usable after `execute` has returned."""
        if self._sender is None:
            raise TritonModelException("a request that a model made has no response sender")
        self._uses_sender = True
        return self._sender

    def uses_sender(self) -> bool:
        """Return True if the model took the response sender."""
        return self._uses_sender

    def exec(self, decoupled: bool = False) -> InferenceResponse | ResponseIterator:
        """Execute this request on another model and return its response.

        Args:
            decoupled: True to accept a decoupled model and return an iterator of responses, of
                which the last may be empty.
        """
        call = self._to_model()
        if decoupled:
            return ResponseIterator(call.responses(), call.cancel)
        return response_of(call.response())

    def async_exec(self, decoupled: bool = False) -> Awaitable[Any]:
        """Start `exec` and return an awaitable of its result, for the running event loop."""
        return self._to_model().awaitable(decoupled)

    def _to_model(self) -> ModelCall:
        if self.host is None:
            raise TritonModelException(
                "models can be called by requests whose class was imported when the model was "
                "loaded; import triton_python_backend_utils at the top of the model's file"
            )
        if not self.may_call:
            raise TritonModelException("BLS is only supported during the 'execute' function.")
        parameters = dict(self._options.parameters)
        if self._correlation_id:
            parameters["sequence_id"] = self._correlation_id
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            parameters["sequence_start"] = True
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_END:
            parameters["sequence_end"] = True
        if self._timeout:
            parameters["timeout"] = self._timeout
        known = self._options
        options = JobOptions(known.id, known.outputs, parameters, custom=known.custom)
        return ModelCall(self.host, *self._model, snapshots(self._inputs), options)


def _number(name: str, value: Any, lowest: int = -(1 << 63), bits: int = 63) -> int:
    """Return a number that an argument is; TypeError if it is none, or not in Triton's range."""
    number = operator.index(value)
    if not lowest <= number < 1 << bits:
        raise TypeError(f"{name} is {number:#x}, expected an int from {lowest:#x} to 2**{bits} - 1")
    return number


def _check(name: str, value: object, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"{name} is {value!r:.100}, expected {expected.__name__}")
