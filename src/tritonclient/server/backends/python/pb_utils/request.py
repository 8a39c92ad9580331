"""`InferenceRequest` of `triton_python_backend_utils`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, ClassVar

from ....jobs.host import Host
from ....jobs.job import Job, JobOptions
from ....jobs.response import Response
from .errors import TritonModelException
from .model_calls import ModelCall
from .response import InferenceResponse, InferenceResponseSender, response_of, snapshots
from .tensor import Tensor

TRITONSERVER_MEMORY_CPU = 0
TRITONSERVER_MEMORY_GPU = 2
TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2


class PreferredMemory:
    """Where the response of another model should be; this server has only CPU memory."""

    def __init__(self, memory_type: int = TRITONSERVER_MEMORY_CPU, memory_id: int = 0) -> None:
        self.memory_type = memory_type
        self.memory_id = memory_id


class InferenceRequest:
    """A request to a model, made by a client or by another model."""

    #: The server, in the subclass that `module.of_model` makes for a model.
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
        self._options = JobOptions(
            request_id, tuple(requested_output_names), dict(parameters or {})
        )
        self._sender: InferenceResponseSender | None = None
        self._uses_sender = False

    @classmethod
    def of(cls, job: Job) -> InferenceRequest:
        """Return the request of a job."""
        options, model = job.options, job.model
        known = options.parameters
        request = cls(
            model_name=model.name,
            inputs=[Tensor.of(*tensor) for tensor in job.inputs],
            model_version=model.version,
            correlation_id=known.get("sequence_id", 0),  # type: ignore[arg-type]  # checked before
            flags=TRITONSERVER_REQUEST_FLAG_SEQUENCE_START * bool(known.get("sequence_start"))
            | TRITONSERVER_REQUEST_FLAG_SEQUENCE_END * bool(known.get("sequence_end")),
            timeout=int(known.get("timeout", 0)),
        )
        request._options = options
        request._sender = InferenceResponseSender(job)
        return request

    def inputs(self) -> list[Tensor]:
        return self._inputs

    def requested_output_names(self) -> list[str]:
        return list(self._options.outputs)

    def request_id(self) -> str:
        return self._options.id

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
        """Return the timeout in microseconds; 0 for none."""
        return self._timeout

    def parameters(self) -> str:
        """Return the request's custom parameters as JSON text."""
        standard = ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout")
        return json.dumps({k: v for k, v in self._options.parameters.items() if k not in standard})

    def trace(self) -> None:
        return None

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

    def exec(self, decoupled: bool = False) -> InferenceResponse | Iterator[InferenceResponse]:
        """Execute this request on another model and return its response.

        Args:
            decoupled: True to accept a decoupled model and return an iterator of responses, of
                which the last may be empty.
        """
        call = self._to_model()
        return map(response_of, call.responses()) if decoupled else response_of(call.response())

    def async_exec(self, decoupled: bool = False) -> Awaitable[Any]:
        """Start `exec` and return an awaitable of its result, for the running event loop."""
        call = self._to_model()
        if decoupled:
            return asyncio.ensure_future(_ready(map(response_of, call.responses())))
        return asyncio.ensure_future(_later(call.response_future()))

    def _to_model(self) -> ModelCall:
        if self.host is None:
            raise TritonModelException(
                "models can be called by requests whose class was imported when the model was "
                "loaded; import triton_python_backend_utils at the top of the model's file"
            )
        parameters = dict(self._options.parameters)
        if self._correlation_id:
            parameters["sequence_id"] = self._correlation_id
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            parameters["sequence_start"] = True
        if self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_END:
            parameters["sequence_end"] = True
        if self._timeout:
            parameters["timeout"] = self._timeout
        options = JobOptions(self._options.id, self._options.outputs, parameters)
        return ModelCall(self.host, *self._model, snapshots(self._inputs), options)


async def _ready(responses: Iterator[InferenceResponse]) -> Iterator[InferenceResponse]:
    return responses


async def _later(response: Awaitable[Response]) -> InferenceResponse:
    return response_of(await response)
