"""Reading holds little of a file in memory, however many rows it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tritonclient.bulk.sources import FileSource

ROWS = 1_000_000  # many times what is read ahead


@pytest.mark.parametrize(("form", "group"), [("parquet", 5000), ("parquet", ROWS), ("arrow", 5000)])
def test_a_large_file(form: str, group: int, tmp_path: Path) -> None:
    path = tmp_path / f"large.{form}"
    numbers = np.random.default_rng(0).random((16, ROWS))
    table = pa.table({f"c{i}": column for i, column in enumerate(numbers)})
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=group)
    else:
        pyarrow.feather.write_feather(table, path, chunksize=group)
    whole = table.nbytes
    del table, numbers
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for batch in FileSource([str(path)]).read([f"c{i}" for i in range(16)], {}, size=1000):
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == ROWS
    assert most < whole / 2
