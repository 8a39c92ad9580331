"""Ensembles: the steps' models do the work, and share its labels and errors."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.waiting import eventually
from tritonclient import InferenceServerException, RequestedOutput

IMAGES = sorted((Path(__file__).parents[2] / "examples/images/digits").glob("*.png"))


def files(paths):
    array = np.empty((len(paths), 1), object)
    array[:, 0] = [path.read_bytes() for path in paths]
    return array


def test_a_file_becomes_a_digit(client):
    result = client.infer("ensemble_digits", {"INPUT": files(IMAGES)})
    assert result["OUTPUT"].shape == (len(IMAGES), 10)
    read = result["OUTPUT"].argmax(axis=1).tolist()
    assert read == [int(path.name[0]) for path in IMAGES]
    assert result.model_name == "ensemble_digits"


def test_an_ensemble_has_the_labels_of_its_models(client):
    outputs = [RequestedOutput("OUTPUT", classes=1)]
    result = client.infer("ensemble_digits", {"INPUT": files(IMAGES[:2])}, outputs=outputs)
    assert [row[0].label for row in result.classes("OUTPUT")] == ["ZERO", "ZERO"]


def test_an_error_names_the_ensemble(client):
    broken = np.array([[b"no image"]], object)
    with pytest.raises(InferenceServerException, match="in ensemble 'ensemble_digits', an image"):
        client.infer("ensemble_digits", {"INPUT": broken}, id="x")


def test_its_interface_is_told(client):
    metadata = client.model_metadata("ensemble_digits")
    assert metadata.platform == "ensemble"
    assert metadata.inputs[0] == ("INPUT", "BYTES", (-1, 1))
    assert metadata.outputs[0] == ("OUTPUT", "FP32", (-1, 10))
    config = client.model_config("ensemble_digits")
    assert config["platform"] == "ensemble"
    steps = config["ensemble_scheduling"]["step"]
    assert [step["model_name"] for step in steps] == ["decode_digits", "digits"]


def test_statistics_count_the_ensemble_and_its_steps(client):
    def counts():
        names = ("ensemble_digits", "decode_digits", "digits")
        return [client.statistics(name)[0].inference_count for name in names]

    before = counts()
    client.infer("ensemble_digits", {"INPUT": files(IMAGES[:3])})
    deadline = time.monotonic() + 10
    # Triton counts the ensemble a little after it has answered.
    while counts() != [count + 3 for count in before] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counts() == [count + 3 for count in before]


def test_unloading_takes_along_what_it_brought(client):
    def ready():
        return {row.name for row in client.repository_index(ready=True)}

    parts = {"decode_digits", "digits"}
    try:
        client.unload_model("ensemble_digits")
        for name in parts:
            client.unload_model(name)
        assert not parts & ready()
        client.load_model("ensemble_digits")
        assert parts | {"ensemble_digits"} <= ready()
        client.unload_model("ensemble_digits", unload_dependents=True)
        assert not (parts | {"ensemble_digits"}) & ready()
    finally:
        for name in (*parts, "ensemble_digits"):
            client.load_model(name)


def test_it_comes_and_goes_with_its_models(client):
    client.unload_model("digits")
    eventually(lambda: not client.is_model_ready("ensemble_digits"), 30)
    client.load_model("digits")
    eventually(lambda: client.is_model_ready("ensemble_digits"), 30)
    assert client.infer("ensemble_digits", {"INPUT": files(IMAGES[:1])})["OUTPUT"].argmax() == 0
