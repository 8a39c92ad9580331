"""`Calls`: what a model in a process of its own asks of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ..... import messages as m
from ....jobs.errors import as_server_error
from ....jobs.host import Host
from ....jobs.job import Job
from ....jobs.response import Response
from ....telemetry.metrics import MetricsError
from . import messages
from .channel import Body, Message
from .strand import WINDOW


class _Call:
    """A request of the model to another.

    Attributes:
        cancelled: its cancel flag.
        job: None until it is started.
        unacknowledged: responses that the model's process has not taken yet.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.job: Job | None = None
        self.unacknowledged = 0


class Calls:
    """The calls of one process.

    Args:
        host: the server.
        send: sends a message to the process.
    """

    def __init__(self, host: Host, send: Callable[[dict[str, Any], Body | None], None]) -> None:
        self._host = host
        self._send = send
        self._changed = threading.Condition()
        self._ended = False
        self._calls: dict[int, _Call] = {}
        self._metrics = host.metrics()

    def take(self, kind: str, message: Message) -> None:
        """Do what a message asks for; KeyError if there is no such message."""
        values = message.values
        if kind == "metrics":
            self._answer(values, partial(self._use_metrics, values["method"], values["arguments"]))
        elif kind == "model_info":
            self._answer(values, partial(self._model_info, values["name"], values["version"]))
        elif kind == "submit":
            self._answer(values, partial(self._submit, values["call"], message))
        elif kind == "acknowledge":
            with self._changed:
                call = self._calls.get(values["call"])
                if call is not None:
                    call.unacknowledged -= values["count"]
                    self._changed.notify_all()
        elif kind in ("cancel", "abandon"):
            self._cancel(values["call"], abandon=kind == "abandon")
        else:
            request = _REQUESTS[kind](message)
            # Loading waits for the model's own requests, for instance.
            threading.Thread(
                target=self._answer,
                args=(values, lambda: {"result": self._host.handle(request)}),
                name=kind,
                daemon=True,
            ).start()

    def _answer(self, values: dict[str, Any], ask: Callable[[], dict[str, Any]]) -> None:
        try:
            answer = ask()
        except Exception as error:
            answer = {"error": messages.error_values(as_server_error(error))}
        self._send({"kind": "answer", "question": values["question"], **answer}, None)

    def _use_metrics(self, method: str, arguments: list[Any]) -> dict[str, Any]:
        metrics = self._metrics
        methods: dict[str, Callable[..., Any]] = {
            "define": metrics.define,
            "create": metrics.create,
            "apply": metrics.apply,
        }
        try:
            return {"result": methods[method](*arguments)}
        except MetricsError as error:
            return {"refused": str(error)}

    def release(self, metrics: list[Any]) -> None:
        """End holds of the model on metrics."""
        for family, labels in metrics:
            self._metrics.release(family, labels)

    def _model_info(self, name: str, version: str) -> dict[str, Any]:
        info = self._host.model_info(name, version)
        return {"version": info.version, "decoupled": info.decoupled}

    def _submit(self, number: int, message: Message) -> dict[str, Any]:
        values = message.values
        name, version = values["name"], values["version"]
        single = not self._host.model_info(name, version).decoupled
        tensors = messages.tensors(values["inputs"], message)
        call = _Call()
        options = replace(messages.options(values), cancelled=call.cancelled)
        with self._changed:
            self._calls[number] = call
        sink = partial(self._respond, number, call, single)
        try:
            call.job = self._host.submit(name, version, tensors, options, sink)
        except BaseException:
            with self._changed:
                self._calls.pop(number, None)
            raise
        with self._changed:
            abandoned = self._ended
        if abandoned:
            call.job.abandon()
        return {}

    def _respond(self, number: int, call: _Call, single: bool, response: Response) -> None:
        # A model that is not decoupled may send its only response without marking it final.
        if single:
            response = response._replace(final=True)
        with self._changed:
            self._changed.wait_for(
                lambda: call.unacknowledged < WINDOW or self._calls.get(number) is not call
            )
            if self._calls.get(number) is not call:
                return
            call.unacknowledged += 1
            if response.final:
                del self._calls[number]
        body = Body()
        values = messages.response_values(response, body)
        self._send({"kind": "response", "call": number, **values}, body)

    def _cancel(self, number: int, *, abandon: bool) -> None:
        with self._changed:
            call = self._calls.get(number)
            if call is not None and abandon:
                del self._calls[number]
                self._changed.notify_all()
        if call is not None:
            call.cancelled.set()
            if abandon and call.job is not None:
                call.job.abandon()

    def end(self) -> None:
        """Abandon all calls, and release the metrics."""
        self._metrics.close()
        with self._changed:
            self._ended = True
            numbers = list(self._calls)
        for number in numbers:
            self._cancel(number, abandon=True)


def _load(message: Message) -> m.LoadModel:
    values = message.values
    files = {path: bytes(message.part(*place)) for path, place in values["files"].items()}
    return m.LoadModel(values["name"], values["config"], files)


_REQUESTS: dict[str, Callable[[Message], m.Request[Any]]] = {
    "load_model": _load,
    "unload_model": lambda message: m.UnloadModel(
        message.values["name"], message.values["dependents"]
    ),
    "is_model_ready": lambda message: m.IsModelReady(
        message.values["name"], message.values["version"]
    ),
}
