"""The benchmark: what it sends, what its workers answer, and what its tables say."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import sides, wire
from benchmarks.cases import Case, Kind
from benchmarks.conductor import Failed, Outcome, Worker
from benchmarks.table import Ratio, Row, line
from benchmarks.worker import Window
from benchmarks.workloads import make_workload

from tritonclient.codec import rest, rpc_request
from tritonclient.codec.rest import HttpRequest

WORKLOADS = pytest.mark.parametrize("name", ["small", "warm-up"])


def means(request, workload):
    assert request.model == workload.model
    assert [tensor.name for tensor in request.inputs] == list(workload.inputs)
    for tensor, array in zip(request.inputs, workload.inputs.values(), strict=True):
        assert (tensor.datatype, tuple(tensor.shape)) == (workload.datatype, array.shape)
        assert bytes(tensor.data) == array.tobytes()
    assert [output.name for output in request.outputs] == workload.outputs


@WORKLOADS
def test_the_request_over_http(name):
    workload = make_workload(name)
    path, headers, body = wire.http_request(workload)
    lowered = {name.lower(): value for name, value in headers.items()}
    means(rest.decode_request(HttpRequest("POST", path, lowered, (body,))), workload)


@WORKLOADS
def test_the_request_over_grpc(name):
    workload = make_workload(name)
    means(rpc_request.decode_request(memoryview(wire.grpc_request(workload))), workload)


def test_wrong_answers_are_noticed():
    workload = make_workload("small")
    right = list(workload.expected.values())
    workload.check(right)
    workload.check(b"head" + b"".join(array.tobytes() for array in right))
    half = right[0].tobytes()
    for wrong in ([right[0], right[0]], right[:1], [array[0] for array in right], half):
        with pytest.raises((AssertionError, ValueError)):
            workload.check(wrong)


CASE = Case("name", "Title", Kind.BLOCKING, {"ours": 0.4}, "small")


def windows(*cpu):
    """Windows of two calls."""
    return [Window(seconds, [seconds, seconds * 3]) for seconds in cpu]


def test_ratios_are_those_of_rounds():
    # The rounds differ by a factor of 16, the ratios hardly.
    outcome = Outcome(
        CASE,
        {"official": windows(1, 2, 4, 8, 16), "ours": windows(0.25, 0.6, 1, 2.4, 4)},
    )
    row = Row(outcome, "ours", "official", 0.4)
    assert row.cpu_ratio == Ratio(0.25, 0.25, pytest.approx(0.3))
    assert row.latency_ratio == row.cpu_ratio
    assert row.cpu == 0.5  # of the middle window's two calls
    assert row.met
    assert not replace(row, budget=0.2).met
    assert "0.25x of official (0.25-0.30)  budget 0.40x: yes" in line(row)


def test_budgets_in_bytes():
    case = Case("name", "Title", Kind.IN_FLIGHT, {"ours": 1024})
    outcome = Outcome(case, memory={"ours": [100, 1025, 200]})
    assert not Row(outcome, "ours", "", 1024).met
    assert Row(outcome, "ours", "", 1025).met


@pytest.mark.server
def test_a_worker_makes_calls_until_the_window_ends():
    worker = Worker(sides.SIDES["ours"])
    try:
        assert worker.description["package"].startswith("tritonclient ")
        worker.ask(open="serialise", url="")
        for seconds in (0.2, 2, 20):  # a call may take long on a busy machine
            window = Window(**worker.ask(run=seconds))
            if len(window.latencies) > 1:
                break
        assert len(window.latencies) > 1
        assert sum(window.latencies) >= 0.2 - max(window.latencies)
        assert window.cpu > 0
        assert len(worker.ask(run=0)["latencies"]) == 1
        with pytest.raises(Failed, match="no such command"):
            worker.ask(walk=1)
    finally:
        worker.close()


@pytest.mark.server
def test_a_worker_takes_the_source_of_a_commit(tmp_path):
    if not shutil.which("git") or not (sides.ROOT / ".git").exists():
        pytest.skip("needs git, and the project's history")
    commit = sides.unpack("HEAD", tmp_path)
    side = sides.at(sides.SIDES["ours"], commit, tmp_path)
    assert side.name == f"ours at {commit}"
    worker = Worker(side)
    try:
        assert Path(worker.description["place"]).is_relative_to(tmp_path)
    finally:
        worker.close()
    with pytest.raises(subprocess.CalledProcessError):
        sides.unpack("no-such-commit", tmp_path)
