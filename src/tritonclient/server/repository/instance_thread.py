"""`InstanceThread`: the thread that makes an instance of a model, executes with it and closes it.

A model may therefore keep what belongs to a thread, such as an event loop or a database
connection. Triton gives each instance a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from ...errors import InferenceServerException
from ..backends.base import Instance, InstanceFactory, Rescheduled, Result
from ..jobs.errors import as_server_error
from ..jobs.job import Job, PaddingJob
from ..jobs.response import Response
from ..scheduling.base import Scheduler
from ..telemetry.statistics import Statistics, Stopwatch
from .warmup import Warmup

_log = logging.getLogger(__name__)


class InstanceThread:
    """One instance and its thread.

    Args:
        name: the model's name.
        make: makes the instance, on the thread.
        scheduler: provides the jobs.
        index: the number of the instance, for the scheduler.
        warmup: makes the requests that the instance executes before it takes jobs.
    """

    def __init__(
        self,
        name: str,
        make: InstanceFactory,
        scheduler: Scheduler,
        index: int,
        statistics: Statistics,
        warmup: Warmup,
    ) -> None:
        self._make = make
        self._scheduler = scheduler
        self._index = index
        self._statistics = statistics
        self._warmup = warmup
        self._instance: Instance | None = None
        self._failure: BaseException | None = None
        self._made = threading.Event()
        self._finish = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tritonclient-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread and wait for the instance; raise what making it raises."""
        self._thread.start()
        self._made.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def is_ready(self) -> bool:
        """Return False if the instance says that it is not ready."""
        return self._instance is None or self._instance.is_ready()

    def why_restarted(self) -> str:
        """Return why the instance was started again last; "" if it was not."""
        return "" if self._instance is None else self._instance.why_restarted()

    def finish(self) -> None:
        """Begin to close the instance after its last job, and to end the thread."""
        self._finish.set()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        try:
            instance = self._make()
            self._warm_up(instance)
            self._instance = instance
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._made.set()
        while jobs := self._scheduler.next_batch(self._index):
            self._execute(instance, jobs)
            # Otherwise the memory of these requests would be held until the next ones.
            del jobs
        self._finish.wait()
        try:
            instance.close()
        except Exception:
            _log.exception("closing %s failed", self._thread.name)

    def _warm_up(self, instance: Instance) -> None:
        try:
            for batch in self._warmup():
                self._execute(instance, batch.jobs)
                batch.wait()
        except BaseException:
            instance.close()
            raise

    def _execute(self, instance: Instance, taken: Sequence[Job]) -> None:
        watch = Stopwatch()
        jobs = []
        for job in taken:
            if job.refusal is None:
                jobs.append(job)
            else:
                self._respond(job, job.refusal, watch)
        if not jobs:
            return
        results: Sequence[Result]
        try:
            results = instance.execute(jobs, watch)
        except Exception as error:
            results = [as_server_error(error)] * len(jobs)
        watch.lap()
        batch_size = sum(job.batch_size for job in jobs)
        self._statistics.executed(batch_size, watch.durations(jobs[0].queued, 0))
        for job, result in zip(jobs, results, strict=True):
            if not isinstance(job, PaddingJob):
                self._respond(job, result, watch)

    def _respond(self, job: Job, result: Result, watch: Stopwatch) -> None:
        durations = watch.durations(job.queued, job.decoding)
        if isinstance(result, Rescheduled):
            self._statistics.succeeded(job.batch_size, durations)
            self._reschedule(job)
            return
        if isinstance(result, InferenceServerException):
            self._statistics.failed(durations)
            job.send(error=result, final=True)
            return
        self._statistics.succeeded(job.batch_size, durations)
        if isinstance(result, Response):
            job.send(result.outputs, result.error, final=True, parameters=result.parameters)
        elif result is not None:
            job.send(result, final=True)
        else:
            job.executed()

    def _reschedule(self, job: Job) -> None:
        try:
            self._scheduler.reschedule(job)
        except Exception as error:
            job.send(error=as_server_error(error), final=True)
