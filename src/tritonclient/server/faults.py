"""`FaultyInferenceServer`: for tests, records requests and injects faults."""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from .. import messages as m
from ..client.suggestions import RECEIVED_NAMES, no_attribute
from ..datatypes import Array, unpack
from ..errors import InferenceServerException, Unavailable
from .core import InferenceServer, T
from .inference import Responses
from .jobs.response import CancelFlag

#: Requests that are kept.
KEPT = 10_000
#: Seconds between looks whether a delayed request was cancelled.
_POLL_INTERVAL = 0.02


@dataclass(frozen=True, slots=True)
class ReceivedInference:
    """An inference request as the server received it.

    Attributes:
        inputs: arrays by name; copies. Inputs in shared memory are left out.
        outputs: names of the requested outputs; empty for all.
        parameters: all of the request's, with those of sequences, priority and timeout, and the
            forwarded headers.
    """

    model: str
    version: str
    id: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    parameters: Mapping[str, m.Parameter]

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, RECEIVED_NAMES)

    @classmethod
    def of(cls, request: m.Infer) -> ReceivedInference:
        """Return the record of a request."""
        inputs = {
            each.name: np.array(unpack(each.data, each.datatype, each.shape))
            for each in request.inputs
            if each.data is not None
        }
        outputs = tuple(each.name for each in request.outputs)
        return cls(
            request.model, request.version, request.id, inputs, outputs, dict(request.parameters)
        )


class Harm(Protocol):
    """Harms the connection that a request came on."""

    def __call__(self, peer: str) -> None:
        """Harm it.

        Args:
            peer: its address at the server's end.
        """
        ...


@dataclass(slots=True)
class Fault:
    """What happens to the next requests that match.

    Attributes:
        model: the model's name; None for any.
        kind: the type of request.
        times: how many requests it still concerns.
        error: the response to them, or None.
        delay: seconds before they are executed.
        harm: what is done to their connection, or None.
        executed: False if they are not executed.
    """

    model: str | None
    kind: type[m.Request[Any]]
    times: int
    error: InferenceServerException | None = None
    delay: float = 0
    harm: Harm | None = None
    executed: bool = True

    def matches(self, request: m.Request[Any]) -> bool:
        """Return True if the fault concerns this request."""
        named = getattr(request, "model", None)
        return isinstance(request, self.kind) and self.model in (None, named)


class FaultyInferenceServer(InferenceServer):
    """Serves models, and does to requests what was asked for with `add`.

    Attributes:
        requests: the last requests of every type, oldest first.
        inferences: those that were inferences, in a form to compare with.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.requests: deque[m.Request[Any]] = deque(maxlen=KEPT)
        self.inferences: deque[ReceivedInference] = deque(maxlen=KEPT)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        super().__init__(*arguments, **options)

    def add(self, fault: Fault) -> None:
        """Do this to the next requests that match, after what was asked for earlier."""
        with self._lock:
            self._faults.append(fault)

    def pending(self) -> list[Fault]:
        """Return the faults that no request has met yet, or fewer than they are for."""
        with self._lock:
            return list(self._faults)

    def clear(self) -> None:
        """Forget the faults and the recorded requests."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()
            self.inferences.clear()

    #: Requests go through `handle`, where a fault may delay them.
    may_block = True

    def handle(
        self, request: m.Request[T], cancelled: CancelFlag | None = None, peer: str = ""
    ) -> T:
        """Return the response to a request, unless a fault concerns it."""
        self._meet(request, cancelled, peer)
        return super().handle(request, cancelled, peer)

    def stream(
        self,
        request: m.Infer,
        cancelled: CancelFlag | None = None,
        peer: str = "",
        arrived: Callable[[], None] = lambda: None,
    ) -> Responses:
        """Start a request and return its responses, unless a fault concerns it."""
        try:
            self._meet(request, cancelled, peer)
        except InferenceServerException as error:
            return Responses(
                _raising(error), request, self._regions, cancelled or threading.Event()
            )
        return super().stream(request, cancelled, peer, arrived)

    def _meet(self, request: m.Request[Any], cancelled: CancelFlag | None, peer: str) -> None:
        """Record a request and do to it what was asked for.

        Raises:
            InferenceServerException: it is not to be executed.
        """
        fault = self._take(request)
        if fault is None:
            return
        end = time.monotonic() + fault.delay
        while (left := end - time.monotonic()) > 0 and not (cancelled and cancelled.is_set()):
            time.sleep(min(left, _POLL_INTERVAL))
        if fault.harm is not None:
            if not peer:
                raise RuntimeError(
                    "only the connection of a client can be harmed, and a local client has none; "
                    "use tritonclient.Client(server.http_url), or fail_next"
                )
            fault.harm(peer)
        if fault.error is not None:
            raise copy.copy(fault.error)
        if not fault.executed:
            raise Unavailable("the connection was closed by a fault", "503")

    def _take(self, request: m.Request[Any]) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            if isinstance(request, m.Infer):
                self.inferences.append(ReceivedInference.of(request))
            for fault in self._faults:
                if fault.matches(request):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None


def _raising(error: InferenceServerException) -> Callable[[], NoReturn]:
    def find() -> NoReturn:
        raise error

    return find
