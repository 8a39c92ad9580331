"""The program of a model's process: makes an instance and executes what the server sends.

The main thread runs the model's code, so that a model may handle signals.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from .....errors import InferenceServerException, Internal, ServerError
from ....jobs.errors import as_server_error
from ....jobs.model_info import ModelInfo
from ....jobs.response import Response
from ....telemetry.statistics import Stopwatch
from ...execution import Rescheduled, Result
from ..completion import completed
from ..instance import InstanceSource, PythonInstance
from ..loader import describe_error
from . import messages, spawned
from .channel import Body, Channel, Message
from .remote_host import RemoteHost, WorkerJob


def run(sock: socket.socket) -> None:
    """Serve one instance until the server closes it."""
    channel = Channel(sock, waits=True)
    host = RemoteHost(channel)
    # Otherwise the server would not see the end of this process while one that it forked lives.
    os.register_at_fork(after_in_child=sock.close)
    _ignore_signals()
    _forward_logs(host)
    worker = Worker(host)
    while worker.handle(host.task()):
        pass


class Worker:
    """Executes the messages of the server.

    Args:
        host: the server.
    """

    def __init__(self, host: RemoteHost) -> None:
        self._host = host
        self._process = os.getpid()
        self._model: ModelInfo | None = None
        self._instance: PythonInstance | None = None

    def _load(self, values: dict[str, Any]) -> None:
        """Complete a model's configuration, or make an instance."""
        path = Path(values["path"])
        spawned.announce(path.parent)
        source = InstanceSource(
            values["name"],
            values["model"],
            values["version"],
            Path(values["directory"]),
            path,
            values["config"],
            path.parent.name,
        )
        self._model = ModelInfo(source.model, source.version, 0, {}, {}, values["decoupled"], {})
        config = None
        try:
            if values["mode"] == "complete":
                config = completed(source, self._host)
            else:
                self._instance = PythonInstance(source, self._host)
        except BaseException as error:
            self._check_process()
            self._host.send({"kind": "failed", **_failure(error)})
            raise SystemExit from None
        self._check_process()
        asks = self._instance is not None and self._instance.has_is_ready
        self._host.send({"kind": "ready", "config": config, "has_is_ready": asks})

    def _check_process(self) -> None:
        """End a process that the model forked and that returned from the model's code."""
        if os.getpid() != self._process:
            os._exit(0)

    def handle(self, message: Message) -> bool:
        """Do what a message asks for; return False after the last."""
        if message.values["kind"] == "execute":
            self._execute(message)
            return True
        if message.values["kind"] == "is_ready":
            assert self._instance is not None
            ready = self._instance.is_ready()
            self._check_process()
            question = message.values["question"]
            self._host.send({"kind": "is_ready", "question": question, "ready": ready})
            return True
        if message.values["kind"] == "load":
            self._load(message.values)
            return True
        failure: dict[str, Any] = {}
        try:
            if self._instance is not None:
                self._instance.close()
        except BaseException as error:
            failure = _failure(error)
        self._check_process()
        self._host.send({"kind": "closed", **failure})
        return False

    def _execute(self, message: Message) -> None:
        assert self._instance is not None
        begin = time.monotonic_ns()
        watch = Stopwatch()
        jobs = [self._job(each, message) for each in message.values["jobs"]]
        body = Body()
        values: dict[str, Any] = {"kind": "results", "batch": message.values["batch"]}
        try:
            results = self._instance.execute(jobs, watch)
            values["results"] = self._results(jobs, results, body)
        except BaseException as error:
            body = Body()
            for job in jobs:
                job.finish()
            failure = as_server_error(error) if isinstance(error, Exception) else _raised(error)
            values["error"] = messages.error_values(failure)
        self._check_process()
        took = time.monotonic_ns() - begin
        self._host.send({**values, "laps": watch.laps(), "took": took}, body)

    def _job(self, values: dict[str, Any], message: Message) -> WorkerJob:
        assert self._model is not None
        return WorkerJob(
            self._host,
            values["number"],
            self._model,
            messages.tensors(values["inputs"], message),
            messages.options(values),
            values.get("batch_size", 1),
            padding=values.get("padding", False),
        )

    def _results(
        self, jobs: Sequence[WorkerJob], results: Sequence[Result], body: Body
    ) -> list[Any]:
        return [_result(job, result, body) for job, result in zip(jobs, results, strict=True)]


def _result(job: WorkerJob, result: Result, body: Body) -> Any:
    """Return the result of a job as values: None if its responses are sent separately."""
    if result is None:
        return None
    job.finish()
    if isinstance(result, Rescheduled):
        return "rescheduled"
    if isinstance(result, InferenceServerException):
        response = Response(error=result, final=True)
    elif isinstance(result, Response):
        response = result._replace(outputs=job.wanted(result.outputs or ()), final=True)
    else:
        response = Response(job.wanted(result), final=True)
    return messages.response_values(response, body)


def _raised(error: BaseException) -> InferenceServerException:
    return Internal(describe_error(error), "500")


def _failure(error: BaseException) -> dict[str, Any]:
    """Return an error of loading or closing as values."""
    if isinstance(error, (ValueError, OSError)):
        return {"invalid": str(error)}
    if not isinstance(error, InferenceServerException):
        error = ServerError(f"Internal: {describe_error(error)}", "400")
    return {"error": messages.error_values(error)}


def _ignore_signals() -> None:
    """Ignore what a model sends to itself, as in Triton; the server ends its processes itself.

    They end a process that the model forks, which pools of `multiprocessing` rely on. They wait
    while it is forked: a handler in Python could miss one that comes before the process runs.
    """
    signals = (signal.SIGINT, signal.SIGTERM)
    kept = threading.local()

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    def before() -> None:
        kept.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept.mask)

    def after_in_child() -> None:
        for number in signals:
            if signal.getsignal(number) is ignore:  # otherwise it is the model's own
                signal.signal(number, signal.SIG_DFL)
        after()

    for number in signals:
        signal.signal(number, ignore)
    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


class _ServerLog(logging.Handler):
    """Gives records to the loggers of the server."""

    def __init__(self, host: RemoteHost) -> None:
        super().__init__()
        self._host = host
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if os.getpid() != self._process:
            sys.stderr.write(f"{text}\n")
            return
        values = {"kind": "log", "logger": record.name, "level": record.levelno, "text": text}
        self._host.send(values)


def _forward_logs(host: RemoteHost) -> None:
    logger = logging.getLogger("tritonclient")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_ServerLog(host))
