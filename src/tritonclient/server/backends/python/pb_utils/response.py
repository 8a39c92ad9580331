"""Responses and response senders of `triton_python_backend_utils`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..... import errors
from .....datatypes import Array
from .....messages import Parameter
from .....operations import NO_PARAMETERS
from ....jobs.job import Job
from ....jobs.response import Response
from ....jobs.tensor import Tensor as CoreTensor
from .errors import ERROR_OF_CODE, TritonError, TritonModelException
from .parameters import checked
from .tensor import Tensor

TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1


class InferenceResponse:
    """A response to one request: output tensors or an error.

    Args:
        output_tensors: a list of `Tensor`.
        error: the error of the request; the outputs are not sent then.
        parameters: values of type bool, int or str by name, which the client receives.

    Raises:
        TypeError: an argument has another type.
        TritonModelException: a parameter has another type.
    """

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | None = None,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        if error is not None and not isinstance(error, TritonError):
            raise TypeError(f"error is {type(error).__name__}, expected TritonError")
        for tensor in output_tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"output_tensors holds {type(tensor).__name__}, expected Tensor")
        self._tensors = list(output_tensors)
        self._error = error
        self._parameters = checked(parameters)

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def parameters(self) -> str:
        """Return the parameters as JSON text."""
        return json.dumps(self._parameters)


class InferenceResponseSender:
    """Sends the responses to one request, from any thread.

    A decoupled model sends any number of responses, another model exactly one.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._responses = 0
        self._closed = False

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response; with the final flag, end the responses.

        Blocks while the reader is slow.

        Raises:
            TritonModelException: the sender is closed, or the arguments do not fit the model.
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
            parameters = parameters_of(response) if response is not None else NO_PARAMETERS
            self._job.send(outcome, final=final, parameters=parameters)

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
        """Return True if the client no longer waits for responses."""
        return self._job.cancelled


def result(response: InferenceResponse) -> list[CoreTensor] | errors.InferenceServerException:
    """Return the outputs or the error of a response, as the server's types."""
    error = response.error()
    if error is not None:
        kind, status = ERROR_OF_CODE[error.code()]
        return kind(error.message(), status)
    return snapshots(response.output_tensors())


def parameters_of(response: InferenceResponse) -> Mapping[str, Parameter]:
    """Return the parameters of a response."""
    return response._parameters


def snapshots(tensors: Iterable[Tensor]) -> list[CoreTensor]:
    """Return copies of tensors, as the server's type.

    A model may write to its arrays again while the copies are still in use.
    """
    return [
        CoreTensor(tensor.name(), tensor.triton_dtype(), _copy(tensor._array)) for tensor in tensors
    ]


def _copy(array: Array) -> Array:
    return as_bytes(array) if array.dtype.kind in "OS" else np.array(array, order="C")


def as_bytes(array: Array) -> Array:
    """Return a copy whose elements are bytes: the text of those that are not, as in Triton."""
    items = [
        each if isinstance(each, bytes) else str(each).encode() for each in array.ravel().tolist()
    ]
    copy = np.empty(len(items), object)
    copy[:] = items
    return copy.reshape(array.shape)


def response_of(response: Response) -> InferenceResponse:
    """Return a response of another model, as the type that models use."""
    error = response.error
    if error is None:
        tensors = [Tensor.of(*tensor) for tensor in response.outputs or ()]
        return InferenceResponse(tensors, parameters=response.parameters)
    # As in Triton, whatever code the other model gave.
    return InferenceResponse(error=TritonError(error.message() or "", TritonError.INTERNAL))
