"""`Model`: one loaded version, with its scheduler, instances and statistics."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from ... import messages as m
from ..backends.base import InstanceFactory, ModelSource
from ..config.checking import is_ensemble
from ..config.specification import specifications
from ..jobs.job import Job
from ..jobs.model_info import ModelInfo
from ..scheduling.base import Scheduler
from ..telemetry.statistics import Statistics
from . import warmup
from .feed import Feed
from .instance_thread import InstanceThread

#: Batches in work on a remote instance, at most, if the scheduler can give them ahead.
_AHEAD = 16


class Model:
    """A version that is ready to execute.

    Attributes:
        config: its configuration in its JSON form.
        info: its interface.
        statistics: counts and durations of its requests.

    Args:
        source: what it was loaded from.
        values: its configuration in its JSON form.
        labels: class names of each output that has a label file.
        factories: make its instances.
    """

    def __init__(
        self,
        source: ModelSource,
        values: dict[str, Any],
        labels: dict[str, tuple[str, ...]],
        statistics: Statistics,
        scheduler: Scheduler,
        factories: Sequence[InstanceFactory],
    ) -> None:
        any_shape = source.function.any_shape if source.function else ()
        self.config = values
        self.info = ModelInfo(
            name=source.name,
            version=source.version,
            max_batch_size=values["max_batch_size"],
            inputs={
                each.name: each._replace(any_shape=each.name in any_shape)
                for each in specifications(source.config.input)
            },
            outputs={each.name: each for each in specifications(source.config.output)},
            decoupled=values.get("model_transaction_policy", {}).get("decoupled", False),
            labels=labels,
            counts_inputs=source.config.backend == "python" or is_ensemble(source.config),
        )
        self.statistics = statistics
        self._open = 0
        self._settled = threading.Condition()
        self._scheduler = scheduler
        self._threads: list[InstanceThread] = []
        # With several instances, a request would wait behind a slow one while another is idle.
        most = _AHEAD if scheduler.ahead and len(factories) == 1 else 1
        # Models that share a process end one after the other, as a debugger expects.
        self._one_by_one = source.in_process
        run_warmup = warmup.plan(self.info, values, source.directory)
        for index, make in enumerate(factories):
            feed = partial(
                Feed,
                scheduler=scheduler,
                index=index,
                statistics=statistics,
                most=most,
                loop=source.loop,
                ended=self._wake,
            )
            thread = InstanceThread(
                self.info.name, make, scheduler, index, statistics, run_warmup, feed
            )
            try:
                thread.start()
            except BaseException:
                self.close()
                raise
            self._threads.append(thread)

    def metadata(self, versions: tuple[str, ...]) -> m.ModelMetadata:
        """Return the metadata of the model.

        Args:
            versions: those that are ready.
        """
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

    def is_ready(self) -> bool:
        """Return False if an instance says that it is not ready."""
        return all(thread.is_ready() for thread in self._threads)

    def why_restarted(self) -> str:
        """Return why instances were started again; "" if none was."""
        return "; ".join(filter(None, (thread.why_restarted() for thread in self._threads)))

    def put(self, job: Job) -> None:
        """Queue a job without waiting for its execution.

        Raises:
            ModelClosed: the model was unloaded.
            ServerError: the scheduler refuses the job.
        """
        with self._settled:
            self._open += 1
        job.on_settled = self._job_settled
        try:
            self._scheduler.put(job)
        except BaseException:
            self._job_settled()
            raise
        self._wake()

    def _wake(self) -> None:
        """Let remote instances begin batches."""
        for thread in self._threads:
            thread.wake()

    def _job_settled(self) -> None:
        with self._settled:
            self._open -= 1
            if not self._open:
                self._settled.notify_all()

    def begin_to_close(self) -> None:
        """Accept no more jobs, wait for those in execution, and begin to finalize the instances."""
        self._scheduler.close()
        self._wake()
        with self._settled:
            self._settled.wait_for(lambda: not self._open)
        for thread in self._threads:
            thread.finish()
            if self._one_by_one:
                thread.join()

    def close(self) -> None:
        """Accept no more jobs, wait for those in execution, and finalize the instances."""
        self.begin_to_close()
        for thread in self._threads:
            thread.join()
