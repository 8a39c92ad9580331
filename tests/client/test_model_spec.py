"""Checks of a model handle before anything is sent, and unusual descriptions of models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.peers.hostile_peers import Server, answer_all, both_runtimes, http
from tritonclient import NotFound, ProtocolError, RequestedOutput, Tensor
from tritonclient.client.model_spec import ModelSpec
from tritonclient.messages import ModelMetadata, TensorMetadata

METADATA = {
    "name": "m",
    "versions": ["1"],
    "inputs": [
        {"name": "X", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "Y", "datatype": "BYTES", "shape": [-1, 1]},
    ],
    "outputs": [{"name": "Z", "datatype": "FP32", "shape": [-1, 3]}],
}
CONFIG = {"max_batch_size": 4, "input": [{"name": "Y", "optional": True}]}


def described(metadata=METADATA, config=CONFIG):
    def answer(head, body):
        wanted = config if b"/config " in head else metadata
        if wanted is None:
            return http(b'{"error":"none"}', status="404 Not Found")
        return http(json.dumps(wanted).encode())

    return Server([answer_all(answer)])


GOOD = np.zeros((2, 3), np.float32)
REFUSED = {
    "unknown input": ({"W": 1}, {}, ["no input 'W'", "X FP32 [-1, 3], Y BYTES [-1, 1]"]),
    "missing input": ({}, {}, ["input 'X' of model 'm' is missing"]),
    "unknown output": ({"X": GOOD}, {"outputs": ["W"]}, ["no output 'W'", "Z FP32 [-1, 3]"]),
    "unknown classes": ({"X": GOOD}, {"outputs": [RequestedOutput("W", 3)]}, ["no output 'W'"]),
    "shape": ({"X": np.zeros((2, 4), "f4")}, {}, ["'X'", "is FP32 [-1, 3]", "got FP32 [2, 4]"]),
    "rank": ({"X": np.zeros(3, "f4")}, {}, ["'X'", "got FP32 [3]", "array[None]"]),
    "batch": ({"X": np.zeros((5, 3), "f4")}, {}, ["'X'", "got FP32 [5, 3]", "largest batch is 4"]),
    "scalar": ({"X": np.float32(1)}, {}, ["'X'", "is FP32 [-1, 3]", "got FP32 []"]),
    "dtype": ({"X": np.zeros((2, 3))}, {}, ["'X'", "is FP32 [-1, 3]", "got float64 [2, 3]"]),
    "datatype": ({"X": Tensor([[1, 2, 3]], "INT32")}, {}, ["'X'", "is FP32", "got INT32"]),
    "texts": ({"X": [["a", "b", "c"]]}, {}, ["'X'", "is FP32"]),
    "numbers": ({"X": GOOD, "Y": [[1], [2]]}, {}, ["'Y'", "is BYTES", "int"]),
    "ragged": ({"X": [[1, 2, 3], [4]]}, {}, ["'X'", "is FP32 [-1, 3]", "list"]),
}


@both_runtimes
@pytest.mark.parametrize(("inputs", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(runtime, inputs, options, words):
    with described() as server, runtime(server.url) as client:
        model = client.model("m")
        asked = len(server.requests)
        with pytest.raises(ValueError, match="model 'm'") as caught:
            _run(client, model.infer, inputs, **options)
        for word in words:
            assert word in str(caught.value)
        with pytest.raises(ValueError, match="model 'm'"):
            model.submit(inputs, **options)
        assert len(server.requests) == asked


def _run(client, method, *arguments, **options):
    result = method(*arguments, **options)
    return client.loop.run_until_complete(result) if hasattr(client, "loop") else result


def spec(config=CONFIG, metadata=METADATA):
    tensors = [
        tuple(TensorMetadata(t["name"], t["datatype"], tuple(t["shape"])) for t in metadata[kind])
        for kind in ("inputs", "outputs")
    ]
    return ModelSpec.of("m", "2", ModelMetadata("m", ("2",), "", *tensors), config)


def test_lists_become_what_the_model_takes():
    fitted = spec().check({"X": [[1, 2, 3]], "Y": [["a"]]})
    assert fitted["X"].array.dtype == np.float32
    assert fitted["Y"].datatype == "BYTES"


def test_without_configuration_the_server_says_what_is_missing():
    assert spec(None).check({}) == {}
    assert spec(None).max_batch_size is None


def test_a_model_of_which_nothing_is_told_takes_anything():
    told = ModelSpec.of("m", "", ModelMetadata("m"), None)
    assert told.check({"X": [1]}, ["Y"]) == {"X": [1]}


@both_runtimes
def test_server_without_configurations(runtime):
    with described(config=None) as server, runtime(server.url) as client:
        assert client.model("m").spec.max_batch_size is None


@both_runtimes
def test_no_such_model(runtime):
    with described(metadata=None) as server, runtime(server.url) as client:
        with pytest.raises(NotFound, match="none") as caught:
            client.model("m")
        assert (caught.value.endpoint, caught.value.model) == (server.url, "m")


@pytest.mark.parametrize(
    "config",
    [
        {"input": 1},
        {"input": [1]},
        {"input": None},
        {"max_batch_size": "many"},
        {"max_batch_size": None},
        {"max_batch_size": []},
        {"max_batch_size": float("inf")},
    ],
)
def test_strange_configuration(config):
    with pytest.raises(ProtocolError, match="configuration can't be read") as caught:
        spec(config)
    assert caught.value.model == "m"


@pytest.mark.parametrize("datatype", ["", "INT33"])
def test_strange_datatype(datatype):
    metadata = {**METADATA, "inputs": [{"name": "X", "datatype": datatype, "shape": [1]}]}
    for value in ([1], np.zeros(1), Tensor([1], "INT8")):
        with pytest.raises(ValueError, match="input 'X' of model 'm'"):
            spec(None, metadata).check({"X": value})


def test_batching_model_without_dimensions():
    metadata = {**METADATA, "inputs": [{"name": "X", "datatype": "FP32", "shape": []}]}
    spec(metadata=metadata).check({"X": np.float32(1)})
    with pytest.raises(ValueError, match=r"got FP32 \[1\]"):
        spec(metadata=metadata).check({"X": np.zeros(1, np.float32)})
