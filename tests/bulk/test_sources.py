"""Files read from any row on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tritonclient.bulk.faults import BadInput
from tritonclient.bulk.files import find_files
from tritonclient.bulk.formats import ParquetReader
from tritonclient.bulk.sources import FileSource

GROUPS = (3, 0, 5, 1)


def write(path: Path, first: int, groups: Sequence[int]) -> None:
    """Write a Parquet file of consecutive numbers, with row groups of these sizes."""
    with pyarrow.parquet.ParquetWriter(path, pa.schema([("n", pa.int64())])) as file:
        for size in groups:
            file.write_table(pa.table({"n": np.arange(first, first + size)}))
            first += size


def numbers(source: FileSource, first: int) -> list[int]:
    return [n for batch in source.read(["n"], {}, first, 2) for n in batch["n"].to_pylist()]


@pytest.mark.parametrize("first", range(20))
def test_parquet_files_from_a_row_on(tmp_path: Path, first: int) -> None:
    starts = (0, 9, 9)
    paths = [tmp_path / f"{place}.parquet" for place in range(3)]
    for path, start, groups in zip(paths, starts, [GROUPS, (), GROUPS], strict=True):
        write(path, start, groups)
    assert numbers(FileSource([str(path) for path in paths]), first) == list(range(first, 18))


def test_row_groups_before_the_row_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 0, GROUPS)
    reader = ParquetReader(str(tmp_path / "a.parquet"))
    assert [reader.skippable(rows) for rows in range(10)] == [0, 0, 0, 3, 3, 3, 3, 3, 8, 9]
    assert [n for batch in reader.read(["n"], {}, {}, skip=8) for n in batch["n"].to_pylist()] == [
        8
    ]


@pytest.mark.parametrize("first", range(8))
def test_arrays_from_a_row_on(tmp_path: Path, first: int) -> None:
    np.savez(tmp_path / "a.npz", n=np.arange(7))
    assert numbers(FileSource([str(tmp_path / "a.npz")]), first) == list(range(first, 7))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{}/rows.scv", "there is no file or folder '.*rows.scv'; did you mean 'rows.csv'"),
        ("{}/*.csv", "it is a pattern, which the shell expands where it is not in quotes"),
        ("s3://bucket/rows.csv", "it is a URL, and files of this machine are read: download it"),
        ("{}/model.onnx", "is a .onnx file, expected one of .parquet"),
    ],
)
def test_paths_that_are_no_input(tmp_path: Path, path: str, words: str) -> None:
    for name in ("rows.csv", "model.onnx"):
        (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(BadInput, match=words):
        find_files([path.format(tmp_path)])
