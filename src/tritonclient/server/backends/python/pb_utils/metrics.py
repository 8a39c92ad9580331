"""`MetricFamily` and `Metric` of `triton_python_backend_utils`."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, ClassVar

from ....telemetry.metrics import MetricsClient, MetricsError
from .errors import TritonModelException
from .tensor import text

_LOST_FAMILY = (
    "Invalid metric operation as the corresponding 'MetricFamily' has been deleted. The "
    "'MetricFamily' object should be deleted AFTER its corresponding 'Metric' objects have been "
    "deleted."
)


class MetricKind(IntEnum):
    """Kinds of metrics, with Triton's numbers."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2


class MetricFamily:
    """Metrics of one name and kind; those with equal labels share one value in all models.

    The value of a metric stays until its families end, so a model must keep the family.

    Args:
        name: the name, as Prometheus has them.
        description: text for people; that of the first family of this name counts.
        kind: `MetricFamily.COUNTER`, `MetricFamily.GAUGE` or `MetricFamily.HISTOGRAM`.

    Raises:
        TypeError: an argument has another type.
        TritonModelException: the name is invalid, or is that of a family of another kind.
    """

    COUNTER: ClassVar = MetricKind.COUNTER
    GAUGE: ClassVar = MetricKind.GAUGE
    HISTOGRAM: ClassVar = MetricKind.HISTOGRAM

    #: Those of the model's instance, in the subclass that `module.of_model` makes for it.
    metrics: ClassVar[MetricsClient | None] = None

    def __init__(self, name: str, description: str, kind: MetricKind) -> None:
        if not isinstance(kind, MetricKind):
            raise TypeError(
                f"kind is {kind!r:.100}, expected a kind of MetricFamily, such as "
                "MetricFamily.COUNTER"
            )
        if self.metrics is None:
            raise TritonModelException(
                "metrics are made by classes that were imported when the model was loaded; import "
                "triton_python_backend_utils at the top of the model's file"
            )
        self._client = self.metrics
        self._name = text("name of a metric family", name)
        with _errors("Error when creating MetricFamily"):
            self._client.define(self._name, text("description", description), kind.name)
        self._held: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
        end = weakref.finalize(self, _release, self._client, self._name, self._held)
        end.atexit = False

    def Metric(
        self, labels: Mapping[str, str] | None = None, buckets: list[float] | None = None
    ) -> Metric:
        """Return the metric with these labels.

        Args:
            labels: values of type str by name.
            buckets: upper bounds of the buckets of a HISTOGRAM, in ascending order.

        Raises:
            TritonModelException: an argument does not fit.
        """
        _check_labels(labels)
        bounds = None
        if buckets is not None:
            if not isinstance(buckets, list):
                raise TritonModelException("Failed to create metric. Buckets must be a list.")
            bounds = [_number("an element of buckets", each) for each in buckets]
        metric = Metric(self, labels or {})
        with _errors("Failed to create metric"):
            self._client.create(self._name, metric._labels, bounds)
        # A family holds a metric once.
        labels = metric._labels
        if self._held.setdefault(frozenset(labels.items()), labels) is not labels:
            self._client.release(self._name, labels)
        return metric


class Metric:
    """One value of a family, made by `MetricFamily.Metric`."""

    def __init__(self, family: MetricFamily, labels: Mapping[str, str]) -> None:
        self._family = weakref.ref(family)
        self._client = family._client
        self._name = family._name
        self._labels = dict(labels)

    def increment(self, value: float) -> None:
        """Add a value, which a COUNTER needs to be from 0; a HISTOGRAM refuses."""
        self._apply("Failed to increment metric value", "increment", _number("value", value))

    def set(self, value: float) -> None:
        """Set the value of a GAUGE; other kinds refuse."""
        self._apply("Failed to set metric value", "set", _number("value", value))

    def observe(self, value: float) -> None:
        """Count a value of a HISTOGRAM; other kinds refuse."""
        self._apply("Failed to observe metric value", "observe", _number("value", value))

    def value(self) -> float:
        """Return the value; a HISTOGRAM refuses."""
        return self._apply("Failed to get metric value", "value")

    def _apply(self, failure: str, operation: str, value: float = 0.0) -> float:
        if self._family() is None:
            raise TritonModelException(f"{failure}: {_LOST_FAMILY}")
        with _errors(failure):
            return self._client.apply(operation, self._name, self._labels, value)


def _release(client: MetricsClient, name: str, held: dict[Any, dict[str, str]]) -> None:
    for labels in held.values():
        client.release(name, labels)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except MetricsError as error:
        raise TritonModelException(f"{what}: {error}") from error


def _check_labels(labels: object) -> None:
    if labels is None:
        return
    if not isinstance(labels, dict):
        raise TritonModelException("Failed to create metric. Labels must be a dictionary.")
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TritonModelException(
                f"Failed to create metric. The label {name!r:.100} is {value!r:.100}, expected str "
                "for both."
            )


def _number(name: str, value: Any) -> float:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {value!r:.100}, expected float")
    return float(value)
