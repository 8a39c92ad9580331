"""Reading holds little of a file in memory, however many rows it has and how slow the reader is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.support.waiting import eventually
from tritonclient.bulk.sources import FileSource, source_of

ROWS = 1_000_000  # many times what is read ahead
NAMES = [f"c{i}" for i in range(16)]


def write(path: Path, group: int) -> None:
    """Write a file of 16 columns of float64, of `group` rows each time."""
    if path.suffix in (".csv", ".jsonl"):
        values = [f"0.12345678901234{i:02}" for i in range(16)]
        head, line = ",".join(NAMES) + "\n", ",".join(values) + "\n"
        if path.suffix == ".jsonl":
            fields = [f'"{name}":{value}' for name, value in zip(NAMES, values, strict=True)]
            head, line = "", "{" + ",".join(fields) + "}\n"
        path.write_text(head + line * ROWS)
        return
    numbers = np.random.default_rng(0).random((16, ROWS))
    table = pa.table(dict(zip(NAMES, numbers, strict=True)))
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=group)
    else:
        pyarrow.feather.write_feather(table, path, chunksize=group)


@pytest.mark.parametrize(
    ("form", "group"),
    [("parquet", 5000), ("parquet", ROWS), ("arrow", 5000), ("csv", 1), ("jsonl", 1)],
)
def test_a_large_file(form: str, group: int, tmp_path: Path) -> None:
    path = tmp_path / f"large.{form}"
    write(path, group)
    before = pa.total_allocated_bytes()
    batches = FileSource([str(path)]).read(NAMES, {}, size=1000)
    check_memory(batches, before)


def test_a_dataset(tmp_path: Path) -> None:
    write(tmp_path / "large.parquet", 5000)
    before = pa.total_allocated_bytes()
    data = pyarrow.dataset.dataset(tmp_path / "large.parquet")
    check_memory(source_of(data).read(NAMES, {}), before)


def check_memory(batches: Iterator[pa.RecordBatch], before: int) -> None:
    """Read all rows slowly, and see that half of them were never in memory at a time."""
    rows = next(batches).num_rows

    # While the first rows are worked on, the reader comes to rest.
    seen = [0]

    def rests() -> bool:
        seen.append(pa.total_allocated_bytes() - before)
        return len(seen) > 50 and len(set(seen[-50:])) == 1

    eventually(rests)
    for batch in batches:
        rows += batch.num_rows
        seen.append(pa.total_allocated_bytes() - before)
    assert rows == ROWS
    assert max(seen) < ROWS * 16 * 8 / 2
