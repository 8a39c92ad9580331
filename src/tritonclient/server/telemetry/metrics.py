"""`Metrics`: the metrics that models make, and `HeldMetrics`: those of one instance.

Names and rules are those of Triton, whose metrics are those of Prometheus:
https://prometheus.io/docs/concepts/data_model/
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

KINDS = ("COUNTER", "GAUGE", "HISTOGRAM")

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

#: A metric: the name of its family, and its labels in order.
Key: TypeAlias = "tuple[str, tuple[tuple[str, str], ...]]"


class MetricsError(Exception):
    """A metric cannot be made or used so; the message has Triton's words where it has some."""


class MetricsClient(Protocol):
    """What models do with metrics: plain values only, so that another process can ask for it."""

    def define(self, family: str, description: str, kind: str) -> None:
        """Make a family, unless it is there.

        Raises:
            MetricsError: the name is invalid, or is that of a family of another kind.
        """

    def create(
        self, family: str, labels: Mapping[str, str], buckets: Sequence[float] | None
    ) -> None:
        """Make a metric, or hold the one with these labels once more.

        Args:
            buckets: upper bounds, in ascending order; of a HISTOGRAM only.

        Raises:
            MetricsError: a label's name is invalid, or the buckets do not fit.
        """

    def release(self, family: str, labels: Mapping[str, str]) -> None:
        """End one hold on a metric; without any its value is lost."""

    def apply(
        self, operation: str, family: str, labels: Mapping[str, str], value: float = 0.0
    ) -> float:
        """Do what `operation` says ("increment", "set", "observe", "value"); return the value.

        Raises:
            MetricsError: this kind of metric does not have the operation, or not with this value.
        """
        ...

    def close(self) -> None:
        """Release all metrics of the instance."""


class _Metric:
    """One value, or the sum and the counts of a histogram."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.holds: Counter[HeldMetrics] = Counter()
        self.value = 0.0
        self.bounds = list(bounds)
        self.counts = [0] * (len(bounds) + 1)

    def increment(self, value: float) -> None:
        self.value += value

    def set(self, value: float) -> None:
        self.value = value

    def observe(self, value: float) -> None:
        self.value += value
        self.counts[bisect.bisect_left(self.bounds, value)] += 1

    def get(self, value: float) -> None:
        """Change nothing."""


_OPERATIONS: dict[str, Callable[[_Metric, float], None]] = {
    "increment": _Metric.increment,
    "set": _Metric.set,
    "observe": _Metric.observe,
    "value": _Metric.get,
}
_ALLOWED = {
    "COUNTER": ("increment", "value"),
    "GAUGE": ("increment", "set", "value"),
    "HISTOGRAM": ("observe",),
}


class Metrics:
    """The metrics of a server. Thread-safe.

    Families stay until the server ends. A metric stays while an instance holds it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[str, str] = {}
        self._metrics: dict[Key, _Metric] = {}
        # Finalizers release metrics. They run at any place of any thread, so they cannot wait.
        self._released: deque[tuple[HeldMetrics, Key]] = deque()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            while self._released:
                holder, key = self._released.popleft()
                metric = self._metrics.get(key)
                if metric is not None and metric.holds[holder] > 0:
                    metric.holds[holder] -= 1
                    self._drop_unheld(key, metric)
            yield

    def _drop_unheld(self, key: Key, metric: _Metric) -> None:
        if not metric.holds.total():
            del self._metrics[key]

    def define(self, family: str, kind: str) -> None:
        """See `MetricsClient.define`."""
        if not _NAME.fullmatch(family):
            raise MetricsError(f"Invalid metric name {family!r:.100}: it needs {_NAME.pattern}")
        if kind not in KINDS:
            raise MetricsError(f"the kind of a metric is {kind!r:.100}, expected one of {KINDS}")
        with self._locked():
            if self._kinds.setdefault(family, kind) != kind:
                raise MetricsError("Family name already exists with different type")

    def create(self, holder: HeldMetrics, key: Key, buckets: Sequence[float] | None) -> None:
        """See `MetricsClient.create`."""
        family, labels = key
        for name, _ in labels:
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise MetricsError(
                    f"Invalid label name {name!r:.100}: it needs {_LABEL.pattern} without __ at "
                    "its start"
                )
        with self._locked():
            kind = self._kinds.get(family)
            if kind is None:
                raise MetricsError(f"there is no metric family {family!r:.100}")
            _check_buckets(kind, buckets)
            if kind == "HISTOGRAM" and any(name == "le" for name, _ in labels):
                raise MetricsError("Invalid label name 'le': a histogram has its buckets there")
            self._metrics.setdefault(key, _Metric(buckets or ())).holds[holder] += 1

    def release(self, holder: HeldMetrics, key: Key) -> None:
        """End one hold on a metric, at the latest when metrics are used again."""
        self._released.append((holder, key))

    def release_all(self, holder: HeldMetrics) -> None:
        """End all holds of an instance."""
        with self._locked():
            for key, metric in list(self._metrics.items()):
                if metric.holds.pop(holder, 0):
                    self._drop_unheld(key, metric)

    def apply(self, operation: str, key: Key, value: float) -> float:
        """See `MetricsClient.apply`."""
        with self._locked():
            metric = self._metrics.get(key)
            if metric is None:
                raise MetricsError(f"no model holds this metric of {key[0]!r:.100}")
            kind = self._kinds[key[0]]
            if operation not in _ALLOWED[kind]:
                raise MetricsError(
                    f"TRITONSERVER_METRIC_KIND_{kind} does not support {operation.capitalize()}"
                )
            if kind == "COUNTER" and value < 0:
                raise MetricsError(
                    "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by "
                    "non-negative values."
                )
            _OPERATIONS[operation](metric, value)
            return metric.value


def _check_buckets(kind: str, buckets: Sequence[float] | None) -> None:
    if kind != "HISTOGRAM":
        if buckets is not None:
            raise MetricsError("Unexpected buckets found.")
        return
    if buckets is None:
        raise MetricsError("Missing required buckets.")
    # A comparison with NaN is never true.
    if not all(low < high for low, high in itertools.pairwise([-math.inf, *buckets])):
        raise MetricsError("Bucket Boundaries must be strictly sorted")


class HeldMetrics:
    """A `MetricsClient` for one instance; `close` releases what the instance holds.

    Args:
        metrics: those of the server.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def define(self, family: str, description: str, kind: str) -> None:
        """Make a family, unless it is there."""
        self._metrics.define(family, kind)

    def create(
        self, family: str, labels: Mapping[str, str], buckets: Sequence[float] | None
    ) -> None:
        """Make a metric, or hold the one with these labels once more."""
        self._metrics.create(self, _key(family, labels), buckets)

    def release(self, family: str, labels: Mapping[str, str]) -> None:
        """End one hold on a metric, if there is one."""
        self._metrics.release(self, _key(family, labels))

    def apply(
        self, operation: str, family: str, labels: Mapping[str, str], value: float = 0.0
    ) -> float:
        """Do what `operation` says; return the value."""
        return self._metrics.apply(operation, _key(family, labels), value)

    def close(self) -> None:
        """Release all metrics."""
        self._metrics.release_all(self)


def _key(family: str, labels: Mapping[str, str]) -> Key:
    return family, tuple(sorted(labels.items()))
