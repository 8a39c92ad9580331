"""One loaded version of a model: its configuration, its instances and what they have done."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from ... import messages as m
from ..backends.base import Maker, Source
from ..config.specification import specifications
from ..jobs.job import Job
from ..jobs.model_info import ModelInfo
from ..scheduling.base import Scheduler
from ..telemetry.statistics import Statistics
from .instance_thread import Worker


class Model:
    """A version that is ready to execute.

    Attributes:
        config: the JSON form of its configuration.
        info: its interface.
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
        self.config = values
        self.info = ModelInfo(
            name=source.name,
            version=source.version,
            max_batch_size=values["max_batch_size"],
            inputs={each.name: each for each in specifications(source.config.input)},
            outputs={each.name: each for each in specifications(source.config.output)},
            decoupled=values.get("model_transaction_policy", {}).get("decoupled", False),
            labels=labels,
        )
        self.statistics = statistics
        self._open = 0
        self._settled = threading.Condition()
        self._scheduler = scheduler
        self._workers: list[Worker] = []
        for index, make in enumerate(makers):
            worker = Worker(self.info.name, make, scheduler.taker(index), self.statistics)
            try:
                worker.start()
            except BaseException:
                self.close()
                raise
            self._workers.append(worker)

    def metadata(self, versions: tuple[str, ...]) -> m.ModelMetadata:
        """What the metadata endpoint says, given the versions that are ready."""
        batch = (-1,) if self.info.batches else ()
        inputs, outputs = (
            tuple(
                m.TensorMetadata(each.name, each.datatype, batch + each.shape)
                for each in tensors.values()
            )
            for tensors in (self.info.inputs, self.info.outputs)
        )
        platform = self.config["platform"] or self.config["backend"]
        return m.ModelMetadata(self.info.name, versions, platform, inputs, outputs)

    def put(self, job: Job) -> None:
        """Let a job be executed, which does not wait for that.

        Raises:
            ModelClosed: the model was unloaded meanwhile.
        """
        with self._settled:
            self._open += 1
        job.on_settled = self._job_settled
        try:
            self._scheduler.put(job)
        except BaseException:
            self._job_settled()
            raise

    def _job_settled(self) -> None:
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
