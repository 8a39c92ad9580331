"""One loaded version of a model: its configuration, its instances and what they have done."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import messages as m
from ..codec import messages_pb
from ..errors import ServerError, Unavailable
from . import backends, config
from .statistics import Statistics

_log = logging.getLogger(__name__)


class ModelClosed(Unavailable):
    """The version was unloaded while a request waited for it; another may have come."""


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
        instances: list[backends.Instance],
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
        self._instances = instances
        self._idle: queue.SimpleQueue[backends.Instance | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        for instance in instances:
            self._idle.put(instance)

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

    @contextmanager
    def instance(self) -> Iterator[backends.Instance]:
        """An instance to execute with, once one is idle.

        Raises:
            ModelClosed: the model was unloaded meanwhile.
        """
        taken = self._idle.get()
        try:
            if taken is None:
                raise ModelClosed(f"model '{self.name}' was unloaded", "503")
            yield taken
        finally:
            self._idle.put(taken)

    def close(self) -> None:
        """Let requests in execution end, turn away those that wait, and finalize the model."""
        with self._closing:
            instances, self._instances = self._instances, []
            for _ in instances:
                self._idle.get()
            if instances:
                self._idle.put(None)
        for instance in instances:
            try:
                instance.close()
            except Exception:
                _log.exception("finalizing model '%s' version %d failed", self.name, self.version)


def load(source: backends.Source) -> Model:
    """Load a version of a model.

    Raises:
        ServerError: it can't be served; the message says why.
    """
    try:
        # Every version completes a configuration of its own.
        own = config.new()
        own.CopyFrom(source.config)
        source = backends.Source(source.name, source.version, source.directory, own)
        config.check(own)
        backend = backends.find(own.backend)
        if not source.path.exists():
            raise ValueError(f"unable to find '{source.path}' for model '{source.name}'")
        backend.complete(source)
        config.check(own)
        values = messages_pb.to_dict(own)
        labels = _labels(source)
        return Model(source, values, labels, backend.instances(source, values))
    except (ValueError, OSError) as error:
        raise ServerError(f"Invalid argument: {error}", "400") from error


def _labels(source: backends.Source) -> dict[str, tuple[str, ...]]:
    return {
        each.name: tuple((source.directory / each.label_filename).read_text("utf-8").splitlines())
        for each in config.specifications(source.config.output)
        if each.label_filename
    }
