"""`Feed`: gives a remote instance its batches, on whatever thread they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from ..backends.base import RemoteInstance
from ..backends.execution import Execution
from ..loop import SMALL, ServerLoop
from ..scheduling.base import Scheduler
from ..scheduling.policies import NEVER
from ..telemetry.statistics import Statistics


class Feed:
    """Begins batches on an instance while it has room and jobs wait. Thread-safe.

    Args:
        scheduler: provides the jobs.
        index: the number of the instance, for the scheduler.
        loop: asks again for batches that wait for more jobs.
        ended: called after each batch.
    """

    def __init__(
        self,
        instance: RemoteInstance,
        scheduler: Scheduler,
        index: int,
        statistics: Statistics,
        loop: ServerLoop,
        ended: Callable[[], None],
    ) -> None:
        self._instance = instance
        self._scheduler = scheduler
        self._index = index
        self._statistics = statistics
        self._loop = loop
        self._ended = ended
        self._lock = threading.Lock()
        self._in_work = 0
        # One thread at a time takes batches; others leave a note that there may be more.
        self._feeding = False
        self._asked = 0
        self._ask_at = NEVER

    def wake(self, most: int) -> None:
        """Begin batches while there are any, as far as the instance has room.

        Args:
            most: how many batches may be in work.
        """
        with self._lock:
            self._asked = max(self._asked, most)
            if self._feeding:
                return
            self._feeding = True
        while True:
            with self._lock:
                most, self._asked = self._asked, 0
                if not most:
                    self._feeding = False
                    return
            try:
                self._feed(most)
            except BaseException:
                self._feeding = False
                raise

    def _feed(self, most: int) -> None:
        while self._in_work < min(most, self._instance.room()):
            jobs, until = self._scheduler.take(self._index)
            if not jobs:
                self._ask_again(until, most)
                return
            execution = Execution(
                jobs, self._statistics, self._scheduler.reschedule, self._batch_ended
            )
            if execution.jobs:
                with self._lock:
                    self._in_work += 1
                self._begin(execution)

    def _begin(self, execution: Execution) -> None:
        if self._loop.is_current() and execution.size > SMALL:
            self._loop.in_thread(partial(self._instance.begin, execution))
        else:
            self._instance.begin(execution)

    def _batch_ended(self) -> None:
        with self._lock:
            self._in_work -= 1
        self._ended()

    def _ask_again(self, until: float, most: int) -> None:
        """Wake this at a time of the monotonic clock, unless it is woken before."""
        with self._lock:
            if until >= self._ask_at:
                return
            self._ask_at = until
        self._loop.call(self._wake_at, until, most)

    def _wake_at(self, until: float, most: int) -> None:
        self._loop.events.call_later(until - time.monotonic(), self._wake_again, most)

    def _wake_again(self, most: int) -> None:
        with self._lock:
            self._ask_at = NEVER
        self.wake(most)
