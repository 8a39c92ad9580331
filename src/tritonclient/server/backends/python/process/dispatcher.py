"""`Dispatcher`: gives what a model's process sends to the requests and models that wait for it."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ....jobs.errors import as_server_error
from ....jobs.host import Host
from ....jobs.job import Job, PaddingJob
from ....jobs.response import Response
from ....loop import ServerLoop
from ...execution import RESCHEDULED, Execution, Result
from . import messages
from .calls import Calls
from .channel import Body, Channel, Message
from .strand import Strand, Turn

_log = logging.getLogger(__name__)

#: Seconds that a model has to say whether it is ready; meanwhile it may execute.
_READY_TIMEOUT = 10.0


class _Wrong(Exception):
    """The process sent results that do not fit the jobs."""


class Dispatcher:
    """Requests to one process, and what comes back.

    Args:
        channel: the channel to the process.
        host: the server, which the model may call.
        loop: reads the channel. What this calls must not wait for the process.
        lifecycle: called with the messages "ready", "failed" and "closed"; returns True to end
            `receive`.
        executed: called with the nanoseconds that a batch took, before its results are.
    """

    def __init__(
        self,
        channel: Channel,
        host: Host,
        loop: ServerLoop,
        lifecycle: Callable[[Message], bool],
        executed: Callable[[int], None] = lambda took: None,
    ) -> None:
        self._channel = channel
        self._host = host
        self._loop = loop
        self._lifecycle = lifecycle
        self._executed = executed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._ended = False
        self._flushes = False  # in this turn of the loop
        self._wrong = ""
        self._last = threading.Event()
        self._jobs: dict[int, tuple[Job, Turn | None]] = {}
        # In the order in which they began, which is that of the process.
        self._batches: dict[int, tuple[Execution, list[int]]] = {}
        self._idle_since = 0  # when the last batch was executed
        self._questions: dict[int, queue.SimpleQueue[Message | None]] = {}
        self._calls = Calls(host, self.send)

    def send(self, values: dict[str, Any], body: Body | None = None) -> None:
        """Send a message; whoever receives notices that the process has ended."""
        try:  # noqa: SIM105  # `suppress` is slower
            self._channel.send(values, body)
        except OSError:
            pass

    # Execution

    def begin(self, execution: Execution) -> bool:
        """Begin a batch; return False if the process has ended.

        Raises:
            OSError, MemoryError: there is no memory or no descriptor for the inputs.
        """
        jobs = execution.jobs
        batch = next(self._numbers)
        numbers = [next(self._numbers) for _ in jobs]
        body = Body()
        values = [_job_values(*each, body) for each in zip(numbers, jobs, strict=True)]
        entries = {
            number: (job, self._turn(number, job))
            for number, job in zip(numbers, jobs, strict=True)
            if not isinstance(job, PaddingJob)
        }
        with self._lock:
            if self._ended:
                return False
            busy = bool(self._batches)
            self._batches[batch] = execution, numbers
            self._jobs.update(entries)
        # A process that has work does not need the next batch at once: those of one turn of the
        # loop are sent together, as each wakes the process.
        hold = busy and self._loop.is_current()
        try:
            self._channel.send({"kind": "execute", "batch": batch, "jobs": values}, body, hold=hold)
        except ConnectionError:
            pass  # whoever receives notices that the process has ended
        except (OSError, MemoryError):
            if self._withdraw(batch, numbers):
                raise
        if hold and not self._flushes:
            self._flushes = True
            self._loop.events.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flushes = False
        self._channel.flush()

    def _withdraw(self, batch: int, numbers: Sequence[int]) -> bool:
        """Forget a batch that was not sent; return False if the process has ended meanwhile."""
        with self._lock:
            found = self._batches.pop(batch, None)
        self._forget(numbers)
        return found is not None

    def _turn(self, number: int, job: Job) -> Turn | None:
        """Return what delivers the responses to a job; None if that has only one."""
        if not job.model.decoupled:
            return None
        if not isinstance(job.queue, Strand):  # otherwise it was executed before
            job.queue = Strand(job.deliver)
        return Turn(job.queue, partial(self._acknowledge, number))

    def is_ready(self) -> bool:
        """Ask the model whether it is ready; one that executes for long counts as ready."""
        number = next(self._numbers)
        answer: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            if self._ended:
                return False
            self._questions[number] = answer
        self.send({"kind": "is_ready", "question": number})
        try:
            message = answer.get(timeout=_READY_TIMEOUT)
        except queue.Empty:
            return True
        return message is not None and bool(message.values["ready"])

    def _finish(self, message: Message) -> None:
        """Give the results of a batch to its jobs."""
        values = message.values
        laps = [int(each) for each in values["laps"][:2]]
        took = int(values["took"])
        with self._lock:
            execution, numbers = self._batches[values["batch"]]
        failure = values.get("error")
        if failure is None:
            results: Sequence[Result] = [_result(each, message) for each in values["results"]]
        else:
            results = [messages.error(failure)] * len(numbers)
        if len(results) != len(numbers):
            raise _Wrong(f"{len(results)} results for {len(numbers)} requests")
        with self._lock:
            del self._batches[values["batch"]]
            for number, result in zip(numbers, results, strict=True):
                if result is not None:
                    self._jobs.pop(number, None)
        # Until then it waited in the process.
        execution.watch.begin_after(self._idle_since)
        execution.watch.add(laps)
        self._idle_since = laps[-1] if laps else 0
        self._executed(took)
        execution.finish(results)

    def _forget(self, numbers: Sequence[int]) -> None:
        with self._lock:
            for number in numbers:
                self._jobs.pop(number, None)

    def _acknowledge(self, number: int, count: int) -> None:
        self.send({"kind": "acknowledge", "job": number, "count": count})

    # Receiving

    def receive(self) -> str:
        """Dispatch what the process sends until it ends; return what was wrong with it, or ""."""
        self._loop.call(self._begin_reading)
        self._last.wait()
        return self._wrong

    def _begin_reading(self) -> None:
        self._loop.events.add_reader(self._channel.fileno(), self._read)
        self._take_messages(open=True)

    def _read(self) -> None:
        try:
            open = self._channel.fill()
        except Exception as error:
            self._end_reading(error)
        else:
            self._take_messages(open=open)

    def _take_messages(self, *, open: bool) -> None:
        """Dispatch the messages that are there; leave a large one to another thread."""
        try:
            while self._channel.has_message():
                if self._channel.next_is_large():
                    self._loop.events.remove_reader(self._channel.fileno())
                    self._loop.in_thread(self._take_large)
                    return
                message = self._channel.receive()
                if message is None or self._dispatch(message):
                    open = False
                    break
        except Exception as error:
            self._end_reading(error)
            return
        if not open:
            self._end_reading()

    def _take_large(self) -> None:
        """Dispatch one message on a thread, while the loop does not read."""
        try:
            message = self._channel.receive()
            last = message is None or self._dispatch(message)
        except Exception as error:
            self._loop.call(self._end_reading, error)
            return
        self._loop.call(self._end_reading if last else self._begin_reading)

    def _end_reading(self, error: Exception | None = None) -> None:
        if error is not None:
            _log.debug("a process is ended", exc_info=error)
            self._wrong = f"it sent what cannot be read: {type(error).__name__}: {error}"
        self._loop.events.remove_reader(self._channel.fileno())
        self._last.set()

    def _dispatch(self, message: Message) -> bool:
        """Do what a message asks for; return True after the last."""
        values = message.values
        if "dropped" in values:
            self._forget(values["dropped"])
        if "released" in values:
            self._calls.release(values["released"])
        kind = values["kind"]
        if kind == "results":
            self._finish(message)
        elif kind == "is_ready":
            with self._lock:
                question = self._questions.pop(values["question"])
            question.put(message)
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
        job, turn = entry
        if turn is not None:
            turn.put(response)
        else:
            # The job keeps it until the execution ends.
            _send(job, response)

    def end(self, error: Exception) -> list[Execution]:
        """Fail what waits for the process, which has ended.

        Returns:
            The batches that it did not begin: all but the first.
        """
        with self._lock:
            self._ended = True
            batches = [*self._batches.values()]
            self._batches.clear()
            first, others = batches[:1], batches[1:]
            for _, numbers in others:
                for number in numbers:
                    self._jobs.pop(number, None)
            jobs, self._jobs = self._jobs, {}
            questions, self._questions = self._questions, {}
        self._calls.end()
        for question in questions.values():
            question.put(None)
        failure = Response(error=as_server_error(error), final=True)
        for job, _ in jobs.values():
            _send(job, failure)
        for execution, _ in first:
            execution.fail(error)
        return [execution for execution, _ in others]


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
