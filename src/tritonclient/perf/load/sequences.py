"""Sequences: ids, lengths, and the flags of their requests."""

from __future__ import annotations

import random
from typing import NamedTuple

from ..data.dataset import Dataset
from ..options.settings import Settings


class SequenceRules(NamedTuple):
    """How sequences are made.

    Attributes:
        length: requests in a sequence; 0 for as many as its stream has steps.
        variation: by which share of it lengths vary.
        first_id, ids: the range of ids.
        streams: for each stream of the data the numbers of its steps.
        interval: nanoseconds between the requests of a sequence; 0 for no pause.
        serial: whether a sequence has one request at a time at most, also in rate modes.
        slots: sequences at a time in rate modes.
    """

    length: int
    variation: float
    first_id: int
    ids: int
    streams: tuple[tuple[int, ...], ...]
    interval: int = 0
    serial: bool = False
    slots: int = 4


def rules_for(settings: Settings, data: Dataset) -> SequenceRules:
    """The rules that the options and the data make."""
    start, end = settings.sequence_id_range
    streams = []
    position = 0
    for stream in data.streams:
        streams.append(tuple(range(position, position + len(stream))))
        position += len(stream)
    given = "sequence_length" in settings.given or not data.loaded
    return SequenceRules(
        length=settings.sequence_length if given else 0,
        variation=settings.sequence_length_variation,
        first_id=start,
        ids=(2**63 if end is None else end) - start,
        streams=tuple(streams),
        interval=int(settings.sequence_interval * 1e6),
        serial=settings.serial_sequences,
        slots=settings.num_of_sequences,
    )


class Slot:
    """A place for one sequence at a time.

    Attributes:
        id: of the sequence; 0 before the first.
        left: requests that it has still to send.
        busy: requests of it that wait for their answers.
        due: before which its next request must not be sent.
    """

    def __init__(self) -> None:
        self.id = 0
        self.left = 0
        self.busy = 0
        self.due = 0
        self.position = 0
        self.stream: tuple[int, ...] = ()


class Sequences:
    """The sequences of one worker; it takes every n-th id, so that no two workers share one."""

    def __init__(self, rules: SequenceRules, worker: int, workers: int, seed: int) -> None:
        self.rules = rules
        self._random = random.Random(seed * 1000 + worker)
        self._next = worker
        self._workers = workers
        self._used: set[int] = set()
        self._stream = worker

    def next(self, slot: Slot) -> tuple[int, int, bool, bool]:
        """The next request of a slot: step, sequence id, whether it is the first and the last."""
        begins = slot.left == 0
        if begins:
            self._begin(slot)
        step = slot.stream[slot.position % len(slot.stream)]
        slot.position += 1
        slot.left -= 1
        return step, slot.id, begins, slot.left == 0

    def _begin(self, slot: Slot) -> None:
        rules = self.rules
        self._used.discard(slot.id)
        for _ in range(len(self._used) + 1):
            candidate = rules.first_id + self._next % rules.ids
            self._next += self._workers
            if candidate not in self._used:
                slot.id = candidate
                break
        self._used.add(slot.id)
        slot.stream = rules.streams[self._stream % len(rules.streams)]
        self._stream += 1
        slot.position = 0
        base = rules.length or len(slot.stream)
        spread = rules.variation / 100 if rules.length else 0.0
        factor = 1 + self._random.uniform(-spread, spread)
        slot.left = max(1, round(base * factor))

    def close(self, slot: Slot) -> tuple[int, int] | None:
        """The request that ends an open sequence early, as (step, id); None where none is open."""
        if slot.left == 0 or slot.id == 0:
            return None
        slot.left = 0
        return slot.stream[slot.position % len(slot.stream)], slot.id
