"""`Dispatcher`: gives what a model's process sends to the requests and models that wait for it."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .....errors import InferenceServerException
from ....jobs.host import Host
from ....jobs.job import Job, PaddingJob
from ....jobs.response import Response
from ....telemetry.statistics import Stopwatch
from ...base import RESCHEDULED, Result
from . import messages
from .calls import Calls
from .channel import Body, Channel, Message
from .strand import Strand

_log = logging.getLogger(__name__)

#: Seconds for which the thread of the process leaves messages to the thread that executes.
_PAUSE = 0.01
#: Seconds that a model has to say whether it is ready; meanwhile it may execute.
_READY_TIMEOUT = 10.0


class ProcessEnded(Exception):
    """The process has ended, or sent what cannot be read."""


class Dispatcher:
    """Requests to one process, and what comes back.

    Attributes:
        wrong: why what the process sent cannot be read; "" if it can.

    Args:
        channel: the channel to the process.
        host: the server, which the model may call.
        lifecycle: called with the messages "ready", "failed" and "closed"; returns True to end
            `receive`.
        decoupled: True if most of what comes is no result of `execute`.
    """

    def __init__(
        self,
        channel: Channel,
        host: Host,
        lifecycle: Callable[[Message], bool],
        *,
        decoupled: bool = False,
    ) -> None:
        self._channel = channel
        self._host = host
        self._lifecycle = lifecycle
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._ended = False
        self.wrong = ""
        # The thread that waits for results receives them itself, which saves a switch of threads.
        self._receives = not decoupled
        self._executing = False
        self._executed = False
        self._wake = threading.Event()
        self._receiving = threading.Lock()
        self._jobs: dict[int, tuple[Job, Strand | None]] = {}
        self._batches: dict[int, queue.SimpleQueue[Message | None]] = {}
        self._calls = Calls(host, self.send)

    def send(self, values: dict[str, Any], body: Body | None = None) -> None:
        """Send a message; whoever receives notices that the process has ended."""
        try:  # noqa: SIM105  # `suppress` is slower
            self._channel.send(values, body)
        except OSError:
            pass

    # Execution

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> list[Result]:
        """Execute a batch and return a result for each job.

        Raises:
            ProcessEnded: there is none, because the process has ended.
            InferenceServerException: the model failed.
        """
        batch = next(self._numbers)
        numbers = [next(self._numbers) for _ in jobs]
        results: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        body = Body()
        values = [_job_values(*each, body) for each in zip(numbers, jobs, strict=True)]
        entries = {
            number: (job, self._strand(number, job))
            for number, job in zip(numbers, jobs, strict=True)
            if not isinstance(job, PaddingJob)
        }
        with self._lock:
            if self._ended:
                raise ProcessEnded
            self._batches[batch] = results
            self._jobs.update(entries)
        self._executing = self._receives
        self.send({"kind": "execute", "batch": batch, "jobs": values}, body)
        if self._receives:
            if self._receive(results):
                results.put(None)
            self._executing, self._executed = False, True
        message = results.get()
        if message is None:
            raise ProcessEnded
        try:
            return self._results(numbers, message, watch)
        except InferenceServerException:
            raise
        except Exception as error:
            self._note_wrong(error)
            raise ProcessEnded from error

    def _strand(self, number: int, job: Job) -> Strand | None:
        """Return what delivers the responses to a job; None if that has only one."""
        if not job.model.decoupled:
            return None
        return Strand(partial(_send, job), partial(self._acknowledge, number))

    def is_ready(self) -> bool:
        """Ask the model whether it is ready; one that executes for long counts as ready."""
        batch = next(self._numbers)
        answer: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            if self._ended:
                return False
            self._batches[batch] = answer
        self.send({"kind": "is_ready", "batch": batch})
        try:
            message = answer.get(timeout=_READY_TIMEOUT)
        except queue.Empty:
            return True
        return message is not None and bool(message.values["ready"])

    def _results(self, numbers: Sequence[int], message: Message, watch: Stopwatch) -> list[Result]:
        values = message.values
        watch.add([int(each) for each in values["laps"][:2]])
        failure = values.get("error")
        if failure is not None:
            self._forget(numbers)
            raise messages.error(failure)
        results = [_result(each, message) for each in values["results"]]
        if len(results) != len(numbers):
            raise ProcessEnded
        answered = [
            number for number, result in zip(numbers, results, strict=True) if result is not None
        ]
        if len(answered) < len(numbers):
            # Responses follow, which no thread may be waiting for.
            self._executed = False
            self._wake.set()
        self._forget(answered)
        return results

    def _forget(self, numbers: Sequence[int]) -> None:
        with self._lock:
            for number in numbers:
                self._jobs.pop(number, None)

    def _acknowledge(self, number: int, count: int) -> None:
        self.send({"kind": "acknowledge", "job": number, "count": count})

    # Receiving

    def receive(self) -> str:
        """Dispatch what the process sends until it ends; return what was wrong with it, or ""."""
        while True:
            self._channel.wait()
            if self._executing or self._executed:
                # An execution is quicker without this thread, and often another one follows.
                self._executed = False
                self._wake.wait(_PAUSE)
                self._wake.clear()
            elif self._receive():
                return self.wrong

    def _receive(self, results: queue.SimpleQueue[Message | None] | None = None) -> bool:
        """Dispatch what has arrived, or one message; return True after the last message.

        Args:
            results: None, or what to wait for.
        """
        with self._receiving:
            waits = self._channel.wait(0) if results is None else results.empty()
            try:
                while waits or self._channel.has_message():
                    message = self._channel.receive()
                    if message is None or self._dispatch(message):
                        return True
                    waits = results is not None and results.empty()
            except Exception as error:
                self._note_wrong(error)
                return True
        return False

    def _note_wrong(self, error: Exception) -> None:
        _log.debug("a process is ended", exc_info=error)
        self.wrong = f"it sent what cannot be read: {type(error).__name__}: {error}"

    def _dispatch(self, message: Message) -> bool:
        """Do what a message asks for; return True after the last."""
        values = message.values
        if "dropped" in values:
            self._forget(values["dropped"])
        if "released" in values:
            self._calls.release(values["released"])
        kind = values["kind"]
        if kind == "results":
            with self._lock:
                batch = self._batches.pop(values["batch"])
            batch.put(message)
        elif kind == "response":
            self._respond(values["job"], messages.response(values, message))
        elif kind == "is_cancelled":
            entry = self._jobs.get(values["job"])
            result = entry is not None and entry[0].cancelled
            self.send({"kind": "answer", "question": values["question"], "result": result})
        elif kind == "log":
            logging.getLogger(values["logger"]).log(values["level"], "%s", values["text"])
        elif kind in ("ready", "failed", "closed"):
            return self._lifecycle(message)
        else:
            self._calls.take(kind, message)
        return False

    def _respond(self, number: int, response: Response) -> None:
        with self._lock:
            entry = self._jobs.get(number)
            if entry is not None and response.final:
                del self._jobs[number]
        if entry is None:
            return
        job, strand = entry
        if strand is not None:
            strand.put(response)
        else:
            # The job keeps it until the execution ends.
            _send(job, response)

    def end(self, error: InferenceServerException) -> None:
        """Fail what waits for the process, which has ended."""
        with self._lock:
            self._ended = True
            jobs, self._jobs = self._jobs, {}
            batches, self._batches = self._batches, {}
        self._calls.end()
        for batch in batches.values():
            batch.put(None)
        failure = Response(error=error, final=True)
        for job, strand in jobs.values():
            if strand is not None:
                strand.put(failure)
            else:
                _send(job, failure)


def _job_values(number: int, job: Job, body: Body) -> dict[str, Any]:
    values = messages.option_values(job.options)
    values["number"] = number
    values["inputs"] = messages.tensor_values(job.inputs, body)
    if job.batch_size != 1:
        values["batch_size"] = job.batch_size
    if isinstance(job, PaddingJob):
        values["padding"] = True
    return values


def _send(job: Job, response: Response) -> None:
    outputs, error, final, parameters = response
    job.send(outputs, error, final=final, parameters=parameters)


def _result(values: Any, message: Message) -> Result:
    if values is None:
        return None
    if values == "rescheduled":
        return RESCHEDULED
    return messages.response(values, message)
