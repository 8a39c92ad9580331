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
        most: batches that may be in work.
        loop: asks again for batches that wait for more jobs.
        ended: called after each batch, and when the instance has more room.
    """

    def __init__(
        self,
        instance: RemoteInstance,
        scheduler: Scheduler,
        index: int,
        statistics: Statistics,
        most: int,
        loop: ServerLoop,
        ended: Callable[[], None],
    ) -> None:
        self._instance = instance
        self._scheduler = scheduler
        self._index = index
        self._statistics = statistics
        self._most = most
        self._loop = loop
        self._ended = ended
        instance.on_room = ended
        self._lock = threading.Lock()
        self._in_work = 0
        # One thread at a time takes batches; others leave a note that there may be more.
        self._feeding = False
        self._asked = False
        self._ask_at = NEVER

    def wake(self) -> None:
        """Begin batches while there are any, as far as the instance has room."""
        with self._lock:
            self._asked = True
            if self._feeding:
                return
            self._feeding = True
        try:
            while self._is_asked():
                self._feed()
        except BaseException:
            self._feeding = False
            raise

    def _is_asked(self) -> bool:
        """Return True if there may be batches; else end the feeding."""
        with self._lock:
            asked, self._asked = self._asked, False
            self._feeding = asked
            return asked

    def _feed(self) -> None:
        while self._in_work < min(self._most, self._instance.room()):
            jobs, until = self._scheduler.take(self._index)
            if not jobs:
                self._ask_again(until)
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

    def _ask_again(self, until: float) -> None:
        """Wake this at a time of the monotonic clock, unless it is woken before."""
        with self._lock:
            if until >= self._ask_at:
                return
            self._ask_at = until
        self._loop.call(self._wake_at, until)

    def _wake_at(self, until: float) -> None:
        self._loop.events.call_later(until - time.monotonic(), self._wake_again)

    def _wake_again(self) -> None:
        with self._lock:
            self._ask_at = NEVER
        self.wake()
