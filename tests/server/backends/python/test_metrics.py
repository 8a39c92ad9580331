"""Metrics that models make, which are taken and refused as in Triton 2.51."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.server.conftest import RepositoryMaker
from tritonclient.server import Server
from tritonclient.server.backends.python.pb_utils import module as pb_utils
from tritonclient.server.core import InferenceServer

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
COUNTING = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily(
            name="requests", description="all", kind=pb_utils.MetricFamily.COUNTER
        )
        self.metric = self.family.Metric(labels={"model": "any"})

    def execute(self, requests):
        self.metric.increment(len(requests))
        value = np.array([self.metric.value()], np.float32)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", value)]) for _ in requests]
"""


@pytest.fixture
def host(serve: Callable[..., InferenceServer]) -> InferenceServer:
    return serve(exit_on_error=False)


@pytest.fixture
def pb(host: InferenceServer) -> Iterator[Any]:
    module: ModuleType = pb_utils.of_model(host, "/nowhere")
    yield module
    pb_utils.close(module)


def family(pb: Any, kind: str, name: str = "") -> Any:
    return pb.MetricFamily(name or kind.lower(), "text", getattr(pb.MetricFamily, kind))


def test_a_counter(pb: Any) -> None:
    counter = family(pb, "COUNTER")
    metric = counter.Metric(labels={"a": "1", "b": "2"})
    same, other = counter.Metric(labels={"b": "2", "a": "1"}), counter.Metric()
    metric.increment(2)
    assert metric.increment(0.5) is None
    assert (metric.value(), same.value(), other.value()) == (2.5, 2.5, 0.0)


def test_a_gauge(pb: Any) -> None:
    gauge = family(pb, "GAUGE")
    metric = gauge.Metric()
    metric.increment(-2)
    assert metric.value() == -2
    metric.set(float("inf"))
    assert metric.value() == float("inf")


def test_a_histogram(pb: Any) -> None:
    histogram = family(pb, "HISTOGRAM")
    for metric in (histogram.Metric(buckets=[1, 2.5]), histogram.Metric({"a": "b"}, [])):
        assert metric.observe(1.5) is None


@pytest.mark.parametrize(
    ("kind", "operation", "message"),
    [
        ("COUNTER", "increment", "COUNTER can only be incremented monotonically by non-negative"),
        ("COUNTER", "set", "Failed to set metric value: TRITONSERVER_METRIC_KIND_COUNTER does not"),
        ("COUNTER", "observe", "Failed to observe .*_KIND_COUNTER does not support Observe"),
        ("GAUGE", "observe", "TRITONSERVER_METRIC_KIND_GAUGE does not support Observe"),
        ("HISTOGRAM", "increment", "Failed to increment .*_KIND_HISTOGRAM does not support Incr"),
        ("HISTOGRAM", "set", "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Set"),
        ("HISTOGRAM", "value", "Failed to get metric value: .*HISTOGRAM does not support Value"),
    ],
)
def test_operations_of_other_kinds_are_refused(
    pb: Any, kind: str, operation: str, message: str
) -> None:
    owner = family(pb, kind)
    metric = owner.Metric(buckets=[1.0] if kind == "HISTOGRAM" else None)
    with pytest.raises(pb.TritonModelException, match=message):
        getattr(metric, operation)(*([] if operation == "value" else [-1]))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("COUNTER", {"labels": [1]}, "Labels must be a dictionary"),
        ("COUNTER", {"labels": {"a": 1}}, "label 'a' is 1, expected str"),
        ("COUNTER", {"labels": {1: "a"}}, "label 1 is 'a', expected str"),
        ("COUNTER", {"labels": {"a b": "1"}}, "Invalid label name 'a b'"),
        ("COUNTER", {"labels": {"__a": "1"}}, "Invalid label name '__a'"),
        ("COUNTER", {"buckets": [1.0]}, "Unexpected buckets found"),
        ("GAUGE", {"buckets": []}, "Unexpected buckets found"),
        ("HISTOGRAM", {}, "Missing required buckets"),
        ("HISTOGRAM", {"buckets": (1, 2)}, "Buckets must be a list"),
        ("HISTOGRAM", {"buckets": [1, 1]}, "must be strictly sorted"),
        ("HISTOGRAM", {"buckets": [2, 1]}, "must be strictly sorted"),
        ("HISTOGRAM", {"buckets": [float("nan")]}, "must be strictly sorted"),
        ("HISTOGRAM", {"buckets": [1], "labels": {"le": "1"}}, "Invalid label name 'le'"),
    ],
)
def test_metrics_that_are_refused(
    pb: Any, kind: str, options: dict[str, Any], message: str
) -> None:
    owner = family(pb, kind)
    with pytest.raises(pb.TritonModelException, match=message):
        owner.Metric(**options)


