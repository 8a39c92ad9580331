"""A response to a job, and what receives it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from ...errors import InferenceServerException
from ...messages import Parameter
from ...operations import NO_PARAMETERS
from .tensor import Tensor


class ResponseQueue(Protocol):
    """Responses on their way to a sink."""

    def put(self, response: Response) -> None:
        """Deliver a response after those before it, without waiting; drop it after the final."""


class CancelFlag(Protocol):
    """The readable half of a `threading.Event` that is set to cancel a request."""

    def is_set(self) -> bool:
        """Return True if the request is cancelled."""
        ...


class CancelSwitch(threading.Event):
    """A cancel flag that calls whoever watches it when it is set."""

    def __init__(self) -> None:
        super().__init__()
        self._watcher: Callable[[], None] | None = None

    def set(self) -> None:
        """Cancel the request."""
        first = not self.is_set()
        super().set()
        if first:
            self._notify()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` once the flag is set, at once if it is."""
        self._watcher = watcher
        if self.is_set():
            self._notify()

    def _notify(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher()


class Response(NamedTuple):
    """One response to a job: outputs, an error, or neither if it only ends the responses.

    Attributes:
        final: True if no response follows.
        parameters: those that the model gives to the client.
    """

    outputs: tuple[Tensor, ...] | None = None
    error: InferenceServerException | None = None
    final: bool = False
    parameters: Mapping[str, Parameter] = NO_PARAMETERS


#: Called with each response, on any thread; it may block until the reader has room.
ResponseSink: TypeAlias = Callable[[Response], None]
