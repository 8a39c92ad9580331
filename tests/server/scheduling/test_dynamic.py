"""Requests that are executed together, and those that wait for too long or among too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, Gate, RepositoryMaker, fp32
from tests.server.telemetry.test_statistics import check_sums
from tritonclient import messages as m
from tritonclient.errors import InferenceServerException, Unavailable
from tritonclient.server.core import InferenceServer
from tritonclient.server.inference import Responses

Serve = Callable[..., InferenceServer]


CODE = """
import triton_python_backend_utils as pb_utils
from tests.server.conftest import GATES

class TritonPythonModel:
    def execute(self, requests):
        GATES[-1].execute([request.request_id() for request in requests])
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("OUT", request.inputs()[0].as_numpy())])
            for request in requests
        ]
"""


class Waiting:
    """A model "a" that executes request "first", while others wait in the order of `ask`."""

    def __init__(self, core: InferenceServer, gate: Gate) -> None:
        self.core = core
        self._gate = gate
        self._asked: dict[str, Responses] = {}
        self.ask("first")
        gate.wait()

    def ask(
        self,
        id: str,
        shape: tuple[int, ...] = (1, 2),
        cancelled: threading.Event | None = None,
        **parameters: int,
    ) -> None:
        array = np.full(shape, float(len(self._asked)))
        request = m.Infer("a", (fp32("IN", array),), id=id, parameters=parameters)
        self._asked[id] = self.core.stream(request, cancelled)

    def answer(self, id: str) -> m.InferResponse | InferenceServerException:
        """The answer to one request, which must have come or be about to."""
        (answer,) = self._asked[id]
        return answer

    def proceed(self, batches: int) -> list[list[str]]:
        """Release the first request and then so many batches; return these."""
        for _ in range(batches):
            self._gate.release()
            self._gate.wait()
        self._gate.release()
        return self._gate.batches[1:]

    def check(self) -> None:
        """Everything was answered with its own input."""
        for index, id in enumerate(self._asked):
            answer = self.answer(id)
            assert isinstance(answer, m.InferResponse)
            (output,) = answer.outputs
            found = np.frombuffer(output.data or b"", "<f4").reshape(output.shape)
            np.testing.assert_array_equal(found, np.full(output.shape, float(index)))


@pytest.fixture
def waiting(repository: RepositoryMaker, serve: Serve, gate: Gate) -> Callable[..., Waiting]:
    def make(batching: str, max_batch_size: int = 8) -> Waiting:
        config = f"max_batch_size: {max_batch_size} {batching}" + FP32_CONFIG
        repository.python("a", CODE, config)
        return Waiting(serve(), gate)

    return make


def test_requests_that_wait_are_executed_together(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { }")
    for each in range(10):
        model.ask(f"r{each}")
    assert model.proceed(2) == [[f"r{each}" for each in range(8)], ["r8", "r9"]]
    model.check()
    (found,) = model.core.handle(m.GetStatistics("a"))
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (11, 3)
    assert [each.batch_size for each in found.batch_stats] == [1, 2, 8]
    assert [each.compute_infer.count for each in found.batch_stats] == [1, 1, 1]
    assert found.inference_stats.success.count == 11


def test_without_a_batcher_each_is_executed_by_itself(waiting: Callable[..., Waiting]) -> None:
    model = waiting("")
    model.ask("b")
    model.ask("c")
    assert model.proceed(2) == [["b"], ["c"]]
    model.check()


def test_batches_are_not_torn_apart(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { }")
    for id, size in (("a", 3), ("b", 3), ("c", 3), ("d", 2), ("e", 8)):
        model.ask(id, (size, 2))
    assert model.proceed(3) == [["a", "b"], ["c", "d"], ["e"]]
    model.check()


def test_only_equal_shapes_go_together(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { }")
    for id, size in (("a", 2), ("b", 3), ("c", 2), ("d", 2)):
        model.ask(id, (1, size))
    assert model.proceed(3) == [["a"], ["b"], ["c", "d"]]
    model.check()


def test_preferred_sizes(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { preferred_batch_size: [ 2, 4 ] }")
    for each in range(7):
        model.ask(str(each))
    assert model.proceed(3) == [["0", "1", "2", "3"], ["4", "5"], ["6"]]
    model.check()


def test_requests_wait_for_others_for_a_while(
    repository: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    delay = "preferred_batch_size: 3 max_queue_delay_microseconds: 60000000"
    repository.python("a", CODE, f"max_batch_size: 8 dynamic_batching {{ {delay} }}" + FP32_CONFIG)
    core = serve()
    asked = [core.stream(m.Infer("a", (fp32("IN", [[each]]),), id=str(each))) for each in range(3)]
    gate.wait()  # long before the delay is over
    assert gate.batches == [["0", "1", "2"]]
    gate.release()
    for each in asked:
        assert len(list(each)) == 1


def test_they_do_not_wait_for_longer(repository: RepositoryMaker, serve: Serve, gate: Gate) -> None:
    delay = "max_queue_delay_microseconds: 50000"
    repository.python("a", CODE, f"max_batch_size: 8 dynamic_batching {{ {delay} }}" + FP32_CONFIG)
    core = serve()
    begin = time.monotonic()
    asked = core.stream(m.Infer("a", (fp32("IN", [[1]]),)))
    gate.wait()
    assert time.monotonic() - begin >= 0.05
    gate.release()
    assert len(list(asked)) == 1


# Priorities and policies


def test_priorities(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { priority_levels: 3 default_priority_level: 2 }", 1)
    for id, priority in (("a", 9), ("b", 3), ("c", 0), ("d", 1)):
        model.ask(id, priority=priority)
    assert model.proceed(4) == [["d"], ["a"], ["c"], ["b"]]
    model.check()


def test_as_many_wait_as_may(waiting: Callable[..., Waiting]) -> None:
    model = waiting(
        """
        dynamic_batching {
          priority_levels: 2 default_priority_level: 1
          default_queue_policy { max_queue_size: 2 }
          priority_queue_policy { key: 2 value { max_queue_size: 1 } }
        }
        """,
        1,
    )
    for id, priority in (("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 2)):
        model.ask(id, priority=priority)
    for id in ("d", "e"):
        error = model.answer(id)
        assert isinstance(error, Unavailable)
        assert error.message() == f"[request id: {id}] Exceeds maximum queue size"
    assert model.proceed(3) == [["a"], ["c"], ["b"]]
    found = None
    for id in ("a", "b", "c"):
        assert isinstance(model.answer(id), m.InferResponse)
        (found,) = model.core.handle(m.GetStatistics("a"))
    assert found is not None
    assert found.inference_stats.fail.count == 0  # those refused were never in the queue


@pytest.mark.parametrize(
    ("policy", "timeout"),
    [
        ("default_timeout_microseconds: 1", 0),
        ("default_timeout_microseconds: 60000000 allow_timeout_override: true", 1),
        ("default_timeout_microseconds: 1 allow_timeout_override: true", 60_000_000),
    ],
)
def test_requests_whose_time_is_up_are_refused(
    waiting: Callable[..., Waiting], policy: str, timeout: int
) -> None:
    model = waiting(
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 "
        f"priority_queue_policy {{ key: 2 value {{ {policy} }} }} }}",
        1,
    )
    model.ask("late", timeout=timeout, priority=2)
    assert model.proceed(0) == []
    error = model.answer("late")
    assert isinstance(error, Unavailable)
    assert error.message() == "Request timeout expired"
    (found,) = model.core.handle(m.GetStatistics("a"))
    assert found.inference_stats.fail.count == 1
    assert found.inference_stats.fail.ns > 0
    assert found.execution_count == 1


@pytest.mark.parametrize(
    "policy", ["allow_timeout_override: true", "default_timeout_microseconds: 60000000", ""]
)
def test_a_timeout_that_may_not_be_asked_for_has_no_effect(
    waiting: Callable[..., Waiting], policy: str
) -> None:
    model = waiting(f"dynamic_batching {{ default_queue_policy {{ {policy} }} }}", 1)
    model.ask("b", timeout=1)
    assert model.proceed(1) == [["b"]]
    model.check()


def test_requests_whose_time_is_up_may_wait_behind_others(
    waiting: Callable[..., Waiting],
) -> None:
    policy = "timeout_action: DELAY default_timeout_microseconds: 60000000"
    model = waiting(
        "dynamic_batching { default_queue_policy { allow_timeout_override: true " + policy + " } }",
        1,
    )
    model.ask("late", timeout=1)
    model.ask("b")
    assert model.proceed(2) == [["b"], ["late"]]
    model.check()


def test_cancelled_while_they_wait(waiting: Callable[..., Waiting]) -> None:
    model = waiting("dynamic_batching { }")
    cancelled = threading.Event()
    model.ask("a", cancelled=cancelled)
    model.ask("b")
    cancelled.set()
    assert model.proceed(1) == [["b"]]
    assert isinstance(model.answer("b"), m.InferResponse)
    (found,) = model.core.handle(m.GetStatistics("a"))
    assert (found.inference_stats.fail.count, found.inference_count) == (1, 2)


def test_what_waits_is_executed_when_the_model_is_unloaded(
    waiting: Callable[..., Waiting],
) -> None:
    model = waiting("dynamic_batching { }")
    model.ask("b")
    closing = threading.Thread(target=model.core.close)
    closing.start()
    assert model.proceed(1) == [["b"]]
    closing.join(30)
    assert not closing.is_alive()
    assert isinstance(model.answer("b"), m.InferResponse)
