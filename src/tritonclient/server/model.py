"""One loaded version of a model: its configuration, its instances and what they have done."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .. import messages as m
from ..codec import messages_pb
from ..errors import Internal, ServerError
from . import backends, config
from .backends import ensemble as backends_ensemble
from .batching import Queue
from .jobs import Job, Tensor
from .sequences import Sequences
from .statistics import Statistics
from .workers import Worker


class Model:
    """A version that is ready to execute, made by `load`.

    Attributes:
        config: the JSON form of its configuration.
        batches: whether its tensors have a batch dimension.
        labels: names of the classes of each output that has a label file.
    """

    def __init__(
        self,
        source: backends.Source,
        values: dict[str, Any],
        labels: dict[str, tuple[str, ...]],
        makers: list[backends.Maker],
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
        self.statistics = Statistics()
        self._open = 0
        self._settled = threading.Condition()
        self._queue: Queue | Sequences
        if "sequence_batching" in values:
            self._queue = Sequences(self.name, values, len(makers))
        else:
            self._queue = Queue(values)
        self._workers: list[Worker] = []
        for index, make in enumerate(makers):
            worker = Worker(self.name, make, self._queue.taker(index), self.statistics)
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
            self._queue.put(job)
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
        self._queue.close()
        with self._settled:
            self._settled.wait_for(lambda: not self._open)
        for worker in self._workers:
            worker.finish()


def load(source: backends.Source) -> Model:
    """Load a version of a model.

    Raises:
        ServerError: it can't be served; the message says why.
    """
    try:
        # Every version completes a configuration of its own.
        own = config.new()
        own.CopyFrom(source.config)
        source = replace(source, config=own)
        config.check(own)
        ensemble = config.is_ensemble(own)
        backend = backends.find(backends.ENSEMBLE if ensemble else own.backend)
        if not source.path.exists():
            raise ValueError(f"unable to find '{source.path}' for model '{source.name}'")
        backend.complete(source)
        config.check(own)
        values = messages_pb.to_dict(own)
        labels = _labels(source)
        if ensemble:
            labels = {**backends_ensemble.labels(source), **labels}
        return Model(source, values, labels, backend.instances(source, values))
    except (ValueError, OSError) as error:
        raise ServerError(f"Invalid argument: {error}", "400") from error


def _labels(source: backends.Source) -> dict[str, tuple[str, ...]]:
    return {
        each.name: tuple((source.directory / each.label_filename).read_text("utf-8").splitlines())
        for each in config.specifications(source.config.output)
        if each.label_filename
    }
