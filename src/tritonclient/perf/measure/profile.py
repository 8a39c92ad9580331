"""Measuring one load: warm-up, windows until they agree, and what is reported of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..data.dataset import Dataset
from ..load import histogram
from ..load import shared as c
from ..load.manager import Manager, WorkersLost
from ..load.shared import Snapshot
from ..options.settings import Settings
from ..services.service import Service
from . import loads
from .figures import Figures, Point, Sample, merge
from .server import difference
from .stability import (
    WINDOWS,
    latency_stable,
    over_limit,
    throughput_stable,
)

_SECOND = 1_000_000_000
#: By how much windows are longer than asked for, as the official tool's are.
WINDOW_FACTOR = 1.2
_SAMPLE = _SECOND // 4
#: Windows of a run with a duration; each keeps a histogram.
_MOST_WINDOWS = 60
_DRAIN = 10.0

Agreement = Callable[[bool], bool]


class Profiler:
    """Measures loads.

    Args:
        watch: called some times a second with the figures of the moment, for a live view.
        agree: asks others whether all are stable (MPI); given is whether we are.
    """

    def __init__(
        self,
        settings: Settings,
        service: Service,
        manager: Manager,
        data: Dataset,
        *,
        report: Any,
        interrupted: Callable[[], int],
        agree: Agreement | None = None,
    ) -> None:
        self._settings = settings
        self._service = service
        self._manager = manager
        self._data = data
        self._report = report
        self._interrupted = interrupted
        self._agree = agree
        self._metrics: Any = None
        self._point = Point("", 0)
        self._sampled: Snapshot | None = None
        self._active = manager.count
        self._offset = 0

    def collect(self, metrics: Any) -> None:
        """Take GPU metrics from a poller."""
        self._metrics = metrics

    def measure(self, value: float) -> Point:
        """Measure a concurrency or rate."""
        settings = self._settings
        mode = "request_rate" if settings.open_loop else "concurrency"
        self._point = point = Point(mode, value)
        # Wall clock and monotonic clock, looked at together once, so that windows and requests of
        # a load are on one time line whatever happens to the wall clock.
        self._offset = point.begin_offset = time.time_ns() - time.monotonic_ns()
        self._warm_up(value)
        if not self._interrupted():
            try:
                self._run(value)
            except WorkersLost as error:
                point.lost = True
                point.note = str(error)
        point.errors = {kind: list(found) for kind, found in self._manager.errors.items()}
        return point

    def _warm_up(self, value: float) -> None:
        """Send requests that are not counted, and wait for them."""
        count = self._settings.warmup_request_count
        if not count:
            return
        manager = self._manager
        manager.begin(loads.make(self._settings, self._data, value, manager.count, count))
        while not (manager.finished or manager.unreachable or self._interrupted()):
            manager.pump(0.02)
        manager.stop(_DRAIN if not self._interrupted() else 0.5)

    def _run(self, value: float) -> None:
        settings, manager, point = self._settings, self._manager, self._point
        tasks = loads.make(settings, self._data, value, manager.count, settings.request_count)
        self._active = len(tasks)
        if self._metrics is not None:
            self._metrics.begin()
        before = manager.snapshot()
        self._sampled = before
        finite = (
            settings.request_count
            or settings.fixed_schedule
            or settings.session_concurrency
            or settings.periodic_concurrency_range is not None
        )
        # The server's count begins before the first request, as ours does.
        statistics = self._service.statistics() if finite else None
        manager.begin(tasks)
        try:
            if finite:
                self._until_finished(before, statistics)
            else:
                self._sleep(self._first_due(tasks) + settings.ramp + settings.warmup)
                if settings.duration:
                    self._for_duration()
                else:
                    self._until_stable()
        finally:
            point.interrupted = bool(self._interrupted())
            point.lost = point.lost or manager.unreachable
            if self._metrics is not None:
                point.metrics = self._metrics.end()
            manager.stop(0.5 if point.interrupted or point.lost else _DRAIN)
        total = manager.snapshot() - before
        point.total_done = int(total.cells[c.DONE])
        point.total_failed = int(total.cells[c.FAILED])

    def _first_due(self, tasks: Sequence[Any]) -> float:
        """Seconds until the first request may be sent."""
        latest: int = max(task.at for task in tasks)
        return max(0.0, (latest - time.monotonic_ns()) / 1e9)

    @property
    def _ended(self) -> bool:
        return bool(self._interrupted()) or self._manager.unreachable

    def _sleep(self, seconds: float) -> bool:
        """Wait, reading reports and showing the live view; False if the run is to end."""
        until = time.monotonic() + seconds
        while not self._ended:
            left = until - time.monotonic()
            if left <= 0:
                return True
            self._manager.pump(min(left, 0.05))
            self._sample()
        return False

    # Windows

    def _window(self, begin: Snapshot, statistics: Any) -> tuple[Figures, Snapshot, Any]:
        """The window from a snapshot until now."""
        now = self._manager.snapshot()
        after = self._service.statistics()
        figures = Figures(
            begin.at,
            now.at - begin.at,
            now - begin,
            self._settings.batch_size,
            max(1, self._active),
            difference(statistics, after, self._service.model),
        )
        point = self._point
        if not point.boundaries:
            point.boundaries.append(begin.at + self._offset)
        point.boundaries.append(now.at + self._offset)
        point.windows.append(figures)
        self._report.window(len(point.windows), figures)
        return figures, now, after

    def _wait_for_count(self, begin: Snapshot) -> None:
        """Wait until enough requests have ended for a window."""
        wanted = self._settings.measurement_request_count
        done, failed = int(begin.cells[c.DONE]), int(begin.cells[c.FAILED])
        cells = self._manager.board
        while not self._ended:
            ended = int(cells.cell(c.DONE).sum()) - done
            # A server that only fails must not be waited for without end.
            if ended >= wanted or int(cells.cell(c.FAILED).sum()) - failed >= 10 * wanted:
                return
            self._manager.pump(0.005)
            self._sample()

    def _until_stable(self) -> None:
        settings, point = self._settings, self._point
        begin, statistics = self._manager.snapshot(), self._service.statistics()
        windows = point.windows
        stable = agreed = False
        while not stable or self._agree is not None:
            if settings.measurement_mode == "count_windows":
                self._wait_for_count(begin)
            else:
                self._sleep(settings.measurement_interval / 1000 * WINDOW_FACTOR)
            if self._ended and not self._enough(begin):
                break
            _, begin, statistics = self._window(begin, statistics)
            stable = throughput_stable(windows, settings) and latency_stable(windows, settings)
            if self._agree is not None:
                agreed = self._agree(stable)
                if agreed:
                    break
            if self._ended or self._hopeless(windows) or self._limited(windows):
                break
            if len(windows) >= settings.max_trials and self._agree is None:
                break
            if len(windows) >= 10 * settings.max_trials:
                break
        reported = windows[-WINDOWS:]
        if self._ended or self._hopeless(windows):
            # All that was measured, rather than the end in which nothing was.
            reported = [window for window in windows if window.count] or reported
        while self._agree is not None and not agreed:
            agreed = self._agree(True)  # others may still be measuring
        self._conclude(reported, stable)

    def _enough(self, begin: Snapshot) -> bool:
        """True if a window that was broken off holds anything."""
        now = self._manager.snapshot() - begin
        return bool(now.cells[c.DONE] or now.cells[c.FAILED])

    def _hopeless(self, windows: Sequence[Figures]) -> bool:
        """True if requests only fail, so that going on tells nothing more."""
        last = windows[-WINDOWS:]
        failing = len(last) == WINDOWS and not any(window.count for window in last)
        return failing and any(window.failed for window in last)

    def _limited(self, windows: Sequence[Figures]) -> bool:
        last = windows[-WINDOWS:]
        return len(windows) >= WINDOWS and any(over_limit(each, self._settings) for each in last)

    def _conclude(self, reported: list[Figures], stable: bool) -> None:
        """Decide what is reported."""
        point, settings = self._point, self._settings
        if not reported:
            return
        point.reported_windows = reported
        point.reported = merge(reported)
        point.stable = stable
        if not stable and settings.asynchronous and not self._ended:
            point.stable = point.latency_unstable = throughput_stable(point.windows, settings)
        point.over_limit = over_limit(point.reported, settings)

    def _for_duration(self) -> None:
        settings, point = self._settings, self._point
        begin, statistics = self._manager.snapshot(), self._service.statistics()
        end = begin.at + int(settings.duration * _SECOND)
        length = max(settings.measurement_interval / 1000, settings.duration / _MOST_WINDOWS)
        length = min(length, settings.duration)
        while not self._ended:
            left = (end - time.monotonic_ns()) / 1e9
            if left <= 0.01:
                break
            # What is left and shorter than half a window belongs to the last one.
            self._sleep(left if left < 1.5 * length else length)
            if self._ended and not self._enough(begin):
                break
            _, begin, statistics = self._window(begin, statistics)
        self._conclude(list(point.windows), True)

    def _until_finished(self, before: Snapshot, statistics: Any) -> None:
        """One window, from the first request to the last answer."""
        manager, point = self._manager, self._point
        while not (manager.finished or self._ended):
            manager.pump(0.005)
            self._sample()
        manager.pump()
        first, last = manager.span()
        figures, _, _ = self._window(before, statistics)
        if last > first > 0:
            figures.begin, figures.duration = first, last - first
            point.boundaries = [first + self._offset, last + self._offset]
        self._conclude([figures], True)

    # Samples

    def _sample(self) -> None:
        """Take a sample if it is time for one."""
        assert self._sampled is not None
        if time.monotonic_ns() - self._sampled.at < _SAMPLE:
            return
        now = self._manager.snapshot()
        fresh = now - self._sampled
        self._sampled = now
        counts = fresh.histograms[c.PLANNED if self._settings.open_loop else c.SERVICE]
        seconds = fresh.at / 1e9
        sample = Sample(
            now.at + self._offset,
            int(fresh.cells[c.DONE]) / seconds,
            int(fresh.cells[c.FAILED]) / seconds,
            histogram.percentile(counts, 50) / 1000,
            histogram.percentile(counts, 95) / 1000,
            histogram.percentile(counts, 99) / 1000,
            int(now.cells[c.IN_FLIGHT]),
        )
        samples = self._point.samples
        samples.append(sample)
        if len(samples) > 4000:  # an hour and more: half as many do
            self._point.samples = samples[::2]
        self._report.sample(self._point, sample)
