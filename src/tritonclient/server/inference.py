"""Inference requests put to models: those of clients, from bytes to bytes, and those of models."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from ..errors import InferenceServerException
from ..messages import NO_PARAMETERS, Infer, InferResponse, Parameter
from .jobs.errors import DecoupledModel, ModelClosed, own
from .jobs.job import Call, Job
from .jobs.reader import AnswerReader
from .jobs.response import Answer, Flag, Sink
from .jobs.tensor import Tensor
from .repository.model import Model
from .tensors import inputs, outputs
from .tensors.parameters import check_parameters
from .tensors.shared_memory import Regions

#: One response of a stream, or why there is none.
StreamItem: TypeAlias = "InferResponse | InferenceServerException"

_EMPTY_FINAL = "triton_enable_empty_final_response"
_FINAL = "triton_final_response"


def submit(find: Callable[[], Model], tensors: Sequence[Tensor], call: Call, sink: Sink) -> Job:
    """Let a model execute what another model asks for.

    Args:
        find: gives the model; asked again when that was unloaded at the same time.

    Raises:
        ServerError: there is no such model, or the request does not fit it.
    """
    while True:
        model = find()
        outputs.check(model.info, call.outputs)
        batch_size = inputs.check(model.info, tensors, call.id)
        with suppress(ModelClosed):
            wanted = replace(call, outputs=call.outputs or tuple(model.info.outputs))
            return _start(model, tensors, wanted, batch_size, sink)


def _start(
    model: Model,
    tensors: Iterable[Tensor],
    call: Call,
    batch_size: int,
    sink: Sink,
    decoding: int = 0,
) -> Job:
    """Let a model execute; the tensors are checked, and have the shapes that the world sees."""
    shaped = [inputs.reshape(model.info, tensor) for tensor in tensors]
    job = Job(model.info, shaped, call, batch_size, sink, decoding)
    model.put(job)
    return job


class Inference:
    """A request that was put to its model.

    Args:
        find: gives the model; asked again when that was unloaded at the same time.
        parameters: the request's own, less those that are not for the model.
        cancelled: set by the caller when nobody waits for the answer any more.

    Raises:
        ServerError: there is no such model, or the request does not fit it.
    """

    def __init__(
        self,
        find: Callable[[], Model],
        request: Infer,
        parameters: Mapping[str, Parameter],
        regions: Regions,
        cancelled: Flag,
        sink: Sink,
    ) -> None:
        self._request = request
        self._regions = regions
        while True:
            self._model = find()
            with suppress(ModelClosed):
                self.job = self._put(parameters, cancelled, sink)
                return

    def _put(self, parameters: Mapping[str, Parameter], cancelled: Flag, sink: Sink) -> Job:
        model, request = self._model, self._request
        parameters = check_parameters(parameters)
        self._requested = outputs.requested(model.info, request)
        batch_size = inputs.check(model.info, request.inputs, request.id)
        begin = time.monotonic_ns()
        tensors = [
            inputs.decode(model.info, tensor, request.id, self._regions)
            for tensor in request.inputs
        ]
        decoding = time.monotonic_ns() - begin
        call = Call(request.id, tuple(self._requested), parameters, cancelled)
        return _start(model, tensors, call, batch_size, sink, decoding)

    @property
    def decoupled(self) -> bool:
        """Whether the model may answer any number of times."""
        return self._model.info.decoupled

    def response(
        self, answer: Answer, parameters: Mapping[str, Parameter] = NO_PARAMETERS
    ) -> InferResponse:
        """What an answer with outputs is on the wire."""
        model = self._model.info
        return InferResponse(
            model_name=model.name,
            model_version=str(model.version),
            id=self._request.id,
            parameters=parameters,
            outputs=tuple(
                outputs.encode(model, tensor, self._requested[tensor.name], self._regions)
                for tensor in answer.outputs or ()
            ),
        )


def infer(
    find: Callable[[], Model], request: Infer, regions: Regions, cancelled: Flag
) -> InferResponse:
    """Run a model that answers once; the arguments are those of `Inference`.

    Raises:
        ServerError: the request is refused, or the model failed.
    """

    def find_coupled() -> Model:
        model = find()
        if model.info.decoupled:
            raise DecoupledModel("doesn't support models with decoupled transaction policy", "501")
        return model

    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    inference = Inference(
        find_coupled, request, request.parameters, regions, cancelled, answers.put
    )
    answer = answers.get()
    if answer.error is not None:
        raise answer.error
    return inference.response(answer)


class Responses(Iterator[StreamItem]):
    """The responses to one request as they come, to be read by one thread.

    The request is put to its model when this is made, so that requests keep the order in which
    one thread made them. Closing this, or forgetting it, cancels what is still to come. An error
    knows its model when it is the model's answer, not when the request was refused.

    Attributes:
        decoupled: whether the model may give any number of responses at any time.
        ended: whether the last response was read.
    """

    def __init__(
        self,
        find: Callable[[], Model],
        request: Infer,
        regions: Regions,
        cancelled: Flag,
    ) -> None:
        parameters = dict(request.parameters)
        self._empty_final = bool(parameters.pop(_EMPTY_FINAL, False))
        self._request = request
        self._answers: Iterator[Answer]
        self._inference: Inference | None = None
        self.decoupled = False
        self.ended = False

        def begin(sink: Sink) -> Job:
            self._inference = Inference(find, request, parameters, regions, cancelled, sink)
            self.decoupled = self._inference.decoupled
            return self._inference.job

        try:
            self._answers = AnswerReader(begin, cancelled)
        except Exception as error:
            self._answers = iter([Answer(error=own(error), final=True)])

    def __next__(self) -> StreamItem:
        for answer in self._answers:
            self.ended = answer.final
            item = self._item(answer)
            if item is not None:
                return item
        self.ended = True
        raise StopIteration

    def _item(self, answer: Answer) -> StreamItem | None:
        if self._inference is None:
            return answer.error
        if answer.error is not None:
            answer.error.model = self._request.model
            return answer.error
        if answer.outputs is not None:
            try:
                return self._inference.response(answer, {_FINAL: answer.final})
            except Exception as error:
                return own(error)
        if not self._empty_final:
            return None
        request = self._request
        return InferResponse(request.model, request.version, request.id, {_FINAL: True})

    def close(self) -> None:
        """Nobody reads further responses; the model is told so."""
        self.ended = True
        if isinstance(self._answers, AnswerReader):
            self._answers.close()
