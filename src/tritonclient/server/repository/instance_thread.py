"""The threads that execute: one for each instance of a model, which lives in it from end to end.

A model may therefore keep what belongs to a thread, such as an event loop or a database
connection, as it may in Triton, where each instance has a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ...errors import InferenceServerException
from ..backends.base import Instance, Maker, Result
from ..jobs.errors import own
from ..jobs.job import Filler, Job
from ..telemetry.statistics import Statistics, Stopwatch

_log = logging.getLogger(__name__)


class Worker:
    """An instance in its thread.

    Args:
        take: gives the jobs to execute next; none when it is time to end.
    """

    def __init__(
        self, name: str, make: Maker, take: Callable[[], list[Job]], statistics: Statistics
    ) -> None:
        self._make = make
        self._take = take
        self._statistics = statistics
        self._failure: BaseException | None = None
        self._made = threading.Event()
        self._finish = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tritonclient-{name}", daemon=True)

    def start(self) -> None:
        """Make the instance; whatever that raises is raised here."""
        self._thread.start()
        self._made.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def finish(self) -> None:
        """Close the instance, when there are no more jobs to take."""
        self._finish.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            instance = self._make()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._made.set()
        while jobs := self._take():
            self._execute(instance, jobs)
            # Else the memory of the last request would be held until the next one comes.
            del jobs
        self._finish.wait()
        try:
            instance.close()
        except Exception:
            _log.exception("closing %s failed", self._thread.name)

    def _execute(self, instance: Instance, taken: Sequence[Job]) -> None:
        watch = Stopwatch()
        jobs = []
        for job in taken:
            if job.refusal is None:
                jobs.append(job)
            else:
                self._answer(job, job.refusal, watch)
        if not jobs:
            return
        results: Sequence[Result]
        try:
            results = instance.execute(jobs, watch)
        except Exception as error:
            results = [own(error)] * len(jobs)
        watch.lap()
        batch_size = sum(job.batch_size for job in jobs)
        self._statistics.executed(batch_size, watch.durations(jobs[0].queued, 0))
        for job, result in zip(jobs, results, strict=True):
            if not isinstance(job, Filler):
                self._answer(job, result, watch)

    def _answer(self, job: Job, result: Result, watch: Stopwatch) -> None:
        durations = watch.durations(job.queued, job.decoding)
        if isinstance(result, InferenceServerException):
            self._statistics.failed(durations)
            job.send(error=result, final=True)
            return
        self._statistics.succeeded(job.batch_size, durations)
        if result is not None:
            job.send(result, final=True)
