"""Inference: a request becomes a job of its model; the job gives the responses."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from ..codec import generate
from ..codec.generate import PlainInfer
from ..codec.parameter_checks import check_parameters
from ..errors import InferenceServerException
from ..messages import Infer, InferResponse, Parameter
from ..operations import NO_PARAMETERS
from .jobs.errors import DecoupledModel, ModelClosed, as_server_error
from .jobs.job import Job, JobOptions
from .jobs.model_info import ModelInfo
from .jobs.reader import ResponseReader
from .jobs.response import CancelFlag, Response, ResponseSink
from .jobs.tensor import Tensor
from .repository.model import Model
from .tensors import bounds, inputs, outputs
from .tensors.shared_memory import Regions

#: One response of a stream, or the error in its place.
StreamItem: TypeAlias = "InferResponse | InferenceServerException"

#: The request parameter that asks a stream for a last response, even if it is empty.
EMPTY_FINAL = "triton_enable_empty_final_response"
#: The parameter of each response of a stream that is True for the last.
FINAL = "triton_final_response"


def plain_inference(model: ModelInfo, request: generate.Generate) -> PlainInfer:
    """Return the inference that a request of the generate extension asks for.

    Raises:
        InvalidArgument, Internal: a member does not fit the model.
    """
    batch = (-1,) if model.batches else ()
    declared = {
        each.name: generate.Declared(each.datatype, batch + each.shape)
        for each in model.inputs.values()
    }
    return generate.infer_request(request, declared)


def submit(
    find: Callable[[], Model], tensors: Sequence[Tensor], options: JobOptions, sink: ResponseSink
) -> Job:
    """Start a request that another model made, and return its job.

    Args:
        find: returns the model; called again if that was unloaded at the same time.

    Raises:
        ServerError: there is no such model, or the request does not fit it.
    """
    while True:
        model = find()
        outputs.check(model.info, options.outputs)
        shaped, batch_size = inputs.accept_all(model.info, tensors, options.id)
        wanted = replace(options, outputs=options.outputs or tuple(model.info.outputs))
        job = Job(model.info, shaped, wanted, batch_size, sink)
        with suppress(ModelClosed):
            model.put(job)
            return job


class Inference:
    """A client's request.

    Args:
        cancelled: set by the caller to cancel the request.
    """

    def __init__(self, request: Infer, regions: Regions, cancelled: CancelFlag) -> None:
        self._request = request
        self._regions = regions
        self._cancelled = cancelled

    def start(
        self,
        find: Callable[[], Model],
        parameters: Mapping[str, Parameter],
        sink: ResponseSink,
    ) -> Job:
        """Queue the request to its model and return its job.

        Args:
            find: returns the model; called again if that was unloaded at the same time.
            parameters: those of the request that concern the model.
            sink: called with each response, on any thread. It may refer to this object, which
                therefore does not keep it: a circle would hold the tensors for a long time.

        Raises:
            ServerError: there is no such model, or the request does not fit it.
        """
        bounds.check(self._request)
        while True:
            model = find()
            self._model = model.info
            job = self._make_job(parameters, sink)
            with suppress(ModelClosed):
                model.put(job)
                return job

    def _make_job(self, parameters: Mapping[str, Parameter], sink: ResponseSink) -> Job:
        model, request = self._model, self._request
        custom = parameters if isinstance(request, PlainInfer) else NO_PARAMETERS
        known = NO_PARAMETERS if custom else check_parameters(parameters)
        self._requested = outputs.requested(model, request)
        begin = time.monotonic_ns()
        tensors, batch_size = inputs.decode_all(model, request, self._regions)
        decoding = time.monotonic_ns() - begin
        options = JobOptions(request.id, tuple(self._requested), known, self._cancelled, custom)
        return Job(model, tensors, options, batch_size, sink, decoding)

    @property
    def decoupled(self) -> bool:
        """True if the model may send any number of responses."""
        return self._model.decoupled

    def encode(
        self, response: Response, parameters: Mapping[str, Parameter] = NO_PARAMETERS
    ) -> InferResponse:
        """Return a response with outputs in the form that the client requested."""
        model = self._model
        return InferResponse(
            model_name=model.name,
            model_version=str(model.version),
            id=self._request.id,
            parameters={**response.parameters, **parameters} if response.parameters else parameters,
            outputs=tuple(
                outputs.encode(model, tensor, self._requested[tensor.name], self._regions)
                for tensor in response.outputs or ()
            ),
        )


class Outcome:
    """The only response of a model that is not decoupled, which is encoded when it is needed.

    Args:
        inference: the request.
    """

    def __init__(self, inference: Inference, response: Response) -> None:
        self._inference = inference
        self._response = response

    @property
    def size(self) -> int:
        """Bytes of the outputs in memory; strings count as references."""
        return sum(int(each.array.nbytes) for each in self._response.outputs or ())

    def encode(self) -> InferResponse:
        """Return the response in the form that the client requested.

        Raises:
            ServerError: the model failed, or an output cannot have that form.
        """
        if self._response.error is not None:
            raise self._response.error
        return self._inference.encode(self._response)


def begin(
    find: Callable[[], Model],
    request: Infer,
    regions: Regions,
    cancelled: CancelFlag,
    deliver: Callable[[Outcome], None],
) -> None:
    """Start a request to a model that is not decoupled; the arguments are those of `Inference`.

    Args:
        deliver: called once with the outcome, on any thread, also before this returns.

    Raises:
        ServerError: the request is refused.
    """

    def find_coupled() -> Model:
        model = find()
        if model.info.decoupled:
            raise DecoupledModel("doesn't support models with decoupled transaction policy", "501")
        return model

    def sink(response: Response) -> None:
        deliver(Outcome(inference, response))

    inference = Inference(request, regions, cancelled)
    inference.start(find_coupled, request.parameters, sink)


def infer(
    find: Callable[[], Model], request: Infer, regions: Regions, cancelled: CancelFlag
) -> InferResponse:
    """Return the response of a model that is not decoupled; the arguments are those of `Inference`.

    Raises:
        ServerError: the request is refused, or the model failed.
    """
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    begin(find, request, regions, cancelled, outcomes.put)
    return outcomes.get().encode()


class Responses(Iterator[StreamItem]):
    """The responses to one request as they arrive, for one reading thread.

    The request starts when this is created, so requests keep the order in which a thread creates
    them. Closing or deleting this cancels the remaining responses. An error has its `model` set if
    the model sent it, and not if the request was refused.

    Attributes:
        decoupled: True if the model may send any number of responses at any time.
        ended: True if the last response was read.
        refused: True if the request did not come to its model; the only response says why.
    """

    def __init__(
        self,
        find: Callable[[], Model],
        request: Infer,
        regions: Regions,
        cancelled: CancelFlag,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        parameters = dict(request.parameters)
        plain = isinstance(request, PlainInfer)
        self._empty_final = not plain and bool(parameters.pop(EMPTY_FINAL, False))
        self._request = request
        self._responses: Iterator[Response]
        self._inference: Inference | None = None
        self.decoupled = False
        self.ended = False
        self.refused = False

        def start(sink: ResponseSink) -> Job:
            inference = Inference(request, regions, cancelled)
            job = inference.start(find, parameters, sink)
            self._inference = inference
            self.decoupled = inference.decoupled
            return job

        try:
            self._responses = ResponseReader(start, cancelled, arrived)
        except Exception as error:
            self._responses = iter([Response(error=as_server_error(error), final=True)])
            self.refused = True

    def __next__(self) -> StreamItem:
        for response in self._responses:
            self.ended = response.final
            item = self._item(response)
            if item is not None:
                return item
        self.ended = True
        raise StopIteration

    def _item(self, response: Response) -> StreamItem | None:
        if self._inference is None:
            return response.error
        if response.error is not None:
            response.error.model = self._request.model
            return response.error
        if response.outputs is not None:
            try:
                return self._inference.encode(response, {FINAL: response.final})
            except Exception as error:
                return as_server_error(error)
        if not self._empty_final:
            return None
        request = self._request
        return InferResponse(request.model, request.version, request.id, {FINAL: True})

    @property
    def waits(self) -> bool:
        """True if reading the next response would block; `arrived` is called when that changes."""
        return isinstance(self._responses, ResponseReader) and self._responses.waits

    def close(self) -> None:
        """Stop reading and cancel the request."""
        self.ended = True
        if isinstance(self._responses, ResponseReader):
            self._responses.close()
