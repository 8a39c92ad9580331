"""Statistics add up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import InvalidArgument, ServerError
from tritonclient.server.core import InferenceServer
from tritonclient.server.telemetry.statistics import Durations, Statistics

STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


def check_sums(found: m.ModelStatistics) -> None:
    stats = found.inference_stats
    parts = [getattr(stats, stage) for stage in STAGES]
    assert {part.count for part in parts} == {stats.success.count}
    assert sum(part.ns for part in parts) == stats.success.ns
    assert sum(each.compute_infer.count for each in found.batch_stats) == found.execution_count


def test_counts_and_sums() -> None:
    statistics = Statistics()
    for batch_size, durations in (
        (4, Durations(1, 2, 3, 4)),
        (1, Durations(10, 20, 30, 40)),
    ):
        statistics.executed(batch_size, durations)
        statistics.succeeded(batch_size, durations)
    statistics.executed(1, Durations(0, 0, 7, 0))
    statistics.failed(Durations(0, 0, 7, 0))
    statistics.failed(Durations(5))
    found = statistics.snapshot("a", "1")
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (5, 3)
    assert found.inference_stats.success == m.StatisticDuration(2, 110)
    assert found.inference_stats.fail == m.StatisticDuration(2, 12)
    assert found.batch_stats == (
        m.InferBatchStatistics(
            1, m.StatisticDuration(2, 20), m.StatisticDuration(2, 37), m.StatisticDuration(2, 40)
        ),
        m.InferBatchStatistics(
            4, m.StatisticDuration(1, 2), m.StatisticDuration(1, 3), m.StatisticDuration(1, 4)
        ),
    )


def test_of_a_model(repository: RepositoryMaker, serve: Callable[..., InferenceServer]) -> None:
    repository.python("a", config="max_batch_size: 4" + FP32_CONFIG)
    repository.python("b", "class TritonPythonModel:\n    def execute(self, requests): return []")
    core = serve()
    assert core.handle(m.GetStatistics("a"))[0].last_inference == 0
    core.handle(m.Infer("a", (fp32("IN", [[1], [2], [3]]),)))
    core.handle(m.Infer("a", (fp32("IN", [[1]]),)))
    with pytest.raises(InvalidArgument):  # refused before it reached the model: not counted
        core.handle(m.Infer("a", (fp32("IN", [[1]] * 5),)))
    with pytest.raises(ServerError):
        core.handle(m.Infer("b", (fp32("IN", [1]),)))
    a, b = core.handle(m.GetStatistics())
    check_sums(a)
    assert (a.name, a.version, a.inference_count, a.execution_count) == ("a", "1", 4, 2)
    assert [each.batch_size for each in a.batch_stats] == [1, 3]
    assert a.last_inference > 0
    assert a.inference_stats.fail.count == 0
    check_sums(b)
    assert (b.inference_count, b.execution_count, b.inference_stats.fail.count) == (0, 1, 1)
    assert b.inference_stats.fail.ns > 0


def test_a_response_with_an_error_counts_as_a_success(
    repository: RepositoryMaker, serve: Callable[..., InferenceServer]
) -> None:
    """As in Triton 2.51; what `execute` raises counts as a failure."""
    answers = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        if requests[0].request_id() == "raise":
            raise ValueError("no")
        return [pb_utils.InferenceResponse(error=pb_utils.TritonError("no")) for _ in requests]
"""
    repository.python("a", answers)
    core = serve()
    for id in ("", "", "raise"):
        with pytest.raises(ServerError, match="no"):
            core.handle(m.Infer("a", (fp32("IN", [1]),), id=id))
    (found,) = core.handle(m.GetStatistics("a"))
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (2, 3)
    assert (found.inference_stats.success.count, found.inference_stats.fail.count) == (2, 1)
