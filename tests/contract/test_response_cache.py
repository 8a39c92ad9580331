"""The response cache: what is a hit, on servers that have one."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import made_models
from tests.support.made_models import NAME
from tests.support.servers import triton as real_triton
from tritonclient.server import Server

SIZE = 1 << 20
#: Gives two outputs that count its executions.
COUNTING = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    count = {start}

    def execute(self, requests):
        self.count += len(requests)
        count = np.array([self.count], np.float32)
        outputs = [pb_utils.Tensor(name, count) for name in ("A", "B")]
        return [pb_utils.InferenceResponse(outputs) for request in requests]
"""


def tensor(name: str) -> dict[str, Any]:
    return {"name": name, "data_type": "TYPE_FP32", "dims": [1]}


CONFIG = {
    "backend": "python",
    "max_batch_size": 0,
    "input": [tensor("IN")],
    "output": [tensor("A"), tensor("B")],
    "response_cache": {"enable": True},
}


@pytest.fixture(scope="module", params=["embedded", "triton"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with a response cache and the counting model."""
    repository = tmp_path_factory.mktemp("models")
    (repository / NAME).mkdir()
    if request.param == "embedded":
        with Server(
            repository, grpc_port=None, model_control_mode="explicit", response_cache_size=SIZE
        ) as server:
            yield from _loaded(server)
    else:
        yield from _triton(repository, request)


def _triton(repository: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    request.getfixturevalue("triton")  # fails or skips where there is none
    cache = f"--cache-config=local,size={SIZE}"
    with real_triton.start(repository, control_mode="explicit", extra_args=[cache]) as server:
        yield from _loaded(server)


def _loaded(server: Any) -> Iterator[Any]:
    assert load(server, 0)[0] == 200
    yield server
    made_models.unload(server)


def load(server: Any, start: int) -> tuple[int, Any]:
    return made_models.load(server, CONFIG, COUNTING.format(start=start))


_values = itertools.count()


@pytest.fixture
def value() -> int:
    """A value that no other test sends."""
    return next(_values)


def infer(server: Any, value: float, *outputs: str, **more: Any) -> dict[str, float]:
    """Return the requested outputs, all if none are named."""
    body: dict[str, Any] = {
        "inputs": [{"name": "IN", "datatype": "FP32", "shape": [1], "data": [value]}],
        **more,
    }
    if outputs:
        body["outputs"] = [{"name": name} for name in outputs]
    status, answer = made_models.ask(server, f"models/{NAME}/infer", body)
    assert status == 200, answer
    return {each["name"]: each["data"][0] for each in answer["outputs"]}


def counts(server: Any) -> tuple[int, int]:
    """Return how many requests were hits and misses."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    try:
        connection.request("GET", f"/v2/models/{NAME}/stats")
        (found,) = json.loads(connection.getresponse().read())["model_stats"]
    finally:
        connection.close()
    statistics = found["inference_stats"]
    return statistics["cache_hit"]["count"], statistics["cache_miss"]["count"]


def test_ids_parameters_and_order_do_not_matter(server: Any, value: int) -> None:
    first = infer(server, value, "A", "B")
    hits, misses = counts(server)
    assert infer(server, value, "B", "A") == first
    assert infer(server, value, id="x", parameters={"other": 1}) == first
    assert counts(server) == (hits + 2, misses)


def test_one_of_all_outputs_is_a_hit(server: Any, value: int) -> None:
    first = infer(server, value)
    hits, misses = counts(server)
    assert infer(server, value, "A")["A"] == first["A"]
    assert infer(server, value, "B")["B"] == first["B"]
    assert counts(server) == (hits + 2, misses)


def test_other_outputs_are_answered_as_requested(server: Any, value: int) -> None:
    """Triton 2.51 answers with the outputs of the earlier request: no client can use that."""
    first = infer(server, value, "A")
    if isinstance(server, Server):
        assert infer(server, value, "B") == {"B": first["A"] + 1}
        assert infer(server, value) == dict.fromkeys("AB", first["A"] + 2)
        assert infer(server, value, "A") == first
    else:
        assert infer(server, value, "B") == infer(server, value) == first


def test_a_model_that_is_loaded_again_executes(server: Any, value: int) -> None:
    """Triton 2.51 answers with a response of the model that was loaded before."""
    first = infer(server, value)
    assert load(server, 1000)[0] == 200
    again = infer(server, value)
    assert again == (dict.fromkeys("AB", 1001) if isinstance(server, Server) else first)
