"""ONNX models: completion of the configuration, checks and execution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker, int32
from tritonclient import messages as m
from tritonclient.errors import Internal
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]


def test_everything_is_completed(repository: RepositoryMaker, serve: Serve) -> None:
    (repository.copy("simple") / "config.pbtxt").unlink()
    config = serve().handle(m.GetModelConfig("simple"))
    assert config["max_batch_size"] == 4
    assert config["dynamic_batching"]["preferred_batch_size"] == [4]
    assert config["instance_group"][0]["count"] == 2
    assert [(i["name"], i["data_type"], i["dims"]) for i in config["input"]] == [
        ("INPUT0", "TYPE_INT32", [16]),
        ("INPUT1", "TYPE_INT32", [16]),
    ]


def test_what_is_given_is_kept(repository: RepositoryMaker, serve: Serve) -> None:
    repository.copy("simple", "max_batch_size: 3")
    config = serve().handle(m.GetModelConfig("simple"))
    assert config["max_batch_size"] == 3
    assert "dynamic_batching" not in config
    assert [o["name"] for o in config["output"]] == ["OUTPUT0", "OUTPUT1"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('input { name: "NOPE" data_type: TYPE_INT32 dims: 16 }', "unexpected inference input"),
        ('input { name: "INPUT0" data_type: TYPE_FP32 dims: 16 }', "another datatype"),
        ('input { name: "INPUT0" data_type: TYPE_INT32 dims: [16, 1] }', "expects 2 dimensions"),
        ('input { name: "INPUT0" data_type: TYPE_INT32 dims: 17 }', r"shape \[-1,16\]"),
    ],
)
def test_configuration_must_fit_the_model(
    repository: RepositoryMaker, serve: Serve, config: str, message: str
) -> None:
    repository.copy("simple", "max_batch_size: 8 " + config)
    with pytest.raises(Internal, match=message):
        serve()


def test_model_without_batch_dimension_takes_no_batches(
    repository: RepositoryMaker, serve: Serve
) -> None:
    path = repository.copy("simple", "max_batch_size: 8") / "1" / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(Internal, match="onnx runtime error"):
        serve()


def test_outputs_are_computed_and_those_not_wanted_left_out(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.copy("simple")
    a = np.arange(32, dtype=np.int32).reshape(2, 16)
    request = m.Infer(
        "simple", (int32("INPUT0", a), int32("INPUT1", a)), outputs=(m.RequestedOutput("OUTPUT0"),)
    )
    (output,) = serve().handle(request).outputs
    assert (output.name, output.shape) == ("OUTPUT0", (2, 16))
    assert bytes(output.data or b"") == (a + a).tobytes()
