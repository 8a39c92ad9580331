"""`Execution`: a batch from the moment an instance takes it until its jobs have their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...errors import InferenceServerException
from ..jobs.errors import as_server_error
from ..jobs.job import Job, PaddingJob
from ..jobs.response import Response
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Statistics, Stopwatch


class Rescheduled:
    """The result of a job that its scheduler gives to the instance again."""


RESCHEDULED = Rescheduled()
#: The result of one job: its outputs (in a `Response` if it has parameters too), its error,
#: `RESCHEDULED`, or None if the responses are sent separately. An error in a `Response` counts as
#: a success in the statistics: it is a response of the model.
Result: TypeAlias = "Sequence[Tensor] | Response | InferenceServerException | Rescheduled | None"


class Execution:
    """A batch in execution. It ends once: with `finish` or with `fail`.

    Attributes:
        jobs: those to execute. The others of the batch got their refusals when this was created.
        watch: times the stages.

    Args:
        taken: the jobs, as a scheduler gave them.
        reschedule: gives a job to its scheduler again.
        ended: called at the end.
    """

    def __init__(
        self,
        taken: Sequence[Job],
        statistics: Statistics,
        reschedule: Callable[[Job], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.watch = Stopwatch()
        self._statistics = statistics
        self._reschedule = reschedule
        self._ended = ended
        self.jobs: list[Job] = []
        for job in taken:
            if job.refusal is None:
                self.jobs.append(job)
            else:
                self._respond(job, job.refusal)

    @property
    def size(self) -> int:
        """Bytes of the inputs in memory; strings count as references."""
        return sum(int(each.array.nbytes) for job in self.jobs for each in job.inputs)

    def fail(self, error: Exception) -> None:
        """End with an error for all jobs."""
        self.finish([as_server_error(error)] * len(self.jobs))

    def finish(self, results: Sequence[Result]) -> None:
        """End with a result for each job."""
        self.watch.lap()
        batch_size = sum(job.batch_size for job in self.jobs)
        self._statistics.executed(batch_size, self.watch.durations(self.jobs[0].queued, 0))
        try:
            for job, result in zip(self.jobs, results, strict=True):
                if not isinstance(job, PaddingJob):
                    self._respond(job, result)
        finally:
            self._ended()

    def _respond(self, job: Job, result: Result) -> None:
        durations = self.watch.durations(job.queued, job.decoding)
        if isinstance(result, Rescheduled):
            self._statistics.succeeded(job.batch_size, durations)
            self._schedule_again(job)
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

    def _schedule_again(self, job: Job) -> None:
        try:
            self._reschedule(job)
        except Exception as error:
            job.send(error=as_server_error(error), final=True)
