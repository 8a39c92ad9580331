"""How results and interfaces look in notebooks."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
from typing import Any

import numpy as np
import pandas
import pytest

from tritonclient import AsyncClient, Client
from tritonclient.client.model_spec import ModelSpec
from tritonclient.client.models import AsyncModel, Model
from tritonclient.messages import ModelMetadata, TensorMetadata
from tritonclient.testing import infer_result


def test_a_result_is_a_table() -> None:
    scores = np.array([[0.5, 1]], np.float32)
    result = infer_result({"scores": scores, "<b>": ["<i>"]}, model="<iris>")
    table = result._repr_html_()
    assert "<caption>Result of &lt;iris&gt; version 1</caption>" in table
    assert "<td><pre>scores</pre></td><td><pre>FP32</pre></td><td><pre>[1, 2]</pre></td>" in table
    assert "[[0.5 1. ]]" in table
    assert "&lt;b&gt;" in table
    assert "&lt;i&gt;" in table
    assert "<b>" not in table
    assert "<i>" not in table


def test_large_values_are_cut() -> None:
    result = infer_result({"a": np.zeros((100, 100)), "text": ["x" * 5000]})
    assert len(result._repr_html_()) < 2000


def test_keys_are_completed() -> None:
    assert infer_result({"a": [1], "b": [2]})._ipython_key_completions_() == ["a", "b"]


def test_a_result_is_no_array() -> None:
    result = infer_result({"Y": np.ones(3)})
    for make in (np.array, pandas.DataFrame, np.asarray):
        with pytest.raises(TypeError, match=r"result\['Y'\] is an array, result\.to_pandas"):
            make(result)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Y", "here it is result['Y']"),
        ("shape", "here it is result['Y'].shape"),
        ("astype", "here it is result['Y'].astype"),
        ("as_numpy", "here it is result[name]"),
        ("modelname", "did you mean 'model_name'?"),
    ],
)
def test_what_results_do_not_have(name: str, hint: str) -> None:
    for result in (infer_result({"Y": np.ones(3)}), infer_result({"Y": [1], "Z": [1]})):
        with pytest.raises(AttributeError) as caught:
            getattr(result, name)
        assert hint in str(caught.value)
    for copied in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert copied["Y"].tolist() == [1]


def test_a_handle_is_shown_as_its_spec() -> None:
    spec = ModelSpec.of("m", "", ModelMetadata("m"), None)
    for kind in (Model, AsyncModel):
        assert kind(None, spec)._repr_html_() == spec._repr_html_()


def test_with_and_async_with_are_not_mixed_up() -> None:
    client: Any = AsyncClient("http://127.0.0.1:9")
    with pytest.raises(TypeError, match="use `async with`, or Client"), client:
        raise AssertionError

    async def enter() -> None:
        client: Any = Client("http://127.0.0.1:9")
        async with client:
            raise AssertionError

    with pytest.raises(TypeError, match="use `with`, or AsyncClient"):
        asyncio.run(enter())


def test_a_spec_is_a_table() -> None:
    metadata = ModelMetadata(
        inputs=(TensorMetadata("X", "FP32", (-1, 4)),), outputs=(TensorMetadata("<Y>", "INT64"),)
    )
    table = ModelSpec.of("iris", "3", metadata, {"max_batch_size": 8})._repr_html_()
    assert "<caption>iris version 3, largest batch 8</caption>" in table
    assert "<pre>input</pre></td><td><pre>X</pre></td><td><pre>FP32</pre></td>" in table
    assert "&lt;Y&gt;" in table


def test_to_pandas() -> None:
    result = infer_result(
        {
            "label": np.array([1, 2], np.int64),
            "best": np.array([[0.5], [0.25]], np.float32),
            "scores": np.array([[1, 2], [3, 4]], np.float32),
            "text": np.array([b"a", b"\xff"], object),
        }
    )
    frame = result.to_pandas()
    assert list(frame.columns) == ["label", "best", "scores_0", "scores_1", "text"]
    assert frame["scores_1"].tolist() == [2, 4]
    assert frame["best"].dtype == np.float32
    assert frame["text"].tolist() == ["a", b"\xff"]


def test_what_makes_no_frame_is_named() -> None:
    with pytest.raises(ValueError, match=r"'a' has the shape \[1, 1, 1\]"):
        infer_result({"a": np.ones((1, 1, 1))}).to_pandas()
    with pytest.raises(ValueError, match="differ in their number of rows: a 1, b 2"):
        infer_result({"a": [1], "b": [1, 2]}).to_pandas()


def test_missing_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        infer_result({"a": [1]}).to_pandas()
