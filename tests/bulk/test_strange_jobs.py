"""`tritonclient infer`: outputs and folders of parts that belong to someone else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tritonclient.bulk import BadOutput
from tritonclient.bulk.parts import PART_ROWS, Parts
from tritonclient.cli import main
from tritonclient.testing import FaultServer

Infer = Callable[..., int]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pa.table({"X": pa.array([1, 2, 3], pa.float32())}), path)
    return path


@pytest.fixture
def infer(server: FaultServer, source: Path) -> Infer:
    def run(output: Path, *arguments: str, given: Path = source) -> int:
        names = ["-m", "positive_many", "-i", str(given), "-o", str(output)]
        return main(["infer", *names, "-u", server.http_url, *arguments])

    return run


def test_files_of_others_among_the_parts_stay(
    infer: Infer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out.csv.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert infer(tmp_path / "out.csv") == 2
    assert "notes.txt" in capsys.readouterr().err
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_a_killed_job_left_is_removed(infer: Infer, tmp_path: Path) -> None:
    folder = tmp_path / "out.csv.parts"
    folder.mkdir()
    for name in ("_job.json.tmp", ".whole.tmp", "part-000-001.arrow"):
        (folder / name).write_text("")
    assert infer(tmp_path / "out.csv") == 0
    assert sorted(os.listdir(tmp_path)) == ["in.parquet", "out.csv"]


def test_overwrite_leaves_a_job_that_still_writes(
    infer: Infer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fcntl")
    other = Parts(str(tmp_path / "out.csv.parts"), "arrow", pa.schema([("X", pa.int64())]))
    other.start({})
    try:
        assert infer(tmp_path / "out.csv", "--overwrite") == 5
        assert "another process" in capsys.readouterr().err
        assert other.exists()
    finally:
        other.release()
    assert infer(tmp_path / "out.csv", "--overwrite") == 0


def test_nothing_is_written_after_rows_that_could_not_be(tmp_path: Path) -> None:
    """The rows of a later part would get the numbers of those that are missing."""
    schema = pa.schema([("X", pa.int64())])
    rows = pa.record_batch([pa.array(range(PART_ROWS))], schema=schema)
    parts = Parts(str(tmp_path / "parts"), "arrow", schema)
    parts.start({})
    try:
        parts.write(rows)
        wrong = pa.record_batch([pa.array(["text"] * PART_ROWS)], names=["X"])
        for batch in (wrong, rows):
            with pytest.raises(BadOutput, match="can't be written"):
                parts.write(batch)
        parts.close()
        assert parts.rows == PART_ROWS
        assert parts.names() == ["part-000000000000-000000065535.arrow"]
    finally:
        parts.release()


@pytest.mark.parametrize("text", ["5", "null", "[1]", "{", "[" * 100_000])
def test_a_damaged_job_is_not_resumed(
    text: str, infer: Infer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(tmp_path / "out") == 0
    (tmp_path / "out" / "_job.json").write_text(text)
    assert infer(tmp_path / "out", "--resume") == 2
    assert "nothing can be resumed" in capsys.readouterr().err


def test_the_output_does_not_replace_an_input(
    infer: Infer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    link = tmp_path / "link.parquet"
    link.symlink_to(source)
    for output in (source, link):
        assert infer(output, "--overwrite") == 2
        assert "would replace the input" in capsys.readouterr().err
    assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_an_output_in_the_folder_of_the_input_is_no_input(
    name: str, infer: Infer, source: Path, tmp_path: Path
) -> None:
    for arguments in ([], ["--overwrite"]):
        assert infer(tmp_path / name, "--keep", "all", *arguments, given=tmp_path) == 0
    assert pyarrow.parquet.read_table(tmp_path / name)["X"].to_pylist() == [1, 2, 3]
    if name == "out":
        assert infer(tmp_path / name, "--keep", "all", "--resume", given=tmp_path) == 0


def test_a_job_in_the_folder_of_its_input_is_resumed(infer: Infer, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"X": [-1.0]}), tmp_path / "a.parquet")
    output = tmp_path / "out.parquet"
    assert infer(output, "--max-errors", "0", given=tmp_path) == 4
    assert os.path.isdir(f"{output}.parts")
    assert infer(output, "--resume", given=tmp_path) == 1
    assert pyarrow.parquet.read_table(output)["Y"].to_pylist() == [None, 2, 4, 6]
