"""The response cache: what it answers, what it counts, and what it drops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import ServerError
from tritonclient.server.core import InferenceServer
from tritonclient.server.jobs.tensor import Tensor
from tritonclient.server.scheduling.response_cache import ResponseCache

COUNT = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    count = 0

    def execute(self, requests):
        self.count += 1
        answers = []
        for request in requests:
            if pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0] < 0:
                answers.append(pb_utils.InferenceResponse(error=pb_utils.TritonError("below 0")))
                continue
            tensor = pb_utils.Tensor("OUT", np.array([self.count], np.float32))
            answers.append(pb_utils.InferenceResponse([tensor]))
        return answers
"""
CACHED = FP32_CONFIG + "response_cache { enable: true }"

Serve = Callable[..., InferenceServer]


def call(core: InferenceServer, *values: float, model: str = "counts") -> list[float]:
    response = core.handle(m.Infer(model, inputs=(fp32("IN", values),)))
    data = response.outputs[0].data
    assert data is not None
    found: list[float] = np.frombuffer(data, "<f4").tolist()
    return found


def statistics(core: InferenceServer) -> m.ModelStatistics:
    (found,) = core.handle(m.GetStatistics("counts"))
    return found


def test_equal_requests_execute_once(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("counts", COUNT, CACHED)
    core = serve(response_cache_size=1 << 20)
    assert [call(core, 1, 2) for _ in range(3)] == [[1.0]] * 3
    assert call(core, 1, 3) == [2.0]
    found = statistics(core)
    assert found.execution_count == 2
    assert found.inference_count == 2  # as in Triton, hits are no inferences
    assert found.inference_stats.success.count == 4
    assert found.inference_stats.queue.count == 4
    assert found.inference_stats.compute_infer.count == 2
    assert found.inference_stats.cache_hit.count == 2
    assert found.inference_stats.cache_miss.count == 2


def test_reloaded_model_executes_anew(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("counts", COUNT, CACHED)
    core = serve(response_cache_size=1 << 20, control_mode="explicit", load_models=["counts"])
    assert call(core, 1) == call(core, 1) == [1.0]
    core.handle(m.LoadModel("counts"))
    call(core, 1)
    assert statistics(core).execution_count == 1


def test_errors_are_not_kept(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("counts", COUNT, CACHED)
    core = serve(response_cache_size=1 << 20)
    for _ in range(2):
        with pytest.raises(ServerError, match="below 0"):
            call(core, -1)
    assert statistics(core).execution_count == 2


@pytest.mark.parametrize(("config", "size"), [(FP32_CONFIG, 1 << 20), (CACHED, 0)])
def test_model_and_server_must_both_have_it(
    repository: RepositoryMaker, serve: Serve, config: str, size: int
) -> None:
    repository.python("counts", COUNT, config)
    core = serve(response_cache_size=size)
    assert [call(core, 1), call(core, 1)] == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "what", ["sequence_batching { }", "model_transaction_policy { decoupled: true }"]
)
def test_it_is_refused_where_responses_depend_on_more(
    repository: RepositoryMaker, serve: Serve, what: str
) -> None:
    repository.python("counts", COUNT, CACHED + what)
    core = serve(response_cache_size=1 << 20, exit_on_error=False)
    (status,) = core.status()
    assert "Response Cache does not currently support" in status.status


def tensor(*values: Any, datatype: str = "FP32") -> Tensor:
    kind = object if datatype == "BYTES" else np.float32
    return Tensor("OUT", datatype, np.array(values, kind))


def test_least_recently_used_are_dropped() -> None:
    cache = ResponseCache(3 * 48)
    for key in (b"a", b"b", b"c"):
        cache.put(key, [tensor(*range(10))])  # 41 bytes with the key
    assert cache.get(b"a")
    cache.put(b"d", [tensor(*range(10))])
    assert [bool(cache.get(key)) for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_too_large_a_response_is_not_kept_and_drops_nothing() -> None:
    cache = ResponseCache(100)
    cache.put(b"a", [tensor(1)])
    cache.put(b"b", [tensor(b"x" * 100, datatype="BYTES")])
    assert cache.get(b"a")
    assert cache.get(b"b") is None


def test_kept_outputs_are_copies() -> None:
    cache = ResponseCache(100)
    given = tensor(1)
    cache.put(b"a", [given])
    given.array[0] = 2
    (kept,) = cache.get(b"a") or ()
    assert kept.array.tolist() == [1.0]
    with pytest.raises(ValueError, match="read-only"):
        kept.array[0] = 3