def test_values_are_numbers(pb: Any) -> None:
    owner = family(pb, "GAUGE")
    with pytest.raises(TypeError, match="value is '1', expected float"):
        owner.Metric().set("1")
    with pytest.raises(TypeError, match="element of buckets is '1', expected float"):
        family(pb, "HISTOGRAM").Metric(buckets=["1"])


def test_families_that_are_refused(pb: Any) -> None:
    counter = pb.MetricFamily.COUNTER
    family(pb, "COUNTER", "same")
    pb.MetricFamily("same", "another text", counter)
    with pytest.raises(pb.TritonModelException, match="Family name already exists with different"):
        family(pb, "GAUGE", "same")
    for name in ("", "a b", "1"):
        with pytest.raises(pb.TritonModelException, match="MetricFamily: Invalid metric name"):
            pb.MetricFamily(name, "d", counter)
    with pytest.raises(TypeError, match="kind is 0, expected a kind of MetricFamily"):
        pb.MetricFamily("x", "d", 0)
    with pytest.raises(TypeError, match="name of a metric family is NoneType"):
        pb.MetricFamily(None, "d", counter)
    with pytest.raises(pb.TritonModelException, match="at the top of the model's file"):
        pb_utils.MetricFamily("x", "d", counter)


def test_a_value_stays_while_a_family_does(pb: Any) -> None:
    first = family(pb, "COUNTER", "kept")
    second = family(pb, "COUNTER", "kept")
    first.Metric({"a": "b"}).increment(1)
    second.Metric({"a": "b"}).increment(1)
    metric = first.Metric({"a": "b"})
    assert metric.value() == 2
    del first
    gc.collect()
    with pytest.raises(pb.TritonModelException, match="'MetricFamily' has been deleted"):
        metric.value()
    assert second.Metric({"a": "b"}).value() == 2
    del second
    gc.collect()
    third = family(pb, "COUNTER", "kept")
    assert third.Metric({"a": "b"}).value() == 0


def test_models_share_values_until_they_are_closed(host: InferenceServer) -> None:
    one, other = (pb_utils.of_model(host, "/nowhere") for _ in range(2))
    families = [family(each, "COUNTER", "shared") for each in (one, other)]
    families[0].Metric().increment(3)
    metric = families[1].Metric()
    pb_utils.close(one)
    assert metric.value() == 3
    pb_utils.close(other)
    with pytest.raises(pb_utils.TritonModelException, match="no model holds this metric"):
        metric.value()


def test_no_increment_is_lost(pb: Any) -> None:
    owner = family(pb, "COUNTER")

    def count() -> None:
        for _ in range(500):
            owner.Metric({"a": "b"}).increment(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owner.Metric({"a": "b"}).value() == 2000


def test_metrics_in_a_model(repository: RepositoryMaker) -> None:
    repository.python("first", COUNTING)
    repository.python("second", COUNTING)
    with Server(repository.directory, grpc_port=None) as server:
        client = tritonclient.Client(server.http_url)
        try:
            seen = [
                client.infer(model, {"IN": np.ones(1, np.float32)})["OUT"].item()
                for model in ("first", "second", "first")
            ]
        finally:
            client.close()
    assert seen == [1.0, 2.0, 3.0]
