"""Data: generated, from JSON, folders, arrays and generators; errors say where and what."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tritonclient.datatypes import DATATYPES, unpack
from tritonclient.perf.data.loading import load
from tritonclient.perf.data.model import ModelInfo, TensorInfo, describe
from tritonclient.perf.exits import SetupError
from tritonclient.perf.load.requests import make
from tritonclient.perf.options.settings import Settings


def model(shape=(2,), datatype="INT32", **more):
    inputs = {"IN": TensorInfo("IN", datatype, tuple(shape))}
    return ModelInfo("m", "", inputs, {"OUT": TensorInfo("OUT", datatype, tuple(shape))}, **more)


def values(tensor):
    return unpack(tensor.data, tensor.datatype, tensor.shape).tolist()


def loaded(tmp_path, document, info=None, **settings):
    path = tmp_path / "data.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return load(info or model(), Settings(input_data=[str(path)], **settings))


# Generated


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
def test_random_tensors_are_valid_different_and_the_same_each_run(datatype):
    info = model((3, 5), datatype)
    steps = load(info, Settings()).steps
    again = load(info, Settings()).steps
    other = load(info, Settings(seed=1)).steps
    data = [bytes(step.inputs["IN"].data) for step in steps]
    assert len(set(data)) > 20
    assert data == [bytes(step.inputs["IN"].data) for step in again]
    assert data != [bytes(step.inputs["IN"].data) for step in other]
    for step in steps:
        array = unpack(step.inputs["IN"].data, datatype, (3, 5))
        if datatype != "BYTES":
            assert np.isfinite(array.astype(float)).all()
        if datatype == "BOOL":
            assert set(bytes(step.inputs["IN"].data)) <= {0, 1}


def test_single_integers_differ_too():
    steps = load(model((1,)), Settings(data_pool=10)).steps
    assert len({bytes(step.inputs["IN"].data) for step in steps}) == 10


def test_the_pool_is_small_where_tensors_are_large():
    assert len(load(model((4 << 20,), "FP32"), Settings()).steps) == 4


def test_zero_and_texts():
    assert values(load(model(), Settings(input_data=["zero"])).steps[0].inputs["IN"]) == [0, 0]
    settings = Settings(string_data="ab", input_data=["zero"])
    assert values(load(model((2,), "BYTES"), settings).steps[0].inputs["IN"]) == [b"ab", b"ab"]
    random = load(model((2,), "BYTES"), Settings(string_length=7)).steps[0].inputs["IN"]
    assert [len(each) for each in values(random)] == [7, 7]


def test_kinds_by_input():
    inputs = {name: TensorInfo(name, "FP32", (4,)) for name in "AB"}
    step = load(ModelInfo("m", "", inputs), Settings(input_data=["A=zero,B=random"])).steps[0]
    assert set(values(step.inputs["A"])) == {0.0}
    assert set(values(step.inputs["B"])) != {0.0}
    with pytest.raises(SetupError, match="'C'"):
        load(ModelInfo("m", "", inputs), Settings(input_data=["C=zero"]))


def test_shapes():
    info = model((-1, 3))
    assert load(info, Settings(shape=[("IN", (5, 3))])).steps[0].inputs["IN"].shape == (5, 3)
    for shape in ((5, 4), (5,)):
        with pytest.raises(SetupError, match="incompatible with the model's input shape"):
            load(info, Settings(shape=[("IN", shape)]))
    with pytest.raises(SetupError, match="contains dynamic shape, provide shapes"):
        load(info, Settings())
    with pytest.raises(SetupError, match="'NO'"):
        load(info, Settings(shape=[("NO", (1,))]))


# JSON


@pytest.mark.parametrize(
    ("datatype", "given", "expected"),
    [
        ("INT32", [1, 2], [1, 2]),
        ("INT32", [[1, 2]], None),
        ("FP32", [1, 2.5], [1, 2.5]),
        ("FP16", [0.5, 2], [0.5, 2]),
        ("BOOL", [True, False], [True, False]),
        ("BYTES", ["a", "bc"], [b"a", b"bc"]),
        ("INT32", {"b64": base64.b64encode(b"\1\0\0\0\2\0\0\0").decode()}, [1, 2]),
        ("INT32", {"content": [3, 4], "shape": [2]}, [3, 4]),
        ("FP64", [float("inf"), 1], [float("inf"), 1]),
    ],
)
def test_values(tmp_path, datatype, given, expected):
    info = model((2,), datatype)
    step = loaded(tmp_path, {"data": [{"IN": given}]}, info).steps[0]
    assert values(step.inputs["IN"]) == (expected or [1, 2])


def test_nested_lists_tell_open_shapes(tmp_path):
    info = model((-1, -1), "FP32")
    step = loaded(tmp_path, {"data": [{"IN": [[1, 2, 3], [4, 5, 6]]}]}, info).steps[0]
    assert step.inputs["IN"].shape == (2, 3)


def test_streams_steps_and_weights(tmp_path):
    steps = [{"IN": [1, 1]}, {"IN": [2, 2], "weight": 3}]
    data = loaded(tmp_path, {"data": steps})
    assert len(data.streams) == 1
    assert [values(step.inputs["IN"])[0] for step in data.steps] == [1, 2, 2, 2]
    assert len(loaded(tmp_path, {"data": [steps, steps[:1]]}).streams) == 2


def test_expected_outputs(tmp_path):
    document = {"data": [{"IN": [1, 1]}, {"IN": [2, 2]}], "validation_data": [
        {"OUT": [1, 1]}, {"OUT": [2, 2]}]}  # fmt: skip
    requests, expected = make(model(max_batch_size=4), loaded(tmp_path, document),
                              Settings(batch_size=2))  # fmt: skip
    assert len(requests) == 1
    assert expected is not None
    assert requests[0].inputs[0].shape == (2, 2)
    assert np.frombuffer(expected[0]["OUT"], np.int32).tolist() == [1, 1, 2, 2]


def test_batches_take_steps_in_turn(tmp_path):
    data = loaded(tmp_path, {"data": [{"IN": [n, n]} for n in range(3)]})
    requests, expected = make(model(max_batch_size=4), data, Settings(batch_size=2))
    firsts = [np.frombuffer(r.inputs[0].data, np.int32)[::2].tolist() for r in requests]
    assert firsts == [[0, 1], [2, 0], [1, 2]]
    assert expected is None


BROKEN = [
    ("{", ["data.json", "not JSON"]),
    ([], ["no object"]),
    ({}, ["'data'"]),
    ({"data": []}, ["empty"]),
    ({"data": [1]}, ["neither"]),
    ({"data": [{"IN": [1, 2]}, [{"IN": [1, 2]}]]}, ["mixes"]),
    ({"data": [[]]}, ["empty"]),
    ({"data": [{"IN": [1, 2]}, {}]}, ["step 1", "'IN'"]),
    ({"data": [{"IN": [1, 2], "X": [1]}]}, ["step 0", "'X'"]),
    ({"data": [{"IN": [1]}]}, ["step 0", "'IN'", "1 elements", "expected 2"]),
    ({"data": [{"IN": [1, 2.5]}]}, ["2.5", "whole numbers", '"IN": [1, 2]']),
    ({"data": [{"IN": [1, "a"]}]}, ["'a'"]),
    ({"data": [{"IN": [1, 2**31]}]}, ["2147483648", "INT32"]),
    ({"data": [{"IN": [[1], [2, 3]]}]}, ["different lengths"]),
    ({"data": [{"IN": {"b64": "?"}}]}, ["b64"]),
    ({"data": [{"IN": {"b64": "AAAA"}}]}, ["3 bytes"]),
    ({"data": [{"IN": {"content": [1, 2], "shape": [3]}}]}, ["incompatible", "[2]"]),
    ({"data": [{"IN": 5}]}, ["5", "a list"]),
    ({"data": [[{"IN": [1, 2]}, {"IN": "x"}]]}, ["stream 0, step 1"]),
    ({"data": [{"IN": [1, 2]}], "validation_data": []}, ["validation_data", "1"]),
    ({"data": [{"IN": [1, 2]}], "validation_data": [{"NO": [1, 2]}]}, ["'NO'", "OUT"]),
    ({"data": [{"IN": [1, 2], "weight": 0}]}, ["weight"]),
    ("[" * 100_000, ["not JSON"]),
]


@pytest.mark.parametrize(("document", "named"), BROKEN, ids=lambda value: str(value)[:50])
def test_errors_say_where_and_what(tmp_path, document, named):
    with pytest.raises(SetupError) as caught:
        loaded(tmp_path, document)
    for text in named:
        assert text in str(caught.value)


# Files


def test_a_folder(tmp_path):
    (tmp_path / "IN").write_bytes(np.array([5, 6], "<i4").tobytes())
    step = load(model(), Settings(input_data=[str(tmp_path)])).steps[0]
    assert values(step.inputs["IN"]) == [5, 6]
    (tmp_path / "IN").write_bytes(b"123")
    with pytest.raises(SetupError, match="3 bytes"):
        load(model(), Settings(input_data=[str(tmp_path)]))
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(SetupError, match="'other'"):
        load(model(), Settings(input_data=[str(tmp_path)]))


def test_a_folder_with_texts(tmp_path):
    (tmp_path / "IN").write_text("one\ntwo\n")
    step = load(model((2,), "BYTES"), Settings(input_data=[str(tmp_path)])).steps[0]
    assert values(step.inputs["IN"]) == [b"one", b"two"]


def test_arrays_of_several_shapes_with_weights(tmp_path):
    info = model((-1,), "FP32")
    np.savez(tmp_path / "a.npz", IN=np.zeros(3, np.float32), weight=2)
    np.save(tmp_path / "b.npy", np.ones((1, 5), np.float32))
    paths = [str(tmp_path / "a.npz"), str(tmp_path / "b.npy")]
    steps = load(info, Settings(input_data=paths)).steps
    assert [step.inputs["IN"].shape for step in steps] == [(3,), (3,), (5,)]
    np.savez(tmp_path / "a.npz", IN=np.zeros(3, np.float64))
    with pytest.raises(SetupError, match="FP64, expected FP32"):
        load(info, Settings(input_data=paths))


def test_a_generator(tmp_path):
    path = tmp_path / "make.py"
    path.write_text(
        "def generate(inputs, count, seed):\n"
        "    for n in range(count):\n"
        "        yield {'IN': [n + seed, 0]}\n"
    )
    settings = Settings(input_data=[str(path)], data_pool=4, seed=10)
    steps = load(model(), settings).steps
    assert [values(step.inputs["IN"])[0] for step in steps] == [10, 11, 12, 13]
    path.write_text("def generate(inputs, count, seed):\n    raise RuntimeError('no')\n")
    with pytest.raises(SetupError, match="RuntimeError: no"):
        load(model(), settings)


def test_what_is_not_there():
    with pytest.raises(SetupError, match="'nowhere'"):
        load(model(), Settings(input_data=["nowhere"]))


# Models


def test_a_model_is_described_by_metadata_and_configuration():
    from tritonclient.messages import ModelMetadata, TensorMetadata

    tensors = (TensorMetadata("A", "FP32", (-1, 3)),)
    configs = {
        "e": {"max_batch_size": 4, "ensemble_scheduling": {"step": [
            {"model_name": "x", "model_version": "-1"}, {"model_name": "inner"}]}},
        "inner": {"ensemble_scheduling": {"step": [{"model_name": "y", "model_version": "2"}]}},
        "x": {"response_cache": {"enable": True}},
        "y": {"sequence_batching": {}},
    }  # fmt: skip
    found = describe(
        ModelMetadata("e", (), "", tensors, tensors), configs["e"], "",
        lambda name, version: configs.get(name),
    )  # fmt: skip
    assert found.inputs["A"].shape == (3,)
    assert dict(found.composing) == {"x": "", "inner": "", "y": "2"}
    assert (found.cached, found.sequence, found.top_cached) == (True, True, False)
