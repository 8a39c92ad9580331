"""`infer_result`: results made from arrays."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tritonclient.testing import infer_result


def test_it_reads_as_the_result_of_a_call() -> None:
    scores = np.array([[1, 2]], np.float32)
    result = infer_result(
        {"scores": scores, "texts": ["a", "é"], "bits": tc.Tensor([1], "INT8")},
        model="iris",
        version="3",
        id="7",
        parameters={"final": True},
    )
    assert isinstance(result, tc.InferResult)
    assert (result.model_name, result.model_version, result.id) == ("iris", "3", "7")
    assert dict(result.parameters) == {"final": True}
    assert list(result) == ["scores", "texts", "bits"]
    assert result["texts"].tolist() == [b"a", "é".encode()]
    assert result["bits"].dtype == np.int8
    scores[:] = 0
    assert result["scores"].tolist() == [[1, 2]]
    result["scores"][0, 0] = 5  # as of a call's result, its memory may be written to
    assert pickle.loads(pickle.dumps(result))["scores"].tolist() == [[5, 2]]


def test_what_makes_no_output_is_named() -> None:
    with pytest.raises(TypeError, match="outputs is list, expected a mapping"):
        infer_result([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'Y'.*complex128"):
        infer_result({"Y": np.ones(1, complex)})
    with pytest.raises(TypeError, match=r"^output 'Y': object .* is not an array"):
        infer_result({"Y": object()})
    with pytest.raises(TypeError, match="leave the output out if the model"):
        infer_result({"Y": None})
    with pytest.raises(TypeError, match="outputs has the key 1, expected the name of an output"):
        infer_result({1: [1.0]})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id": 5}, "id is 5, expected str"),
        ({"model": None}, "model is None, expected str"),
        ({"version": 1}, "version is 1, expected str"),
        ({"parameters": [1]}, "parameters is list, expected a mapping"),
        ({"parameters": {"a": [1]}}, "parameter 'a' is list, expected bool, int, float or str"),
        ({"Y": [1.0]}, "'Y' is not an argument; outputs are given as a mapping"),
        ({"model_name": "m"}, "'model_name' is not an argument; here it is model"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        infer_result({"Y": [1.0]}, **options)


def test_a_result_is_made_of_a_response() -> None:
    with pytest.raises(TypeError, match=r"response is dict, .*testing\.infer_result makes"):
        tc.InferResult({"Y": np.ones(1)})  # type: ignore[arg-type]
