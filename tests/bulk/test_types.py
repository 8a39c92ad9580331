"""Columns of types that differ from file to file, or that a format can't hold."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import tritonclient as tc
from tritonclient import bulk
from tritonclient.bulk import pipeline, writers
from tritonclient.cli import main
from tritonclient.server import FunctionModel
from tritonclient.testing import FaultServer

X = pa.array([1, 2], pa.float32())
Infer = Callable[..., int]


@pytest.fixture
def infer(server: FaultServer, tmp_path: Path) -> Infer:
    def run(output: str, *arguments: str) -> int:
        names = ["-m", "positive_many", "-i", str(tmp_path / "in"), "-o", str(tmp_path / output)]
        return main(["infer", *names, "-u", server.http_url, *arguments])

    (tmp_path / "in").mkdir()
    return run


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (pa.array([1, 2], pa.int32()), pa.array([3, 2**40]), [1, 2, 3, 2**40]),
        (pa.array([1, 2]), pa.array([0.5, None]), [1, 2, 0.5, None]),
        (pa.nulls(2), pa.array(["a", "b"]), [None, None, "a", "b"]),
        (
            pa.array(["a", "b"]).dictionary_encode(),
            pa.array(["c", None], pa.large_string()),
            ["a", "b", "c", None],
        ),
    ],
)
@pytest.mark.parametrize("form", ["parquet", "arrow", "jsonl"])
def test_kept_columns_of_files_get_a_common_type(
    first: pa.Array, second: pa.Array, kept: list[object], form: str, infer: Infer, tmp_path: Path
) -> None:
    for name, column in (("1", first), ("2", second)):
        # The model's input differs as well: that each row fits is enough.
        given = X if name == "1" else X.cast(pa.float64())
        pyarrow.parquet.write_table(
            pa.table({"X": given, "k": column}), tmp_path / "in" / f"{name}.parquet"
        )
    assert infer(f"out.{form}", "--keep", "k") == 0
    path = tmp_path / f"out.{form}"
    if form == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row["k"] for row in rows] == kept
    else:
        read = pyarrow.parquet.read_table if form == "parquet" else pyarrow.feather.read_table
        assert read(path)["k"].to_pylist() == kept


def test_types_with_nothing_in_common_are_refused_at_once(
    infer: Infer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "1.csv").write_text("X,k\n1,1\n")
    (tmp_path / "in" / "2.csv").write_text("X,k\n1,abc\n")
    assert infer("out.csv", "--keep", "all") == 2
    text = capsys.readouterr().err
    assert "column 'k'" in text
    assert "1.csv" in text
    assert "2.csv" in text
    assert infer("out.csv") == 0


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "npz"])
def test_dictionaries_that_differ(
    form: str, infer: Infer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_ROWS", 1)  # each batch is written at once
    texts = ["a", "b", "c", "d"]
    for start, kind in ((0, pa.float32()), (2, pa.float64())):
        k = pa.array(texts[start : start + 2]).dictionary_encode()
        nested = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), k)
        pyarrow.feather.write_feather(
            pa.table({"X": X.cast(kind), "k": k, "n": nested}), tmp_path / "in" / f"{start}.arrow"
        )
    assert infer(f"out.{form}", "--keep", "k,n") == 0
    assert infer("parts", "--keep", "k", "--output-format", form) == 0
    if form == "arrow":
        found = pyarrow.feather.read_table(tmp_path / "out.arrow")
        assert found["k"].to_pylist() == texts
        assert found["n"].to_pylist() == [[text] for text in texts]


def test_batches_of_other_types(client: tc.Client) -> None:
    def batch(k: pa.Array) -> pa.RecordBatch:
        return pa.record_batch({"X": X, "k": k})

    batches = [batch(pa.array([1, 2])), batch(pa.array([3, 4], pa.int32()))]
    found = pa.Table.from_batches(bulk.infer(client, "positive_many", batches))
    assert found["k"].to_pylist() == [1, 2, 3, 4]
    batches[1] = batch(pa.array(["a", "b"]))
    with pytest.raises(bulk.BadInput, match="column 'k' is string in some rows and int64"):
        list(bulk.infer(client, "positive_many", batches))


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view(), pa.large_string()])
def test_text_of_every_type(kind: pa.DataType, client: tc.Client) -> None:
    values = ["a", "b"] if kind != pa.binary_view() else [b"a", b"b"]
    table = pa.table({"INPUT0": pa.array(values, kind)})
    found = pa.Table.from_batches(bulk.infer(client, "identity_bytes", table, keep=[]))
    assert np.array(found["OUTPUT0"].to_pylist()).ravel().tolist() == [b"a", b"b"]


def odd_columns() -> dict[str, pa.Array]:
    return {
        "decimal": pa.array([decimal.Decimal("1.5"), None]),
        "time": pa.array([datetime.time(1), None]),
        "date": pa.array([datetime.date(2020, 1, 1), None]),
        "duration": pa.array([datetime.timedelta(1), None]),
        "text_view": pa.array(["é", None], pa.string_view()),
        "bytes_view": pa.array([b"\xff", None], pa.binary_view()),
        "fixed": pa.array([b"ab", None], pa.binary(2)),
        "null": pa.nulls(2),
        "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int32())),
        "view": pa.array([[1, 2], None], pa.list_view(pa.int8())),
        "interval": pa.array([pa.MonthDayNano([1, 2, 3]), None]),
        "union": pa.UnionArray.from_sparse(
            pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
        ),
    }


UNWRITABLE = {(name, form) for name in ("interval", "union") for form in ("parquet", "csv", "npz")}


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "jsonl", "npz"])
@pytest.mark.parametrize("name", list(odd_columns()))
def test_kept_columns_of_odd_types(
    name: str, form: str, infer: Infer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are written, or refused before a row is inferred."""
    table = pa.table({"X": X, "k": odd_columns()[name]})
    with pa.ipc.new_file(str(tmp_path / "in" / "1.arrow"), table.schema) as file:
        file.write_table(table)
    status = infer(f"out.{form}", "--keep", "k")
    text = capsys.readouterr().err
    if (name, form) in UNWRITABLE:
        assert status == 2
        assert f"which can't be written as {form}" in text
        assert not (tmp_path / f"out.{form}.parts").exists()
        return
    assert (status, text.count("error")) == (0, 0)
    if (name, form) == ("decimal", "csv"):
        assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ['"1.5",2,', ",4,"]


