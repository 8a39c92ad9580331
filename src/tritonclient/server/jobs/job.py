"""A request on its way through a model, and the answers that come of it.

Everything that can be asked to execute takes a `Job`: a model's instances, the schedulers before
them, ensembles. Whoever made the job takes the answers from its sink, on whatever thread they come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from ...errors import Cancelled, InferenceServerException, Internal
from ...messages import Parameter
from .model_info import ModelInfo
from .tensor import Tensor

_log = logging.getLogger(__name__)

#: Answers that wait for a slow reader before the model is made to wait as well.
LIMIT = 16
#: Seconds after which whoever waits looks whether the call was cancelled: an event that a front
#: sets can't wake those who wait for something else.
_LOOK = 0.05


class Flag(Protocol):
    """What `threading.Event` is to those who only look at it."""

    def is_set(self) -> bool:
        """Whether it is set."""
        ...


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


class Answer(NamedTuple):
    """One of the answers to a request: outputs, an error, or neither in a mere sign of the end.

    Attributes:
        final: no more answers come.
    """

    outputs: tuple[Tensor, ...] | None = None
    error: InferenceServerException | None = None
    final: bool = False


Sink: TypeAlias = Callable[[Answer], None]


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


class _Answers:
    """A bounded queue of answers, between the model that gives them and whoever reads them."""

    def __init__(self, cancelled: Flag) -> None:
        self._cancelled = cancelled
        self._waiting: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, answer: Answer) -> None:
        """Add an answer, once there is room or nobody reads any more."""
        with self._changed:
            while len(self._waiting) >= LIMIT and not self._over():
                self._changed.wait(_LOOK)
            self._waiting.append(answer)
            self._changed.notify_all()

    def get(self) -> Answer | None:
        """The next answer, once there is one; None when the call was cancelled."""
        with self._changed:
            while not self._waiting:
                if self._over():
                    return None
                self._changed.wait(_LOOK)
            self._changed.notify_all()
            return self._waiting.popleft()

    def _over(self) -> bool:
        return self._closed or self._cancelled.is_set()

    def close(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class AnswerReader(Iterator[Answer]):
    """The answers to a job as they come, to be read by one thread; a slow one slows the model.

    Closing this, or forgetting it, cancels what is still to come.

    Args:
        begin: makes the job, which is to send its answers to the given sink.
        cancelled: the job's; once it is set, no more answers are awaited.
    """

    def __init__(self, begin: Callable[[Sink], Job], cancelled: Flag) -> None:
        self._ended = True  # in case that `begin` fails
        self._answers = _Answers(cancelled)
        self._job = begin(self._answers.put)
        self._ended = False

    def __next__(self) -> Answer:
        if self._ended:
            raise StopIteration
        answer = self._answers.get()
        if answer is None:
            self.close()
            raise StopIteration
        self._ended = answer.final
        return answer

    def close(self) -> None:
        """Nobody reads further answers; the model is told so."""
        if not self._ended:
            self._ended = True
            self._answers.close()
            self._job.abandon()

    def __del__(self) -> None:
        self.close()


def own(error: Exception) -> InferenceServerException:
    """An error as the protocol has it; one that nobody has foreseen is logged."""
    if isinstance(error, InferenceServerException):
        return error
    _log.error("a request failed in an unforeseen way", exc_info=error)
    return Internal(f"{type(error).__name__}: {error}", "500")
