"""`tritonclient.bulk.infer`: tables and files of every format, and rows that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

import tritonclient as tc
from tritonclient import bulk
from tritonclient.bulk.pipeline import cut
from tritonclient.testing import FaultServer

PIXELS = {"IMAGE": "p0..p63"}
Check = Callable[[pa.Table], None]


def run(client: tc.Client, model: str, data: Any, **options: Any) -> pa.Table:
    return pa.Table.from_batches(list(bulk.infer(client, model, data, **options)))


def texts(found: pa.Table) -> list[str]:
    return [text for text in found["error"].to_pylist() if text]


@pytest.mark.parametrize("kind", ["table", "batches", "reader", "generator", "dataset", "pandas"])
def test_tables(kind: str, client: tc.Client, table: pa.Table, same: Check) -> None:
    data = {
        "table": lambda: table,
        "batches": lambda: table.to_batches(max_chunksize=7),
        "reader": lambda: table.to_reader(),
        "generator": lambda: iter(table.to_batches(max_chunksize=101)),
        "dataset": lambda: pa.dataset.dataset(table),
        "pandas": lambda: table.to_pandas(),
    }[kind]()
    found = run(client, "digits", data, columns=PIXELS, keep=["id"])
    assert found.column_names == ["id", "PROBABILITIES", "error"]
    assert found["id"].to_pylist() == list(range(300))
    same(found)


def test_all_columns_of_a_table_are_kept(client: tc.Client, table: pa.Table) -> None:
    found = run(client, "digits", table.slice(0, 3), columns=PIXELS)
    assert found.column_names == [*table.column_names, "PROBABILITIES", "error"]


def write(form: str, table: pa.Table, pixels: np.ndarray[Any, Any], path: Path) -> None:
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=37)
    elif form == "csv":
        pyarrow.csv.write_csv(table, path)
    elif form == "csv.gz":
        with pa.CompressedOutputStream(str(path), "gzip") as file:
            pyarrow.csv.write_csv(table, file)
    elif form == "jsonl":
        rows = ({"id": i, "IMAGE": row.tolist()} for i, row in enumerate(pixels))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "arrow":
        pyarrow.feather.write_feather(table, path)
    elif form == "npy":
        np.save(path, pixels.reshape(-1, 1, 8, 8))
    else:
        np.savez(path, IMAGE=pixels.reshape(-1, 8, 8), id=np.arange(len(pixels)))


FORMATS = ["parquet", "csv", "csv.gz", "jsonl", "arrow", "npy", "npz"]


@pytest.mark.parametrize("form", FORMATS)
def test_formats(
    form: str,
    client: tc.Client,
    table: pa.Table,
    pixels: np.ndarray[Any, Any],
    same: Check,
    tmp_path: Path,
) -> None:
    for part, rows in enumerate((slice(0, 110), slice(110, 300))):
        selected = table.slice(rows.start, rows.stop - rows.start)
        write(form, selected, pixels[rows], tmp_path / f"{part}.{form}")
    (tmp_path / "_metadata.parquet").write_text("no part of the input")
    columns = {} if form in ("jsonl", "npy", "npz") else PIXELS
    found = run(client, "digits", tmp_path, columns=columns)
    assert found.column_names == ["PROBABILITIES", "error"]
    same(found)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "arrow", "npy", "npz"])
def test_damaged_files(form: str, client: tc.Client, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(b"\x00\xff" * 50)
    with pytest.raises(bulk.BadInput, match=f"a.{form}'"):
        run(client, "digits", path)


def csv_of(*rows: str) -> bytes:
    head = ",".join(f"IMAGE_{i}" for i in range(64))
    return "\n".join([head, *rows]).encode()


ONES = ",".join(["1"] * 64)
#: Files, the errors of their rows, and what is said where none of them can be read.
HOSTILE: list[tuple[str, bytes, list[str], str]] = [
    ("empty.csv", b"", [], "can't be read"),
    ("head.csv", csv_of(), [], ""),
    ("mark.csv", b"\xef\xbb\xbf" + csv_of(ONES), [""], ""),
    ("lines.csv", csv_of(ONES, ONES).replace(b"\n", b"\r\n"), ["", ""], ""),
    ("nul.csv", csv_of(ONES, "\0" + ONES), ["", "expected FP32"], ""),
    ("long.csv", csv_of(ONES, "9" * 2_000_000 + ONES), ["", ""], ""),
    ("quote.csv", csv_of(ONES, '"' + ONES), ["", "values"], ""),
    ("twice.csv", b"IMAGE_0," + csv_of("1," + ONES), [], "several columns named 'IMAGE_0'"),
    ("other.csv", csv_of(ONES).replace(b",", b";"), [], "no column makes input 'IMAGE'"),
    ("no.csv.gz", b"no gzip", [], "can't be read"),
    ("empty.jsonl", b"", [], "can't be read"),
    ("deep.jsonl", b'{"IMAGE":' + b"[" * 900 + b"]" * 900 + b"}", [], "levels deep"),
    ("text.jsonl", b'{"IMAGE":["1"]}', [], "is list<item: string>"),
    ("none.jsonl", b'{"IMAGE":null}', [], "is null; none of the first 1 rows fits"),
]


@pytest.mark.parametrize(
    ("name", "content", "errors", "message"), HOSTILE, ids=[each[0] for each in HOSTILE]
)
def test_hostile_text(
    name: str, content: bytes, errors: list[str], message: str, client: tc.Client, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    if message:
        with pytest.raises(bulk.BadInput, match=message):
            run(client, "digits", tmp_path / name)
        return
    batches = list(bulk.infer(client, "digits", tmp_path / name, errors="keep"))
    found = [error or "" for batch in batches for error in batch["error"].to_pylist()]
    assert len(found) == len(errors)
    for given, words in zip(found, errors, strict=True):
        assert words in given
        assert bool(words) == bool(given)


ARRAYS = [
    (np.array([{}], object), "can't be"),
    (np.zeros((2, 64), complex), "complex128, expected numbers"),
    (np.zeros((2, 0), np.float32), r"has the shape \[2, 0\]"),
    (np.float32(1), "is a single value"),
    (np.zeros((2, 63), np.float32), r"has the shape \[63\], expected \[1, 8, 8\]"),
]


@pytest.mark.parametrize(("array", "message"), ARRAYS, ids=[each[1] for each in ARRAYS])
def test_hostile_arrays(array: Any, message: str, client: tc.Client, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(bulk.BadInput, match=message):
        run(client, "digits", tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", [">f4", np.float16, np.float64, np.int8])
def test_dtypes_of_arrays(
    dtype: Any,
    client: tc.Client,
    pixels: np.ndarray[Any, Any],
    same: Check,
    tmp_path: Path,
) -> None:
    array = pixels.astype(np.int8).astype(dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(array.reshape(-1, 8, 8)))
    same(run(client, "digits", tmp_path / "a.npy"))


def test_images(client: tc.Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = rng.integers(0, 256, (5, 8, 8)).astype(np.uint8)
    for i, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image either")
    found = run(client, "digits", tmp_path, errors="keep")
    assert found["path"].to_pylist() == [str(tmp_path / f"{i}.png") for i in range(5)]
    assert len(texts(found)) == 1
    assert "2.png" in found["error"][2].as_py()
    inputs = arrays[:, None].astype(np.float32)
    wanted = client.infer("digits", {"IMAGE": inputs})["PROBABILITIES"]
    for i in (0, 1, 3, 4):
        np.testing.assert_allclose(found["PROBABILITIES"][i].as_py(), wanted[i], 1e-4, 1e-5)
    # The same from a column of paths, or of the files' bytes.
    files = sorted(tmp_path.glob("*.png"))
    contents = pa.table({"picture": [file.read_bytes() for file in files]})
    for data in (contents, pa.table({"picture": list(map(str, files))})):
        again = run(
            client,
            "digits",
            data,
            columns={"IMAGE": "picture"},
            preprocess="NONE",
            errors="keep",
        )
        assert again["PROBABILITIES"].equals(found["PROBABILITIES"])


def spoil(lines: list[str], form: str) -> dict[int, str]:
    """Spoil rows of a text file; the rows and what their errors say."""
    if form == "csv":
        head, lines[:] = lines[0], lines[1:]
        lines[4] = "4,abc" + lines[4][lines[4].index(",", 2) :]
        lines[90] += ",7"
        lines[91] = "91"
        lines[200] = "200,," + lines[200].split(",", 2)[2]
        lines[299] = lines[299].replace("299,", '299,"', 1)
        lines.insert(0, head)
        return {4: "'p0' is 'abc'", 90: "66 values", 91: "1 values", 200: "'p0'", 299: "values"}
    lines[3] = '{"id": 3, "IMAGE": [1, 2]}'
    lines[50] = '{"id": 50, "IMAGE": [1, null]}'
    lines[51] = "{nope"
    lines[52] = "[]"
    lines[53] = '{"id": 53, "IMAGE": "x"}'
    lines[54] = '{"id": 54}'
    lines[55] = "[" * 100_000
    return {3: "shape", 50: "null", 51: "JSON", 52: "object", 53: "'x'", 54: "null", 55: "JSON"}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_of_text_fail_one_by_one(
    form: str,
    client: tc.Client,
    table: pa.Table,
    pixels: np.ndarray[Any, Any],
    wanted: np.ndarray[Any, Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / f"rows.{form}"
    write(form, table, pixels, path)
    lines = path.read_text().splitlines()
    faults = spoil(lines, form)
    path.write_text("\n".join(lines) + "\n")
    columns = PIXELS if form == "csv" else {}
    found = run(client, "digits", path, columns=columns, errors="keep")
    assert found.num_rows == 300
    errors = found["error"].to_pylist()
    assert {row for row, error in enumerate(errors) if error} == set(faults)
    for row, words in faults.items():
        assert errors[row].startswith(f"rows.{form}, row {row}: ")
        assert words in errors[row]
        assert found["PROBABILITIES"][row].as_py() is None
    for row in set(range(300)) - set(faults):
        np.testing.assert_allclose(found["PROBABILITIES"][row].as_py(), wanted[row], 1e-4, 1e-5)
    with pytest.raises(bulk.RowFailed, match=f"row {min(faults)}: "):
        run(client, "digits", path, columns=columns)


def test_rows_that_the_model_refuses_are_found(client: tc.Client) -> None:
    values = np.ones(50, np.float32)
    values[[7, 30]] = -1
    values[40] = np.nan
    table = pa.table({"X": values})
    found = run(client, "positive", table, errors="keep", batch_size=16)
    assert [row for row, error in enumerate(found["error"].to_pylist()) if error] == [7, 30]
    assert "row 7: " in texts(found)[0]
    assert "no negative numbers" in texts(found)[0]


def test_a_large_batch_fails_only_for_its_faulty_rows(client: tc.Client) -> None:
    values = np.arange(2000, dtype=np.float32)
    faulty = [0, 17, 18, 511, 900, 1023, 1024, 1999]
    values[faulty] = -1
    found = run(client, "positive_many", pa.table({"X": values}), errors="keep")
    assert [row for row, error in enumerate(found["error"].to_pylist()) if error] == faulty


def test_nulls_of_columns(client: tc.Client) -> None:
    rows = [list(range(16)), None, [1] * 15 + [None], [2] * 15, [3] * 16]
    table = pa.table({"INPUT0": rows, "INPUT1": [[1] * 16] * 5})
    found = run(client, "simple", table, errors="keep", keep=[])
    assert texts(found) == [
        "row 1: column 'INPUT0' is null",
        "row 2: column 'INPUT0' holds a null",
        "row 3: column 'INPUT0' has the shape [15], expected [16]",
    ]
    assert found["OUTPUT0"].to_pylist()[4] == [4] * 16


def test_numbers_that_do_not_fit(client: tc.Client) -> None:
    table = pa.table({"INPUT0": [[1] * 16, [2**40] * 16], "INPUT1": [[1] * 16] * 2})
    found = run(client, "simple", table, errors="keep")
    assert "row 1: column 'INPUT0': " in texts(found)[0]
    assert "does not fit INT32" in texts(found)[0]


def test_text(client: tc.Client) -> None:
    values = ["", "a", "ä\0b", "x" * 1000]
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        table = pa.table({"INPUT0": pa.array(values).cast(kind)})
        found = run(client, "identity_bytes", table, keep=[], batch_size=3)
        assert [each.decode() for each in found["OUTPUT0"].to_pylist()] == values


def test_a_model_without_batches_takes_one_row_a_request(client: tc.Client) -> None:
    table = pa.table({"INPUT0": ["a", "b"], "OTHER": [["c", "d"], []]})
    assert run(client, "identity_bytes", table, keep=[])["OUTPUT0"].to_pylist() == [[b"a"], [b"b"]]
    found = run(client, "identity_bytes", table, keep=[], columns={"INPUT0": "OTHER"})
    assert found["OUTPUT0"].to_pylist() == [[b"c", b"d"], []]


BAD = [
    ({"columns": {}}, "no column makes input 'IMAGE'"),
    ({"columns": {"IMAG": "p0"}}, "no input 'IMAG'.*did you mean 'IMAGE'"),
    ({"columns": {"IMAGE": "p0..p64"}}, "no column 'p64'"),
    ({"columns": {"IMAGE": "p0..p62"}}, "63 columns make input 'IMAGE', which has 64 elements"),
    ({"columns": {"IMAGE": "p9..p1"}}, "'p9..p1' is no range"),
    ({"columns": {"IMAGE": ""}}, "expected names of columns"),
    ({"columns": {"IMAGE": "id"}}, r"'id' has the shape \[\], expected \[1, 8, 8\].*none of the"),
    ({"columns": PIXELS, "keep": ["ids"]}, "no column 'ids' to keep.*did you mean 'id'"),
    ({"columns": PIXELS, "outputs": ["P"]}, "no output 'P'; its outputs are PROBABILITIES"),
    ({"columns": PIXELS, "batch_size": 65}, "takes at most 64 rows"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda value: str(value)[:40])
def test_mistakes(
    options: dict[str, Any], message: str, client: tc.Client, table: pa.Table
) -> None:
    with pytest.raises(bulk.BadInput, match=message):
        run(client, "digits", table, **options)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[0.5] * 16]), "is list<item: double>, but input 'INPUT0' is INT32"),
        (pa.array([["a"] * 16]), "is list<item: string>, but input 'INPUT0' is INT32"),
        (pa.array([0], pa.timestamp("s")), "timestamp.*cast the column to numbers first"),
    ],
    ids=str,
)
def test_types_that_do_not_fit(column: pa.Array, message: str, client: tc.Client) -> None:
    table = pa.table({"INPUT0": column, "INPUT1": [[1] * 16]})
    with pytest.raises(bulk.BadInput, match=message):
        run(client, "simple", table)


def test_two_columns_of_one_name(client: tc.Client, table: pa.Table) -> None:
    renamed = table.rename_columns(["error", *table.column_names[1:]])
    with pytest.raises(bulk.BadInput, match="two columns named 'error'"):
        run(client, "digits", renamed, columns=PIXELS)


def test_cut_makes_full_batches() -> None:
    table = pa.table({"a": range(100)})
    sizes = [1, 7, 0, 40, 3, 49]
    batches, row = [], 0
    for size in sizes:
        batches += table.slice(row, size).to_batches() or [table.schema.empty_table().to_batches()]
        row += size
    found = list(cut([each for each in batches if isinstance(each, pa.RecordBatch)], 8))
    assert [batch.num_rows for batch in found] == [8] * 12 + [4]
    assert pa.Table.from_batches(found).equals(table.combine_chunks())


def test_a_url(server: FaultServer, table: pa.Table, same: Check) -> None:
    for url in (server.http_url, server.grpc_url):
        batches = bulk.infer(url, "digits", table, columns=PIXELS, concurrency=3)
        same(pa.Table.from_batches(list(batches)))


def test_an_iterator_that_is_left_early_ends_its_requests(
    client: tc.Client, table: pa.Table
) -> None:
    batches = bulk.infer(client, "digits", table, columns=PIXELS, batch_size=10)
    assert next(batches).num_rows > 0
    batches.close()
    assert next(bulk.infer(client, "digits", table, columns=PIXELS)).num_rows > 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "arrays": ({"data": np.ones((2, 64))}, r"a batch is ndarray, .*; client\.map\(model, arrays\)"),
    "rows": ({"data": [{"a": 1}]}, r"a batch is dict, .*; pa\.Table\.from_pylist\(rows\)"),
    "frames": ({"data": [pd.DataFrame({"a": [1]})]}, r"; pa\.RecordBatch\.from_pandas\(frame\)"),
    "function": (
        {"data": lambda: []},
        "the data is function, .*; call it, and give what it returns",
    ),
    "misspelt": ({"colums": {}}, "'colums' is not an argument; did you mean 'columns'"),
    "habit": ({"max_workers": 3}, "'max_workers' is not an argument; here it is"),
    "client": (
        {"client_or_url": tc.AsyncClient("http://127.0.0.1:9")},
        r"client_or_url is AsyncClient, expected a tritonclient\.Client or a URL",
    ),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_table(server: FaultServer, changes: dict[str, Any], words: str) -> None:
    given = {"client_or_url": server.http_url, "data": pa.table({"a": [1]}), **changes}
    with pytest.raises(TypeError, match=words):
        list(bulk.infer(given.pop("client_or_url"), "digits", given.pop("data"), **given))


def test_misspelt_options_of_a_model(server: FaultServer) -> None:
    with pytest.raises(TypeError, match="'timout' is not an argument; did you mean 'timeout'"):
        bulk.Model(server.http_url, "digits", timout=5)
