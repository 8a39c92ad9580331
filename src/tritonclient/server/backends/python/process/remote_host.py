"""`RemoteHost`: the server, as seen by a model in a process of its own."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from .....errors import InferenceServerException, Unimplemented
from .....messages import (
    IsModelReady,
    LoadModel,
    Parameter,
    Request,
    UnloadModel,
)
from .....operations import NO_PARAMETERS
from ....jobs.job import Job, JobOptions
from ....jobs.model_info import ModelInfo
from ....jobs.response import CancelSwitch, Response, ResponseSink
from ....jobs.tensor import Tensor
from ....telemetry.metrics import MetricsError
from . import messages
from .channel import Body, Channel, Message
from .strand import WINDOW, Strand, Turn

T = TypeVar("T")


class RemoteHost:
    """Asks the server, and receives what it sends.

    One thread at a time receives: one that waits for an answer, or the thread that `submit` starts.

    Args:
        channel: the channel to the server.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._state = threading.Condition()
        self._receiving = False
        self._thread: threading.Thread | None = None
        self._answers: dict[int, Message] = {}
        self._calls: dict[int, Turn] = {}
        self._unacknowledged: dict[int, int] = {}
        self._tasks: deque[Message] = deque()
        #: Numbers of jobs that the model has dropped without a last response.
        self.dropped: deque[int] = deque()
        #: Metrics that the model has released.
        self.released: deque[tuple[str, dict[str, str]]] = deque()

    # Messages

    def send(self, values: dict[str, Any], body: Body | None = None) -> None:
        """Send a message; the process ends if the server is gone."""
        for name, noted in (("dropped", self.dropped), ("released", self.released)):
            if noted:
                values[name] = [noted.popleft() for _ in range(len(noted))]
        try:
            self._channel.send(values, body)
        except OSError:
            os._exit(0)

    def task(self) -> Message:
        """Return the next message that is neither an answer nor a response."""
        self._wait(lambda: bool(self._tasks))
        return self._tasks.popleft()

    def ask(self, values: dict[str, Any], body: Body | None = None) -> Message:
        """Send a question and return the answer; raise its error."""
        number = next(self._numbers)
        self.send({**values, "question": number}, body)
        self._wait(lambda: number in self._answers)
        answer = self._answers.pop(number)
        problem = answer.values.get("error")
        if problem is not None:
            raise messages.error(problem)
        return answer

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Receive until `ready`, or wait while another thread receives."""
        with self._state:
            while not ready():
                if self._receiving:
                    self._state.wait()
                    continue
                self._receiving = True
                self._state.release()
                try:
                    message = self._channel.receive()
                    if message is None:
                        os._exit(0)  # the server is gone
                    self._take(message)
                finally:
                    self._state.acquire()
                    self._receiving = False
                    self._state.notify_all()

    def _take(self, message: Message) -> None:
        kind = message.values["kind"]
        if kind == "answer":
            self._answers[message.values["question"]] = message
        elif kind == "response":
            call = message.values["call"]
            turn = self._calls.get(call)
            if turn is not None:
                response = messages.response(message.values, message)
                if response.final:
                    del self._calls[call]
                turn.put(response)
        elif kind == "acknowledge":
            job = message.values["job"]
            if job in self._unacknowledged:
                self._unacknowledged[job] -= message.values["count"]
        else:
            self._tasks.append(message)

    # Responses to the jobs of this process

    def respond(self, job: int, response: Response) -> None:
        """Send a response to a job; wait while the server's reader has no room."""
        body = Body()
        values = messages.response_values(response, body)
        with self._state:
            self._unacknowledged.setdefault(job, 0)
        self._wait(lambda: self._unacknowledged.get(job, 0) < WINDOW)
        with self._state:
            if response.final:
                self._unacknowledged.pop(job, None)
            elif job in self._unacknowledged:
                self._unacknowledged[job] += 1
        self.send({"kind": "response", "job": job, **values}, body)

    # `Host`

    def model_info(self, name: str, version: str = "") -> ModelInfo:
        """Return what a model needs to know of another; NotFound if that is not ready."""
        answer = self.ask({"kind": "model_info", "name": name, "version": version}).values
        return ModelInfo(name, answer["version"], 0, {}, {}, answer["decoupled"], {})

    def submit(
        self,
        name: str,
        version: str,
        tensors: Sequence[Tensor],
        options: JobOptions,
        sink: ResponseSink,
    ) -> Job:
        """Start a request to a model and return its job; the responses go to `sink`."""
        call = next(self._numbers)
        self._calls[call] = Turn(Strand(sink), partial(self._acknowledge, call))
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._wait, args=(lambda: False,), name="responses", daemon=True
            )
            self._thread.start()
        body = Body()
        values = {
            "kind": "submit",
            "call": call,
            "name": name,
            "version": version,
            "inputs": messages.tensor_values(tensors, body),
            **messages.option_values(options),
        }
        try:
            self.ask(values, body)
        except InferenceServerException:
            self._calls.pop(call, None)
            raise
        if isinstance(options.cancelled, CancelSwitch):
            options.cancelled.watch(partial(self.send, {"kind": "cancel", "call": call}))
        info = ModelInfo(name, 0, 0, {}, {}, True, {})
        return _Call(info, options, partial(self._abandon, call))

    def _acknowledge(self, call: int, count: int) -> None:
        self.send({"kind": "acknowledge", "call": call, "count": count})

    def _abandon(self, call: int) -> None:
        if self._calls.pop(call, None) is not None:
            self.send({"kind": "abandon", "call": call})

    def handle(self, request: Request[T]) -> T:
        """Return the response to a request that concerns models.

        Raises:
            Unimplemented: it is another request.
        """
        body = Body()
        values: dict[str, Any]
        if isinstance(request, LoadModel):
            files = {path: body.add(data) for path, data in request.files.items()}
            values = {"name": request.model, "config": request.config, "files": files}
            kind = "load_model"
        elif isinstance(request, UnloadModel):
            values = {"name": request.model, "dependents": request.unload_dependents}
            kind = "unload_model"
        elif isinstance(request, IsModelReady):
            values = {"name": request.model, "version": request.version}
            kind = "is_model_ready"
        else:
            raise Unimplemented(f"a model cannot send {type(request).__name__}", "501")
        answer = self.ask({"kind": kind, **values}, body)
        return cast(T, answer.values["result"])

    def metrics(self) -> RemoteMetrics:
        """Return the metrics of this process's instance."""
        return RemoteMetrics(self)


