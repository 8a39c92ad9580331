"""Columns whose values are encoded: dictionaries, runs and extensions; and files of no rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tritonclient as tc
from tritonclient import bulk
from tritonclient.bulk.arrays import Misfit, fits_type, to_array
from tritonclient.bulk.sources import FileSource
from tritonclient.bulk.writers import JsonWriter

PAIRS = pa.array([[1, 2], [3, 4], [1, 2]], pa.list_(pa.float32(), 2))


def tensors(storage: pa.Array, shape: list[int], **options: Any) -> pa.Array:
    kind = pa.fixed_shape_tensor(storage.type.value_type, shape, **options)
    return pa.ExtensionArray.from_storage(kind, storage)


def runs(ends: list[int], values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), values)


ENCODED = {
    "tensor": (tensors(PAIRS, [2]), [2], PAIRS.to_pylist()),
    "matrix": (tensors(PAIRS, [1, 2]), [2, 1], [[[1], [2]], [[3], [4]], [[1], [2]]]),
    "slice": (tensors(PAIRS, [2]).slice(1), [2], [[3, 4], [1, 2]]),
    "runs": (runs([2, 3], pa.array([1, 2], pa.float32())), [], [1, 1, 2]),
    "dictionary of lists": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), PAIRS.slice(0, 2)),
        [2],
        PAIRS.to_pylist(),
    ),
    "list of dictionaries": (
        pa.ListArray.from_arrays(
            pa.array([0, 2, 4], pa.int32()),
            pa.array([1, 2, 2, 2], pa.float32()).dictionary_encode(),
        ),
        [2],
        [[1, 2], [2, 2]],
    ),
}


@pytest.mark.parametrize("name", ENCODED)
def test_arrays_of_encoded_columns(name: str) -> None:
    column, shape, wanted = ENCODED[name]
    assert fits_type(column.type, "FP32")
    np.testing.assert_array_equal(to_array(column, "FP32", shape), wanted)


@pytest.mark.parametrize(
    "column",
    [
        runs([1, 2], pa.array([1, None], pa.float32())),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([1, None])),
        tensors(pa.array([[1, 2], None], pa.list_(pa.float32(), 2)), [2]),
        tensors(pa.array([[1, 2], [1, None]], pa.list_(pa.float32(), 2)), [2]),
    ],
)
def test_nulls_of_encoded_columns(column: pa.Array) -> None:
    with pytest.raises(Misfit, match="null"):
        to_array(column, "FP32", [-1])


def test_a_tensor_in_another_order_is_refused(client: tc.Client) -> None:
    table = pa.table({"X": tensors(PAIRS, [2, 1], permutation=[1, 0])})
    with pytest.raises(bulk.BadInput, match="permutation"):
        list(bulk.infer(client, "positive_many", table))


def test_bytes_of_a_fixed_size(client: tc.Client) -> None:
    table = pa.table({"INPUT0": pa.array([b"ab", b"cd"], pa.binary(2))})
    found = pa.Table.from_batches(bulk.infer(client, "identity_bytes", table, keep=[]))
    assert np.array(found["OUTPUT0"].to_pylist()).ravel().tolist() == [b"ab", b"cd"]


@pytest.mark.parametrize(("form", "blank"), [("csv", ""), ("jsonl", ""), ("jsonl", "\n\n")])
def test_empty_files_among_others(form: str, blank: str, tmp_path: Path) -> None:
    row = "X\n7\n" if form == "csv" else '{"X": 7}\n'
    for name, text in {"a": blank, "b": row, "c": blank, "d": row}.items():
        (tmp_path / f"{name}.{form}").write_text(text)
    source = FileSource([str(tmp_path)])
    assert [Path(file).name for file in source.files] == [f"b.{form}", f"d.{form}"]
    rows = [row for batch in source.read(["X"], {}) for row in batch.to_pylist()]
    assert rows == [{"X": 7}, {"X": 7}]
    assert source.place(1) == f"d.{form}, row 0"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_only_empty_files(form: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{form}").write_text("")
    with pytest.raises(bulk.BadInput, match=rf"a\.\w+' can't be read as {form}: it has no columns"):
        FileSource([str(tmp_path)])


def test_maps_as_json(tmp_path: Path) -> None:
    table = pa.table({"m": pa.array([[("a", b"b")], None], pa.map_(pa.string(), pa.binary()))})
    with open(tmp_path / "out.jsonl", "wb") as file:
        JsonWriter(file, table.schema).write(table)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"m": [["a", "b"]]}, {"m": None}]


def test_advice_for_arrays_is_not_given_for_columns(client: tc.Client) -> None:
    table = pa.table({"X": pa.array([1e300, 1.0])})
    found = list(bulk.infer(client, "positive_many", table, errors="keep"))
    assert "1e+300 does not fit FP32" in str(found[0]["error"][0])
    assert "astype" not in str(found[0]["error"][0])
