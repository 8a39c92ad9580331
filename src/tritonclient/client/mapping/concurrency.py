"""How many requests are in flight, chosen by what more of them bring."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

FIRST = 4
MOST = 64
#: Bytes of tensors that are in flight, or wait to be taken, while the number is chosen here.
MAX_BYTES = 256 << 20
#: Seconds of a request up to which more of them may wait at the server, so that it is never idle.
_QUICK = 0.05
#: How much more throughput twice as many requests must bring.
_MARGIN = 1.1
#: What one measurement takes at least: seconds, and responses for each request in flight.
_SECONDS = 0.05
_RESPONSES = 3
#: Measurements without a gain after which the number stays.
_PATIENCE = 2


class Concurrency:
    """The number of requests in flight.

    It begins with a few, and doubles while requests take little time or the throughput grows. When
    twice as many no longer bring more, it goes back and stays.

    Args:
        fixed: the number, or None to measure.

    Attributes:
        limit: requests that may be in flight.
        max_bytes: bytes of their tensors and of results not yet taken; None for no limit.
    """

    def __init__(self, fixed: int | None, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._settled = fixed is not None
        self.limit = fixed or FIRST
        self.max_bytes = None if fixed else MAX_BYTES
        self._best = 0.0  # rows a second
        self._best_limit = self.limit
        self._failed = 0
        self._restart()

    def _restart(self) -> None:
        self._started = self._clock()
        self._responses = 0
        self._rows = 0
        self._reached = 0

    def reached(self) -> None:
        """Count that as many requests are in flight as may be."""
        self._reached += 1

    def count_response(self, rows: int) -> None:
        """Count the response to a request of some rows."""
        if self._settled:
            return
        self._responses += 1
        self._rows += rows
        elapsed = self._clock() - self._started
        if elapsed * self.limit < _QUICK * self._responses:  # seconds that a request takes
            if self._responses >= self.limit:
                if self._is_reached():
                    self._grow()
                self._restart()
        elif elapsed >= _SECONDS and self._responses >= _RESPONSES * self.limit:
            if self._is_reached():
                self._measured(self._rows / elapsed)
            self._restart()

    def _is_reached(self) -> bool:
        """False if the source or the consumer sets the pace, so that nothing was measured.

        Responses come in bursts, and even those bring the limit back each time.
        """
        return 2 * self._reached * self.limit >= self._responses

    def _grow(self) -> None:
        self._best_limit = self.limit
        self.limit = min(self.limit * 2, MOST)
        self._settled = self.limit == self._best_limit

    def _measured(self, throughput: float) -> None:
        if throughput > self._best * _MARGIN:
            self._best, self._failed = throughput, 0
            self._grow()
        else:
            self._failed += 1
            if self._failed >= _PATIENCE:
                self.limit = self._best_limit
                self._settled = True
