"""`Job`: one request in execution.

A `Job` goes through every part that executes: schedulers, the instances of a model, ensembles.
Its creator receives the responses through a sink, on any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import Cancelled, InferenceServerException, Internal
from ...messages import Parameter
from ...operations import NO_PARAMETERS
from .model_info import ModelInfo
from .response import CancelFlag, Response, ResponseQueue, ResponseSink
from .sequence_state import SequenceState
from .tensor import Tensor

_SECOND_RESPONSE = "expected a single response, got 2"


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The parts of a request, besides its inputs, that the model may read.

    Attributes:
        outputs: names of the requested outputs.
        parameters: those that schedulers and the model read.
        cancelled: set when the client no longer waits for a response.
        custom: parameters that only the model reads, whatever their names are.
    """

    id: str = ""
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    cancelled: CancelFlag = field(default_factory=threading.Event)
    custom: Mapping[str, Parameter] = field(default_factory=dict)


class Job:
    """A request in execution; its inputs are checked and have the shapes that the model expects.

    Attributes:
        model: the interface of the model that executes it.
        inputs: as the model expects them.
        batch_size: 1 for models without a batch dimension.
        decoding: nanoseconds spent on checking and decoding the inputs.
        queued: time of creation, in nanoseconds of the monotonic clock.
        refusal: the error to respond with instead of executing; None to execute.
        state: what its sequence keeps for the next request; None if that is nothing.
        queue: where responses wait that an instance sends on another thread; None if there is none.
        on_settled: called once when no more responses come; set by whatever takes the job.
    """

    __slots__ = (
        *("model", "inputs", "options", "batch_size", "decoding", "queued", "refusal"),
        *("state", "queue"),
        *("on_settled", "_sink", "_lock", "_ended", "_abandoned", "_settled"),
        *("_executed", "_held"),
    )

    def __init__(
        self,
        model: ModelInfo,
        inputs: Sequence[Tensor],
        options: JobOptions,
        batch_size: int,
        sink: ResponseSink,
        decoding: int = 0,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.options = options
        self.batch_size = batch_size
        self.decoding = decoding
        self.queued = time.monotonic_ns()
        self.refusal: InferenceServerException | None = None
        self.state: SequenceState | None = None
        self.queue: ResponseQueue | None = None
        self.on_settled: Callable[[], None] | None = None
        self._sink = sink
        self._lock = threading.Lock()
        self._ended = False
        self._abandoned = False
        self._settled = False
        self._executed = False
        self._held: Response | None = None

    @property
    def batch_key(self) -> set[tuple[str, tuple[int, ...]]]:
        """Input names and shapes without the batch dimension; equal for jobs of one batch."""
        return {(tensor.name, tensor.array.shape[1:]) for tensor in self.inputs}

    @property
    def cancelled(self) -> bool:
        """True if the client no longer waits for responses."""
        return self._abandoned or self.options.cancelled.is_set()

    def refused(self) -> bool:
        """Return True if the job must not be executed; set `refusal` if it was cancelled."""
        if self.refusal is None and self.cancelled:
            self.refusal = Cancelled("request was cancelled", "499")
        return self.refusal is not None

    def send(
        self,
        outputs: Sequence[Tensor] | None = None,
        error: InferenceServerException | None = None,
        *,
        final: bool,
        parameters: Mapping[str, Parameter] = NO_PARAMETERS,
    ) -> None:
        """Send a response; may block until its reader has room. Nothing is sent after the final."""
        given = None if outputs is None else tuple(outputs)
        response = Response(given, error, final, parameters)
        if self.queue is not None:
            self.queue.put(response)
        else:
            self.deliver(response)

    def deliver(self, response: Response) -> None:
        """Send a response before those that wait in `queue`."""
        outputs, error, final, parameters = response
        wanted: tuple[Tensor, ...] | None = None
        if outputs is not None and error is None:
            try:
                wanted = self.model.select_outputs(outputs, self.options.outputs)
            except InferenceServerException as wrong:
                error = wrong
        response = Response(wanted, error, final, parameters)
        with self._lock:
            if self._ended:
                return
            responses = [response] if self.model.decoupled else self._checked(response)
            self._ended = any(each.final for each in responses)
        self._send_all(responses)

    def _checked(self, response: Response) -> list[Response]:
        """Return what to send now for a model that is not decoupled.

        Its response waits until the model marks it as final, in a call of its own or together
        with the response, or until its execution ends. A second one makes both an error.
        """
        held, self._held = self._held, None
        if held is not None:
            if response.outputs is None and response.error is None:
                return [held, response]
            return [Response(error=Internal(_SECOND_RESPONSE, "500"), final=True)]
        if response.final or self._executed:
            return [response]
        self._held = response
        return []

    def executed(self) -> None:
        """Send the response that waits for the end of the execution, if there is one."""
        with self._lock:
            self._executed = True
            held, self._held = self._held, None
        if held is not None:
            self._send_all([held])

    def _send_all(self, responses: Sequence[Response]) -> None:
        try:
            for each in responses:
                self._sink(each)
        finally:
            # A model that is not decoupled may send its only response without marking it final.
            if responses and (responses[-1].final or not self.model.decoupled):
                self._settle()

    def observe(self, observer: ResponseSink) -> None:
        """Call `observer` with each response, before the sink."""
        sink = self._sink

        def both(response: Response) -> None:
            observer(response)
            sink(response)

        self._sink = both

    def abandon(self) -> None:
        """Cancel the job: drop further responses."""
        with self._lock:
            self._abandoned = self._abandoned or not self._ended
            self._ended = True
        self._settle()

    def _settle(self) -> None:
        """Call `on_settled` once."""
        with self._lock:
            settled, self._settled = self._settled, True
        if not settled and self.on_settled is not None:
            self.on_settled()


class PaddingJob(Job):
    """Padding for an empty slot of a direct sequence batch; its responses are dropped."""

    def __init__(self, like: Job, inputs: Sequence[Tensor]) -> None:
        super().__init__(like.model, inputs, JobOptions(), 1, lambda response: None)
        self._ended = self._settled = True
