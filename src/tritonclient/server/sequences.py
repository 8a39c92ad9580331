"""Sequences: requests that belong together and go to one instance of their model, in order.

A sequence takes a slot of an instance with its first request and gives it back with its last, or
when nothing has come for too long. When all slots are taken, sequences wait for one in the order of
their first requests. What a model wants to know of a sequence it is told by control inputs.

Each request is executed by itself; Triton would execute one of each slot together.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import datatypes
from ..errors import InvalidArgument
from .batching import ModelClosed
from .config import DATATYPES
from .jobs import Job, Tensor

#: A sequence's own name; 0 and "" stand for none.
Id: TypeAlias = "int | str"

_DEFAULT_IDLE = 1_000_000  # microseconds
_FLAGS = {
    "CONTROL_SEQUENCE_START": "start",
    "CONTROL_SEQUENCE_END": "end",
    "CONTROL_SEQUENCE_READY": "ready",
}
_VALUES = (
    ("int32_false_true", "INT32"),
    ("fp32_false_true", "FP32"),
    ("bool_false_true", "BOOL"),
)
_CORRID = "CONTROL_SEQUENCE_CORRID"


class Control(NamedTuple):
    """A control input.

    Attributes:
        kind: start, end or ready; "" for the sequence's id.
        values: what stands for false and true.
    """

    name: str
    kind: str
    datatype: str
    values: tuple[Any, ...] = ()


def controls(config: Mapping[str, Any]) -> tuple[Control, ...]:
    """The control inputs in a configuration, given in its JSON form.

    Raises:
        ValueError: one makes no sense.
    """
    return tuple(
        _control(each["name"], control, config["name"])
        for each in config["sequence_batching"]["control_input"]
        for control in each["control"]
    )


def _control(name: str, control: Mapping[str, Any], model: str) -> Control:
    kind = control["kind"]
    if kind == _CORRID:
        datatype = DATATYPES.get(control["data_type"], "")
        if datatype not in ("UINT64", "INT64", "UINT32", "INT32", "BYTES"):
            raise ValueError(
                f"sequence batching control '{name}' has the datatype {control['data_type']} for "
                f"{model}, expected a whole number or TYPE_STRING"
            )
        return Control(name, "", datatype)
    for values, datatype in _VALUES:
        if len(control[values]) == 2:
            return Control(name, _FLAGS[kind], datatype, tuple(control[values]))
    raise ValueError(
        f"sequence batching must specify either 'int32_false_true', 'fp32_false_true' or "
        f"'bool_false_true' for {kind} for {model}"
    )


@dataclass(slots=True)
class _Sequence:
    """A sequence that has a slot, or waits for one.

    Attributes:
        instance: index of the instance; None while it waits.
        backlog: requests that came meanwhile.
        used: when the last request came, by the monotonic clock.
    """

    instance: int | None = None
    backlog: deque[Job] = field(default_factory=deque)
    used: float = 0.0
    ended: bool = False


class Sequences:
    """The requests of sequences, on their way to the instances that take them.

    Args:
        instances: how many instances there are.
    """

    def __init__(self, name: str, config: Mapping[str, Any], instances: int) -> None:
        settings = config["sequence_batching"]
        if settings["state"]:
            raise ValueError(f"model '{name}' has implicit state, which this server does not keep")
        self._name = name
        self._batches = config["max_batch_size"] > 0
        self._controls = controls(config)
        oldest = settings.get("oldest")
        # The direct strategy gives each sequence a row of the batch.
        self._slots = (
            max(1, oldest["max_candidate_sequences"])
            if oldest is not None
            else max(1, config["max_batch_size"])
        )
        self._idle = (settings["max_sequence_idle_microseconds"] or _DEFAULT_IDLE) / 1e6
        self._changed = threading.Condition()
        self._closed = False
        self._ready: list[deque[Job]] = [deque() for _ in range(instances)]
        self._busy = [0] * instances  # slots that are taken
        self._sequences: dict[Id, _Sequence] = {}
        self._waiting: deque[Id] = deque()

    def put(self, job: Job) -> None:
        """Let a request wait for its sequence's turn.

        Raises:
            InvalidArgument: it belongs to no sequence.
            ModelClosed: no more are taken.
        """
        parameters = job.call.parameters
        id: Any = parameters.get("sequence_id", 0)
        start, end = (bool(parameters.get(f"sequence_{flag}", False)) for flag in ("start", "end"))
        if not id:
            self._refuse(
                job,
                f"inference request to model '{self._name}' must specify a non-zero or non-empty "
                "correlation ID",
            )
        if job.batch_size != 1:
            self._refuse(
                job,
                f"inference request to model '{self._name}' must specify batch-size 1 due to "
                "requirements of sequence batcher",
            )
        controls = list(self._tensors(job, id, start=start, end=end))
        with self._changed:
            if self._closed:
                raise ModelClosed(f"model '{self._name}' was unloaded", "503")
            self._give_up_idle()
            sequence = self._sequences.get(id)
            if sequence is None or sequence.ended:
                if not start:
                    self._refuse(
                        job,
                        f"inference request for sequence {id} to model '{self._name}' must "
                        "specify the START flag on the first request of the sequence",
                    )
                if sequence is None:
                    sequence = self._sequences[id] = _Sequence()
                    self._waiting.append(id)
                sequence.ended = False
            job.inputs = [*job.inputs, *controls]
            sequence.used = time.monotonic()
            sequence.backlog.append(job)
            sequence.ended = end
            self._advance(id, sequence)
            self._fill_slots()
            self._changed.notify_all()

    def _refuse(self, job: Job, text: str) -> None:
        raise InvalidArgument(f"[request id: {job.call.id or '<id_unknown>'}] {text}", "400")

    def _tensors(self, job: Job, id: Id, *, start: bool, end: bool) -> Iterator[Tensor]:
        """The control inputs of a request."""
        flags = {"start": start, "end": end, "ready": True}
        shape = (1, 1) if self._batches else (1,)
        for control in self._controls:
            value: Any
            if control.kind:
                value = control.values[flags[control.kind]]
            elif control.datatype == "BYTES":
                value = str(id).encode()
            elif isinstance(id, str):
                self._refuse(
                    job,
                    f"sequence {id!r} of model '{self._name}' has a text for an id, where the "
                    f"model takes {control.datatype}",
                )
            else:
                value = id
            dtype = object if control.datatype == "BYTES" else datatypes.NUMPY[control.datatype]
            try:
                array = np.array(value, dtype).reshape(shape)
            except OverflowError:
                self._refuse(job, f"the sequence id {id} does not fit {control.datatype}")
            yield Tensor(control.name, control.datatype, array)

    # The lock is held by the callers of these

    def _advance(self, id: Id, sequence: _Sequence) -> None:
        """Hand the requests of a sequence that has a slot to its instance."""
        if sequence.instance is None:
            return
        self._ready[sequence.instance].extend(sequence.backlog)
        sequence.backlog.clear()
        if sequence.ended:
            # What comes next to the slot is executed behind the sequence's last request.
            self._busy[sequence.instance] -= 1
            del self._sequences[id]

    def _fill_slots(self) -> None:
        while self._waiting and min(self._busy) < self._slots:
            id = self._waiting.popleft()
            sequence = self._sequences[id]
            sequence.instance = self._busy.index(min(self._busy))
            self._busy[sequence.instance] += 1
            self._advance(id, sequence)

    def _give_up_idle(self) -> None:
        """Take the slots of sequences of which nothing has come for too long."""
        latest = time.monotonic() - self._idle
        for id, sequence in list(self._sequences.items()):
            if sequence.instance is None or sequence.used > latest:
                continue
            if any(_id_of(job) == id for job in self._ready[sequence.instance]):
                continue  # it waits for its instance, not for its client
            self._busy[sequence.instance] -= 1
            del self._sequences[id]
        self._fill_slots()

    # What instances do

    def taker(self, instance: int) -> Callable[[], list[Job]]:
        """A function that gives an instance what to execute next, as `Queue.take` does."""

        def take() -> list[Job]:
            ready = self._ready[instance]
            with self._changed:
                while not ready and not self._closed:
                    # Others may wait for the slots of those that are given up.
                    self._changed.wait(self._idle if self._waiting else None)
                    if self._waiting:
                        self._give_up_idle()
                        self._changed.notify_all()
                if not ready and self._waiting:  # closed: those that wait are still executed
                    sequence = self._sequences.pop(self._waiting.popleft())
                    ready.extend(sequence.backlog)
                return [ready.popleft()] if ready else []

        return take

    def close(self) -> None:
        """Take no more requests; those that wait are still executed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _id_of(job: Job) -> Any:
    return job.call.parameters.get("sequence_id", 0)
