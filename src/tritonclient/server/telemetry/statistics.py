"""Counts and durations of a model's requests, for the statistics endpoint."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from ... import messages as m


class Durations(NamedTuple):
    """Nanoseconds of each stage of one request; 0 for a stage that was not reached."""

    queue: int = 0
    compute_input: int = 0
    compute_infer: int = 0
    compute_output: int = 0


class Stopwatch:
    """Times the stages of one execution; the first begins when this is created."""

    def __init__(self) -> None:
        self._times = [time.monotonic_ns()]

    def lap(self) -> None:
        """End a stage and begin the next."""
        self._times.append(time.monotonic_ns())

    def laps(self) -> list[int]:
        """Return when each lap was taken, in nanoseconds of the monotonic clock."""
        return self._times[1:]

    def begin_after(self, time: int) -> None:
        """Begin the first stage not before a time in nanoseconds of the monotonic clock."""
        self._times[0] = max(self._times[0], time)

    def add(self, laps: Iterable[int]) -> None:
        """Add laps that were taken in another process of this machine."""
        self._times += laps

    def durations(self, queued: int, decoding: int) -> Durations:
        """Return the stages for one request of the execution.

        Args:
            queued: when the request was queued, in nanoseconds of the monotonic clock.
            decoding: nanoseconds spent on its inputs before that.
        """
        stages = [after - before for before, after in itertools.pairwise(self._times)]
        compute_input = decoding + (stages[0] if stages else 0)
        return Durations(self._times[0] - queued, compute_input, *stages[1:])


class _Duration:
    """A total of durations: count and nanoseconds."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns

    def value(self) -> m.StatisticDuration:
        return m.StatisticDuration(self.count, self.ns)


_TOTALS = ("success", "fail", *Durations._fields, "cache_hit", "cache_miss")


class Statistics:
    """The statistics of one version of a model. Thread-safe.

    As in Triton the stages of `inference_stats` count successful requests only, so that they add
    up to `success`, while `batch_stats` and `execution_count` count every execution.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = {name: _Duration() for name in _TOTALS}
        self._batches: dict[int, tuple[_Duration, _Duration, _Duration]] = {}
        self._inference_count = 0
        self._execution_count = 0
        self._last_inference = 0

    def executed(self, batch_size: int, durations: Durations) -> None:
        """Count one execution of a batch."""
        with self._lock:
            self._execution_count += 1
            self._last_inference = time.time_ns() // 1_000_000
            if batch_size not in self._batches:
                self._batches[batch_size] = (_Duration(), _Duration(), _Duration())
            for total, ns in zip(self._batches[batch_size], durations[1:], strict=True):
                total.add(ns)

    def succeeded(self, batch_size: int, durations: Durations) -> None:
        """Count a successful request."""
        with self._lock:
            self._inference_count += batch_size
            self._totals["success"].add(sum(durations))
            for name, ns in zip(Durations._fields, durations, strict=True):
                self._totals[name].add(ns)

    def cache_hit(self, total: int, lookup: int) -> None:
        """Count a request with a response from the cache, without an execution.

        Args:
            total: nanoseconds of the request.
            lookup: nanoseconds of finding its response.
        """
        with self._lock:
            self._last_inference = time.time_ns() // 1_000_000
            self._totals["success"].add(total)
            self._totals["queue"].add(0)
            self._totals["cache_hit"].add(lookup)

    def cache_miss(self, ns: int) -> None:
        """Count a request whose response was not in the cache.

        Args:
            ns: nanoseconds of looking for it, and of keeping the response.
        """
        with self._lock:
            self._totals["cache_miss"].add(ns)

    def failed(self, durations: Durations) -> None:
        """Count a failed request."""
        with self._lock:
            self._totals["fail"].add(sum(durations))

    def snapshot(self, name: str, version: str) -> m.ModelStatistics:
        """Return the current statistics."""
        with self._lock:
            batches = tuple(
                m.InferBatchStatistics(size, *[total.value() for total in totals])
                for size, totals in sorted(self._batches.items())
            )
            totals = {name: total.value() for name, total in self._totals.items()}
            return m.ModelStatistics(
                name=name,
                version=version,
                last_inference=self._last_inference,
                inference_count=self._inference_count,
                execution_count=self._execution_count,
                inference_stats=m.InferStatistics(**totals),
                batch_stats=batches,
            )
