"""One loaded version of a model: its configuration, its instances and what they have done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from .. import messages as m
from ..errors import Internal
from . import config
from .backends import Maker, Source
from .jobs import Job, Tensor
from .statistics import Statistics
from .workers import Worker


class Scheduler(Protocol):
    """Where jobs wait for their turn."""

    def put(self, job: Job) -> None:
        """Let a job wait; a ServerError when it may not."""

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next, none when there is no more."""
        ...

    def close(self) -> None:
        """Take no more jobs; those that wait are still executed."""


class Model:
    """A version that is ready to execute.

    Attributes:
        config: the JSON form of its configuration.
        batches: whether its tensors have a batch dimension.
        labels: names of the classes of each output that has a label file.
    """

    def __init__(
        self,
        source: Source,
        values: dict[str, Any],
        labels: dict[str, tuple[str, ...]],
        statistics: Statistics,
        scheduler: Scheduler,
        makers: Iterable[Maker],
    ) -> None:
        self.name = source.name
        self.version = source.version
        self.config = values
        self.max_batch_size: int = values["max_batch_size"]
        self.batches = self.max_batch_size > 0
        self.inputs = {each.name: each for each in config.specifications(source.config.input)}
        self.outputs = {each.name: each for each in config.specifications(source.config.output)}
        self.decoupled: bool = values.get("model_transaction_policy", {}).get("decoupled", False)
        self.labels = labels
        self.statistics = statistics
        self._open = 0
        self._settled = threading.Condition()
        self._scheduler = scheduler
        self._workers: list[Worker] = []
        for index, make in enumerate(makers):
            worker = Worker(self.name, make, scheduler.taker(index), self.statistics)
            try:
                worker.start()
            except BaseException:
                self.close()
                raise
            self._workers.append(worker)

    def metadata(self, versions: tuple[str, ...]) -> m.ModelMetadata:
        """What the metadata endpoint says, given the versions that are ready."""
        batch = (-1,) if self.batches else ()
        inputs, outputs = (
            tuple(
                m.TensorMetadata(each.name, each.datatype, batch + each.shape)
                for each in tensors.values()
            )
            for tensors in (self.inputs, self.outputs)
        )
        platform = self.config["platform"] or self.config["backend"]
        return m.ModelMetadata(self.name, versions, platform, inputs, outputs)

    def public(self, tensors: Iterable[Tensor], wanted: Sequence[str]) -> tuple[Tensor, ...]:
        """Those outputs that are wanted, in the shapes that the world sees.

        Raises:
            Internal: the model gave one of another size.
        """
        return tuple(self._public(each) for each in tensors if each.name in wanted)

    def _public(self, tensor: Tensor) -> Tensor:
        expected = self.outputs[tensor.name]
        if expected.reshape is None:
            return tensor
        array = tensor.array
        shape = array.shape[:1] + expected.shape if self.batches else expected.shape
        try:
            return tensor._replace(array=array.reshape(shape))
        except ValueError as error:
            raise Internal(f"output '{tensor.name}' of '{self.name}': {error}", "500") from error

    def put(self, job: Job) -> None:
        """Let a job be executed, which does not wait for that.

        Raises:
            ModelClosed: the model was unloaded meanwhile.
        """
        with self._settled:
            self._open += 1
        try:
            self._scheduler.put(job)
        except BaseException:
            self.ended()
            raise

    def ended(self) -> None:
        """Called by each job when it has ended."""
        with self._settled:
            self._open -= 1
            if not self._open:
                self._settled.notify_all()

    def close(self) -> None:
        """Take no more jobs, let those that there are end, and finalize the model."""
        self._scheduler.close()
        with self._settled:
            self._settled.wait_for(lambda: not self._open)
        for worker in self._workers:
            worker.finish()
