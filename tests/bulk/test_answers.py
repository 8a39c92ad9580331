"""Answers that are not what the model's metadata promises, and outputs of large rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tritonclient.bulk import plan as plans
from tritonclient.bulk import results, writers
from tritonclient.bulk.faults import BadInput
from tritonclient.bulk.sources import source_of
from tritonclient.cli import main
from tritonclient.client.model_spec import ModelSpec
from tritonclient.messages import TensorMetadata
from tritonclient.server import FunctionModel
from tritonclient.testing import FaultServer


def columns(datatype: str, shape: list[int]) -> results.Results:
    output = TensorMetadata("Y", datatype, shape)
    spec = ModelSpec("m", "1", {}, {"Y": output}, max_batch_size=8)
    return results.make_results(plans.Plan(spec, (), True, 8), {}, None)


@pytest.mark.parametrize(
    ("datatype", "given"),
    [("FP32", np.float64), ("INT8", np.int64), ("BOOL", np.uint8), ("UINT8", np.int8)],
)
def test_answers_of_another_datatype(datatype: str, given: type) -> None:
    with pytest.raises(results.WrongResult, match=f"not {datatype}"):
        columns(datatype, [-1, 1]).arrays({"Y": np.zeros((2, 1), given)}, 2)


def test_answers_that_lose_nothing_are_converted() -> None:
    for given in (np.float16, np.int16, np.bool_):
        [array] = columns("FP32", [-1, 1]).arrays({"Y": np.ones((2, 1), given)}, 2)
        assert array.dtype == np.float32


@pytest.mark.parametrize("form", ["csv", "npz", "jsonl", "parquet"])
def test_a_shape_of_any_size_can_be_promised(form: str) -> None:
    schema = columns("FP32", [-1, 2**40]).schema
    assert writers.check_schema(form, schema) == ""


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_large_rows(form: str, tmp_path: Path) -> None:
    def refuse_two(X: np.ndarray) -> dict[str, object]:
        if (X == 2).any():
            raise ValueError("no two")
        return {"Y": np.tile(X[:, :, None], (1, 3, 20_000)).astype(np.float32)}

    model = FunctionModel(
        refuse_two,
        inputs={"X": ("FP32", [1])},
        outputs={"Y": ("FP32", [3, 20_000])},
        max_batch_size=4,
    )
    pyarrow.parquet.write_table(pa.table({"X": [1.0, 2.0, 3.0]}), tmp_path / "in.parquet")
    with FaultServer(models={"large": model}) as server:
        names = ["-m", "large", "-i", str(tmp_path / "in.parquet"), "-u", server.http_url]
        assert main(["infer", *names, "-o", str(tmp_path / f"out.{form}")]) == 1
    if form == "npz":
        with np.load(tmp_path / "out.npz") as arrays:
            assert arrays["Y"].shape == (3, 3, 20_000)
            np.testing.assert_array_equal(arrays["Y"][:, 2, 19_999], [1, np.nan, 3])
    else:
        head = (tmp_path / "out.csv").read_text().partition("\n")[0]
        assert head == '"Y","error"'


@pytest.mark.parametrize(("datatype", "shape"), [("FP13", [-1, 1]), ("FP32", [-1] * 5000)])
def test_outputs_that_no_column_holds(datatype: str, shape: list[int]) -> None:
    with pytest.raises(BadInput, match="no column can hold"):
        columns(datatype, shape)


@pytest.mark.parametrize("form", ["csv", "npz", "parquet"])
def test_outputs_without_elements(form: str) -> None:
    assert writers.check_schema(form, columns("FP32", [-1, 0]).schema) == ""


@pytest.mark.parametrize("limit", [2**31 - 1, 2**70])
def test_a_batch_without_limit_is_read_in_pieces(limit: int) -> None:
    tensor = TensorMetadata("X", "FP32", [-1, 1])
    spec = ModelSpec("m", "1", {"X": tensor}, {"Y": tensor}, max_batch_size=limit)
    source = source_of(pa.table({"X": [1.0]}))
    assert plans.make_plan(spec, source).block_rows <= 8192
