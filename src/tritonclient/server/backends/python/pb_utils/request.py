"""Requests, responses and errors as Python-backend models see them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from ..... import datatypes, errors
from .....datatypes import Array
from ....jobs.host import Host
from ....jobs.job import Answer, Call, Job
from ....jobs.tensor import Tensor as CoreTensor
from .model_calls import ModelCall
from .tensor import Tensor, TritonModelException

TRITONSERVER_MEMORY_CPU = 0
TRITONSERVER_MEMORY_GPU = 2
TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1


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


_STATUS_OF: dict[int, tuple[type[errors.InferenceServerException], str]] = {
    TritonError.UNKNOWN: (errors.Unknown, "500"),
    TritonError.INTERNAL: (errors.Internal, "500"),
    TritonError.NOT_FOUND: (errors.NotFound, "404"),
    TritonError.INVALID_ARG: (errors.InvalidArgument, "400"),
    TritonError.UNAVAILABLE: (errors.Unavailable, "503"),
    TritonError.UNSUPPORTED: (errors.Unimplemented, "501"),
    TritonError.ALREADY_EXISTS: (errors.AlreadyExists, "409"),
    TritonError.CANCELLED: (errors.Cancelled, "499"),
}


class PreferredMemory:
    """Where the answer of another model should be."""

    def __init__(self, memory_type: int = TRITONSERVER_MEMORY_CPU, memory_id: int = 0) -> None:
        self.memory_type = memory_type
        self.memory_id = memory_id


class InferenceRequest:
    """One request to a model, which the server or another model made."""

    #: The server, in the class that a model's code sees.
    host: ClassVar[Host | None] = None

    def __init__(
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        inputs: Sequence[Tensor] = (),
        requested_output_names: Sequence[str] = (),
        model_name: str = "",
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: Any = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self._model = (model_name, model_version)
        self._inputs = list(inputs)
        self._flags = flags
        self._timeout = timeout
        self._correlation_id = correlation_id
        for value in (parameters or {}).values():
            if type(value) not in (bool, int, str):
                raise TritonModelException(
                    f"Expect parameters values to have type bool/int/str, found type {type(value)}"
                )
        self._call = Call(request_id, tuple(requested_output_names), dict(parameters or {}))
        self._sender: InferenceResponseSender | None = None
        self._uses_sender = False

    @classmethod
    def of(cls, job: Job) -> InferenceRequest:
        """The request that the server hands to a model."""
        call, model = job.call, job.model
        known = call.parameters
        request = cls(
            model_name=model.name,
            inputs=[Tensor.of(*tensor) for tensor in job.inputs],
            model_version=model.version,
            correlation_id=known.get("sequence_id", 0),  # type: ignore[arg-type]  # checked before
            flags=TRITONSERVER_REQUEST_FLAG_SEQUENCE_START * bool(known.get("sequence_start"))
            | TRITONSERVER_REQUEST_FLAG_SEQUENCE_END * bool(known.get("sequence_end")),
            timeout=int(known.get("timeout", 0)),
        )
        request._call = call
        request._sender = InferenceResponseSender(job)
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
        return self._sender is not None and self._sender.is_cancelled()

    def get_response_sender(self) -> InferenceResponseSender:
        """What sends the responses to this request, also after `execute` has returned."""
        if self._sender is None:
            raise TritonModelException("a request that a model made has no response sender")
        self._uses_sender = True
        return self._sender

    def uses_sender(self) -> bool:
        """Whether the model has asked for the sender, and so is to use it."""
        return self._uses_sender

    def exec(self, decoupled: bool = False) -> InferenceResponse | Iterator[InferenceResponse]:
        """Let another model execute this request.

        Args:
            decoupled: the model may be a decoupled one. The responses are then iterated over; the
                last may be empty.
        """
        call = self._to_model()
        return map(_response, call.answers()) if decoupled else _response(call.answer())

    def async_exec(self, decoupled: bool = False) -> Awaitable[Any]:
        """The same, to be awaited in an event loop."""
        call = self._to_model()
        if decoupled:
            return asyncio.ensure_future(_ready(map(_response, call.answers())))
        return asyncio.ensure_future(_later(call.answer_later()))

    def _to_model(self) -> ModelCall:
        if self.host is None:
            raise TritonModelException(
                "models can be called by requests whose class was imported when the model was "
                "loaded; import triton_python_backend_utils at the top of the model's file"
            )
        parameters = dict(self._call.parameters)
        if self._correlation_id:
            parameters["sequence_id"] = self._correlation_id
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            parameters["sequence_start"] = True
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_END:
            parameters["sequence_end"] = True
        if self._timeout:
            parameters["timeout"] = self._timeout
        call = Call(self._call.id, self._call.outputs, parameters)
        return ModelCall(self.host, *self._model, snapshots(self._inputs), call)


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


class InferenceResponseSender:
    """Sends the responses to one request; any thread may use it.

    A decoupled model sends any number of them, another model exactly one.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._responses = 0
        self._closed = False

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, or with the flag of the last one that there is no other.

        Waits while the reader is slow. Raises TritonModelException when nothing may be sent.
        """
        if response is not None and not isinstance(response, InferenceResponse):
            raise TypeError(f"response is {type(response).__name__}, expected InferenceResponse")
        final = flags == TRITONSERVER_RESPONSE_COMPLETE_FINAL
        with self._lock:
            self._check(response, flags)
            self._closed = final
            self._responses += response is not None
        outcome = result(response) if response is not None else None
        if isinstance(outcome, errors.InferenceServerException):
            self._job.send(error=outcome, final=final)
        else:
            self._job.send(outcome, final=final)

    def _check(self, response: InferenceResponse | None, flags: int) -> None:
        why = ""
        if flags not in (0, TRITONSERVER_RESPONSE_COMPLETE_FINAL):
            why = "Unable to send response. Unsupported flag provided."
        elif response is None and not flags:
            why = (
                "Inference Response object must be provided when the response flags is set to zero."
            )
        elif self._closed:
            why = "Unable to send response. Response sender has been closed."
        elif not self._job.model.decoupled:
            if response is None and not self._responses:
                why = (
                    "Unable to send response. Non-decoupled model cannot send complete final "
                    "before sending a response."
                )
            elif response is not None and self._responses:
                why = (
                    "Unable to send response. Non-decoupled model cannot send more than one "
                    "response."
                )
        if why:
            raise TritonModelException(why)

    def is_cancelled(self) -> bool:
        """Whether nobody waits for further responses."""
        return self._job.cancelled


def result(response: InferenceResponse) -> list[CoreTensor] | errors.InferenceServerException:
    """A response in the server's own terms."""
    error = response.error()
    if error is not None:
        kind, status = _STATUS_OF[error.code()]
        return kind(error.message(), status)
    return snapshots(response.output_tensors())


def snapshots(tensors: Iterable[Tensor]) -> list[CoreTensor]:
    """Tensors in the server's own terms.

    They are copied, because a model may write to its arrays again while they are on their way.
    """
    return [
        CoreTensor(tensor.name(), tensor.triton_dtype(), _copy(tensor._array)) for tensor in tensors
    ]


def _copy(array: Array) -> Array:
    if array.dtype.kind not in "OSU":
        return np.array(array, order="C")
    return datatypes.unpack(datatypes.pack_bytes(array), "BYTES", array.shape)


async def _ready(responses: Iterator[InferenceResponse]) -> Iterator[InferenceResponse]:
    return responses


async def _later(answer: Awaitable[Answer]) -> InferenceResponse:
    return _response(await answer)


def _response(answer: Answer) -> InferenceResponse:
    """An answer of the server as a model sees it."""
    error = answer.error
    if error is None:
        return InferenceResponse([Tensor.of(*tensor) for tensor in answer.outputs or ()])
    codes = (code for code, (kind, _) in _STATUS_OF.items() if isinstance(error, kind))
    code = next(codes, TritonError.UNKNOWN)
    return InferenceResponse(error=TritonError(error.message() or "", TritonErrorCode(code)))
