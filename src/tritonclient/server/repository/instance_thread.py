"""`InstanceThread`: the thread that makes an instance of a model, executes with it and closes it.

A model may therefore keep what belongs to a thread, such as an event loop or a database
connection. A remote instance gets its batches from a `Feed` instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ..backends.base import Instance, InstanceFactory, LocalInstance, RemoteInstance
from ..backends.execution import Execution
from ..jobs.job import Job
from ..scheduling.base import Scheduler
from ..telemetry.statistics import Statistics
from .feed import Feed
from .warmup import Warmup

_log = logging.getLogger(__name__)


class InstanceThread:
    """One instance and its thread.

    Args:
        name: the model's name.
        make: makes the instance, on the thread.
        scheduler: provides the jobs.
        index: the number of the instance, for the scheduler.
        warmup: makes the requests that the instance executes before it takes jobs.
        make_feed: makes what gives a remote instance its batches.
    """

    def __init__(
        self,
        name: str,
        make: InstanceFactory,
        scheduler: Scheduler,
        index: int,
        statistics: Statistics,
        warmup: Warmup,
        make_feed: Callable[[RemoteInstance], Feed],
    ) -> None:
        self._make = make
        self._scheduler = scheduler
        self._index = index
        self._statistics = statistics
        self._warmup = warmup
        self._make_feed = make_feed
        self._feed: Feed | None = None
        self._instance: Instance | None = None
        self._failure: BaseException | None = None
        self._made = threading.Event()
        self._finish = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tritonclient-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread and wait for the instance; raise what making it raises."""
        self._thread.start()
        self._made.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def is_ready(self) -> bool:
        """Return False if the instance says that it is not ready."""
        return self._instance is None or self._instance.is_ready()

    def why_restarted(self) -> str:
        """Return why the instance was started again last; "" if it was not."""
        return "" if self._instance is None else self._instance.why_restarted()

    def wake(self) -> None:
        """Let a remote instance begin batches; see `Feed`."""
        if self._feed is not None:
            self._feed.wake()

    def finish(self) -> None:
        """Begin to close the instance after its last job, and to end the thread."""
        self._finish.set()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        try:
            instance = self._make()
            self._warm_up(instance)
            self._take(instance)
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._made.set()
        if isinstance(instance, LocalInstance):
            while jobs := self._scheduler.next_batch(self._index):
                self._execute(instance, jobs)
                # Otherwise the memory of these requests would be held until the next ones.
                del jobs
        self._finish.wait()
        try:
            instance.close()
        except Exception:
            _log.exception("closing %s failed", self._thread.name)

    def _take(self, instance: Instance) -> None:
        if isinstance(instance, RemoteInstance):
            self._feed = self._make_feed(instance)
        self._instance = instance

    def _warm_up(self, instance: Instance) -> None:
        try:
            for batch in self._warmup():
                self._execute(instance, batch.jobs)
                batch.wait()
        except BaseException:
            instance.close()
            raise

    def _execute(self, instance: Instance, jobs: Sequence[Job]) -> None:
        execution = Execution(jobs, self._statistics, self._scheduler.reschedule)
        if execution.jobs:
            instance.begin(execution)