def test_two_columns_of_one_name(client: tc.Client) -> None:
    twice = pa.Table.from_arrays([X, X, X], ["X", "k", "k"])
    with pytest.raises(bulk.BadInput, match="several columns named 'k'"):
        bulk.infer(client, "positive_many", twice)
    assert len(list(bulk.infer(client, "positive_many", twice, keep=[]))) == 1
    with pytest.raises(bulk.BadInput, match="several columns named 'X'"):
        bulk.infer(client, "positive_many", twice.rename_columns(["X", "X", "k"]), keep=[])


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_heads_of_other_encodings(encoding: str, client: tc.Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("X,é\n1,2\n", encoding)
    with pytest.raises(bulk.BadInput, match=r"a\.csv' (is not UTF-8|can't be read as csv)"):
        bulk.infer(client, "positive_many", str(path))


def test_long_values_of_csv(client: tc.Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"X,k\n1,{'a' * 3_000_000}\n2,b\n")
    found = pa.Table.from_batches(bulk.infer(client, "positive_many", str(path), keep=["k"]))
    assert found["Y"].to_pylist() == [2, 4]
    assert [len(text) for text in found["k"].to_pylist()] == [3_000_000, 1]


def test_half_of_a_pair_of_surrogates(client: tc.Client, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"X": 1, "k": "\\ud800"}\n{"X": 2, "k": "b"}\n')
    found = pa.Table.from_batches(
        bulk.infer(client, "positive_many", str(path), keep=["k"], errors="keep")
    )
    assert found["Y"].to_pylist() == [None, 4]
    assert "row 0" in found["error"][0].as_py()


@pytest.mark.parametrize("values", [[[1, 2]], [[True, False]], [[1.5, 2.0]]])
def test_bf16_is_made_of_all_numbers(values: list[list[float]]) -> None:
    model = FunctionModel(
        lambda X: {"Y": X},
        inputs={"X": ("BF16", [2])},
        outputs={"Y": ("BF16", [2])},
        max_batch_size=4,
    )
    with FaultServer(models={"bf": model}) as server:
        found = pa.Table.from_batches(
            bulk.infer(server.http_url, "bf", pa.table({"X": values}), keep=[])
        )
    assert found["Y"].to_pylist() == values


def test_large_results_are_not_held(
    client: tc.Client, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_HOLD_BYTES", 50 * 4)
    table = pa.table({"X": pixels[:, 0]})
    found = list(bulk.infer(client, "positive_many", table, batch_size=10))
    assert max(batch.num_rows for batch in found) <= 50
    assert pa.Table.from_batches(found)["Y"].to_pylist() == (2 * pixels[:, 0]).tolist()