class RemoteMetrics:
    """The metrics of the server, as a `MetricsClient`."""

    def __init__(self, host: RemoteHost) -> None:
        self._host = host

    def define(self, family: str, description: str, kind: str) -> None:
        """Make a family, unless it is there."""
        self._ask("define", [family, description, kind])

    def create(
        self, family: str, labels: Mapping[str, str], buckets: Sequence[float] | None
    ) -> None:
        """Make a metric, or hold the one with these labels once more."""
        self._ask("create", [family, dict(labels), buckets])

    def release(self, family: str, labels: Mapping[str, str]) -> None:
        """End one hold on a metric, at the latest with the next message to the server."""
        self._host.released.append((family, dict(labels)))

    def apply(
        self, operation: str, family: str, labels: Mapping[str, str], value: float = 0.0
    ) -> float:
        """Do what `operation` says; return the value."""
        return float(self._ask("apply", [operation, family, dict(labels), value]))

    def close(self) -> None:
        """Leave the metrics to the server, which releases them when this process ends."""

    def _ask(self, method: str, arguments: list[Any]) -> Any:
        values = {"kind": "metrics", "method": method, "arguments": arguments}
        answer = self._host.ask(values).values
        if "refused" in answer:
            raise MetricsError(answer["refused"])
        return answer["result"]


class _Call(Job):
    """A request to another model."""

    def __init__(self, info: ModelInfo, options: JobOptions, abandon: Callable[[], None]) -> None:
        super().__init__(info, (), options, 1, lambda response: None)
        self.on_settled = abandon


class WorkerJob(Job):
    """A job of the server in the process that executes it.

    Args:
        number: the job's number in messages.
        padding: True if its responses are dropped.
    """

    __slots__ = ("_finished", "_host", "_known_cancelled", "_number", "_padding")

    def __init__(
        self,
        host: RemoteHost,
        number: int,
        model: ModelInfo,
        inputs: Sequence[Tensor],
        options: JobOptions,
        batch_size: int,
        *,
        padding: bool,
    ) -> None:
        super().__init__(model, inputs, options, batch_size, lambda response: None)
        self._host = host
        self._number = number
        self._padding = padding
        self._finished = padding
        self._known_cancelled = False

    @property
    def cancelled(self) -> bool:
        """True if the client no longer waits for responses; asks the server."""
        if not self._known_cancelled and not self._padding:
            answer = self._host.ask({"kind": "is_cancelled", "job": self._number})
            self._known_cancelled = answer.values["result"]
        return self._known_cancelled

    def send(
        self,
        outputs: Sequence[Tensor] | None = None,
        error: InferenceServerException | None = None,
        *,
        final: bool,
        parameters: Mapping[str, Parameter] = NO_PARAMETERS,
    ) -> None:
        """Send a response; nothing is sent after the final."""
        if self._finished:
            return
        self._finished = final
        wanted = None if outputs is None else self.wanted(outputs)
        self._host.respond(self._number, Response(wanted, error, final, parameters))

    def wanted(self, outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return those outputs that were requested."""
        return tuple(each for each in outputs if each.name in self.options.outputs)

    def finish(self) -> None:
        """Note that the result has ended the responses."""
        self._finished = True

    def __del__(self) -> None:
        # Sent with the next message: this may run on any thread, at any time.
        if not getattr(self, "_finished", True):
            self._host.dropped.append(self._number)
