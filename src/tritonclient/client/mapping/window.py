"""Batches that are in flight, or whose results were not yet taken."""

from __future__ import annotations

from collections import deque

from .batches import Batch
from .concurrency import Concurrency
from .results import whole_of
from .sending import ResultOrError


class Entry:
    """A batch and what became of it.

    Attributes:
        results: those of its items; None while it is in flight.
        fault: what ends the whole iteration in place of results.
    """

    __slots__ = ("batch", "byte_size", "fault", "results")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.byte_size = batch.byte_size
        self.results: list[ResultOrError] | None = None
        self.fault: BaseException | None = None


class Window:
    """Says when a batch may be sent, and which results come next. It does no I/O.

    Args:
        ordered: whether results come in the order of their batches, or as their responses come.
        keep: whether the iteration goes on after an error.
    """

    def __init__(self, concurrency: Concurrency, ordered: bool, keep: bool) -> None:
        self._concurrency = concurrency
        self._ordered = ordered
        self._keep = keep
        self._entries: deque[Entry] = deque()  # in their order
        self._done: deque[Entry] = deque()  # those that can be taken, when order is none
        self._in_flight = 0
        self._held = 0  # entries
        self._bytes = 0
        self._failed = False

    def __len__(self) -> int:
        """Return how many batches are in flight or wait to be taken."""
        return self._held

    @property
    def failed(self) -> bool:
        """True if there was an error that ends the iteration."""
        return self._failed

    def has_room(self) -> bool:
        """True if another batch may be sent."""
        limit, most = self._concurrency.limit, self._concurrency.max_bytes
        return (
            not self._failed
            and self._in_flight < limit
            and self._held < 2 * limit
            and (most is None or self._bytes < most or not self._held)
        )

    def add(self, batch: Batch) -> Entry:
        """Count a batch as sent."""
        entry = Entry(batch)
        if self._ordered:
            self._entries.append(entry)
        self._in_flight += 1
        if self._in_flight >= self._concurrency.limit:
            self._concurrency.reached()
        self._held += 1
        self._bytes += entry.byte_size
        return entry

    def settle(
        self,
        entry: Entry,
        results: list[ResultOrError],
        fault: BaseException | None = None,
    ) -> None:
        """Note what became of a batch."""
        self._in_flight -= 1
        entry.results, entry.fault = results, fault
        failed = not self._keep and bool(results) and isinstance(results[-1], Exception)
        self._failed = self._failed or failed or fault is not None
        if not self._ordered:
            self._done.append(entry)
        self._concurrency.count_response(entry.batch.count_rows())
        self._bytes -= entry.byte_size
        entry.byte_size = _byte_size(results)
        self._bytes += entry.byte_size
        entry.batch = Batch()  # the inputs are not needed any more

    def is_ready(self) -> bool:
        """True if `take` has something to return."""
        if self._ordered:
            return bool(self._entries) and self._entries[0].results is not None
        return bool(self._done)

    def take(self) -> Entry | None:
        """Return the next batch whose results are to be yielded, or None."""
        if not self.is_ready():
            return None
        entry = (self._entries if self._ordered else self._done).popleft()
        self._held -= 1
        self._bytes -= entry.byte_size
        return entry


def _byte_size(results: list[ResultOrError]) -> int:
    """Return the bytes of the outputs that results are parts of; nearly, if there were errors."""
    for result in results:
        if not isinstance(result, Exception):
            outputs = whole_of(result)._response.outputs
            return sum([len(tensor.data) for tensor in outputs if tensor.data is not None])
    return 0
