"""A request on its way through a model, and the answers that come of it.

Everything that can be asked to execute takes a `Job`: a model's instances, the schedulers before
them, ensembles. Whoever made the job takes the answers from its sink, on whatever thread they come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import Cancelled, InferenceServerException
from ...messages import Parameter
from .model_info import ModelInfo
from .response import Answer, Flag, Sink
from .tensor import Tensor


@dataclass(frozen=True, slots=True)
class Call:
    """What a model may know of the request that it executes, beside the inputs.

    Attributes:
        outputs: names of the outputs that are wanted.
        cancelled: set when nobody waits for the answer any more.
    """

    id: str = ""
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    cancelled: Flag = field(default_factory=threading.Event)


class Job:
    """A request whose inputs fit its model.

    Attributes:
        model: the interface of the model that executes it.
        inputs: as the model sees them.
        batch_size: 1 for models that don't batch.
        decoding: nanoseconds that were spent on making the inputs.
        queued: when it began to wait, on the monotonic clock in nanoseconds.
        refusal: why it is not to be executed after all.
        on_settled: called once when no more responses come; set by whatever takes the job.
    """

    __slots__ = (
        *("model", "inputs", "call", "batch_size", "decoding", "queued", "refusal"),
        *("on_settled", "_sink", "_lock", "_ended", "_abandoned", "_settled"),
    )

    def __init__(
        self,
        model: ModelInfo,
        inputs: Sequence[Tensor],
        call: Call,
        batch_size: int,
        sink: Sink,
        decoding: int = 0,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.call = call
        self.batch_size = batch_size
        self.decoding = decoding
        self.queued = time.monotonic_ns()
        self.refusal: InferenceServerException | None = None
        self.on_settled: Callable[[], None] | None = None
        self._sink = sink
        self._lock = threading.Lock()
        self._ended = False
        self._abandoned = False
        self._settled = False

    @property
    def layout(self) -> set[tuple[str, tuple[int, ...]]]:
        """What must be the same of requests that are executed together."""
        return {(tensor.name, tensor.array.shape[1:]) for tensor in self.inputs}

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for further answers."""
        return self._abandoned or self.call.cancelled.is_set()

    def refused(self) -> bool:
        """Whether it is not to be executed after all; asked when it is its turn."""
        if self.refusal is None and self.cancelled:
            self.refusal = Cancelled("request was cancelled", "499")
        return self.refusal is not None

    def send(
        self,
        outputs: Sequence[Tensor] | None = None,
        error: InferenceServerException | None = None,
        *,
        final: bool,
    ) -> None:
        """Hand over an answer; may wait for its reader. Behind the final one nothing is sent."""
        wanted: tuple[Tensor, ...] | None = None
        if outputs is not None and error is None:
            try:
                wanted = self.model.select_outputs(outputs, self.call.outputs)
            except InferenceServerException as wrong:
                error = wrong
        with self._lock:
            if self._ended:
                return
            self._ended = final
        try:
            self._sink(Answer(wanted, error, final))
        finally:
            # Models that answer once may do so without ever telling that no more comes.
            if final or not self.model.decoupled:
                self._settle()

    def abandon(self) -> None:
        """Nobody wants further answers."""
        with self._lock:
            self._abandoned = self._abandoned or not self._ended
            self._ended = True
        self._settle()

    def _settle(self) -> None:
        """Report once that no more responses come."""
        with self._lock:
            settled, self._settled = self._settled, True
        if not settled and self.on_settled is not None:
            self.on_settled()


class Filler(Job):
    """Stands in a batch where there is no request; nobody is told what it is answered."""

    def __init__(self, like: Job, inputs: Sequence[Tensor]) -> None:
        super().__init__(like.model, inputs, Call(), 1, lambda answer: None)
        self._ended = self._settled = True
