"""Figures of windows: what the report, the CSV file and assertions say of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..load import histogram
from ..load import shared as c
from ..load.shared import Snapshot
from .server import ServerSide

#: Quantiles of Student's t distribution for 95 % two-sided, by degrees of freedom.
_T = (0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
      2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip


@dataclass
class Figures:
    """What was counted in a time, by all workers.

    Attributes:
        begin: in nanoseconds of the monotonic clock.
        duration: nanoseconds.
        counted: the difference of two snapshots.
        workers: processes that shared the load.
    """

    begin: int
    duration: int
    counted: Snapshot
    batch: int = 1
    workers: int = 1
    server: ServerSide | None = None

    def _cell(self, index: int) -> int:
        return int(self.counted.cells[index])

    @property
    def count(self) -> int:
        """Requests that ended well."""
        return self._cell(c.DONE)

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return self._cell(c.FAILED)

    @property
    def delayed(self) -> int:
        """Requests sent more than 1 ms behind their schedule."""
        return self._cell(c.DELAYED)

    @property
    def dropped(self) -> int:
        """Requests that were due while too many were in flight, and so not sent."""
        return self._cell(c.DROPPED)

    @property
    def sent(self) -> int:
        """Requests sent."""
        return self._cell(c.SENT)

    @property
    def seconds(self) -> float:
        """Length of the time."""
        return self.duration / 1e9

    def _rate(self, count: float) -> float:
        return count / self.seconds if self.duration else 0.0

    @property
    def throughput(self) -> float:
        """Inferences per second."""
        return self._rate(self.count * self.batch)

    @property
    def response_throughput(self) -> float:
        """Responses per second."""
        return self._rate(self._cell(c.RESPONSES) * self.batch)

    @property
    def send_rate(self) -> float:
        """Requests sent per second."""
        return self._rate(self.sent)

    @property
    def sequences(self) -> int:
        """Sequences that ended."""
        return self._cell(c.SEQUENCES)

    @property
    def sequence_rate(self) -> float:
        """Sequences that ended, per second."""
        return self._rate(self.sequences)

    def _mean(self, index: int) -> float:
        return self._cell(index) / self.count / 1000 if self.count else 0.0

    # Times in microseconds

    @property
    def latency(self) -> float:
        """Mean latency from the real send."""
        return self._mean(c.LATENCY)

    @property
    def scheduled_latency(self) -> float:
        """Mean latency from the intended send."""
        return self._mean(c.SCHEDULED)

    @property
    def deviation(self) -> float:
        """Standard deviation of the latency."""
        return histogram.deviation(self.counted.histograms[c.SERVICE]) / 1000

    @property
    def send(self) -> float:
        """Mean time that sending took."""
        return self._mean(c.SEND)

    @property
    def receive(self) -> float:
        """Mean time from an answer's first byte to its end."""
        return self._mean(c.RECEIVE)

    @property
    def wait(self) -> float:
        """Mean time between sending and an answer's first byte."""
        return max(0.0, self.latency - self.send - self.receive)

    def histogram(self, kind: int) -> histogram.Counts:
        """A histogram of `load.shared`."""
        counts: histogram.Counts = self.counted.histograms[kind]
        return counts

    def percentile(self, percent: float, kind: int = c.SERVICE) -> float:
        """A percentile in microseconds."""
        return histogram.percentile(self.counted.histograms[kind], percent) / 1000

    @property
    def lag_max(self) -> float:
        """The largest lag behind the schedule."""
        return histogram.largest(self.counted.histograms[c.LAG]) / 1000

    # The generator itself

    @property
    def overhead(self) -> float:
        """Percent of the time that workers did not wait."""
        if not self.duration:
            return 0.0
        idle = self._cell(c.IDLE) / self.workers
        return min(100.0, max(0.0, 100 * (self.duration - idle) / self.duration))

    @property
    def cpu(self) -> float:
        """Processors' worth of time that the workers used."""
        return self._cell(c.CPU) / self.duration if self.duration else 0.0

    @property
    def cpu_per_request(self) -> float:
        """Microseconds of processor time of the workers for each request."""
        done = self.count + self.failed
        return self._cell(c.CPU) / done / 1000 if done else 0.0

    # Tokens

    @property
    def tokens(self) -> int:
        """Output tokens."""
        return self._cell(c.TOKENS)

    @property
    def token_throughput(self) -> float:
        """Output tokens per second."""
        return self._rate(self.tokens)

    @property
    def goodput(self) -> float:
        """Requests per second that kept all goals."""
        return self._rate(self._cell(c.GOOD))

    @property
    def error_rate(self) -> float:
        """Percent of the requests that failed."""
        done = self.count + self.failed
        return 100 * self.failed / done if done else 0.0


def merge(windows: Sequence[Figures]) -> Figures:
    """The figures of several windows together."""
    total = windows[0].counted
    server = windows[0].server
    for window in windows[1:]:
        total = total + window.counted
        server = server + window.server if server and window.server else None
    first = windows[0]
    duration = sum(window.duration for window in windows)
    return Figures(first.begin, duration, total, first.batch, first.workers, server)


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval of a mean over windows."""

    mean: float
    half: float

    @property
    def percent(self) -> float:
        """Half of it, relative to the mean."""
        return 100 * self.half / self.mean if self.mean else 0.0


def confidence(values: Sequence[float]) -> Interval | None:
    """The interval of windows' values; None for less than two."""
    count = len(values)
    if count < 2:
        return None
    mean = sum(values) / count
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    quantile = _T[count - 1] if count - 1 < len(_T) else 1.96
    return Interval(mean, quantile * spread / math.sqrt(count))


@dataclass(frozen=True)
class Sample:
    """A moment of a run, for time series; its figures are of the time since the one before.

    Attributes:
        at: nanoseconds since 1970.
        rate: requests per second that ended well; `errors` those that failed.
        p50, p95, p99: latencies in microseconds, scheduled ones in rate modes.
        in_flight: requests that wait for their answers.
    """

    at: int
    rate: float
    errors: float
    p50: float
    p95: float
    p99: float
    in_flight: int


@dataclass
class Point:
    """A load that was measured.

    Attributes:
        mode: "concurrency" or "request_rate".
        value: the concurrency or rate.
        windows: all that were measured; `reported` are those that count.
        stable: whether it was.
        note: why it is not reported in the closing lines, if it is not.
        boundaries: of the windows, in nanoseconds since 1970.
        errors: by kind a count and an example text, of the whole load.
        metrics: of GPUs, by name and GPU.
    """

    mode: str
    value: float
    windows: list[Figures] = field(default_factory=list)
    reported: Figures | None = None
    reported_windows: list[Figures] = field(default_factory=list)
    stable: bool = False
    over_limit: bool = False
    latency_unstable: bool = False
    interrupted: bool = False
    lost: bool = False
    note: str = ""
    boundaries: list[int] = field(default_factory=list)
    errors: dict[str, list[Any]] = field(default_factory=dict)
    total_failed: int = 0
    total_done: int = 0
    samples: list[Sample] = field(default_factory=list)
    metrics: Any = None
    begin_offset: int = 0

    @property
    def shown(self) -> bool:
        """True if the closing lines and the CSV file have it."""
        return self.reported is not None and not self.over_limit and self.reported.count > 0
