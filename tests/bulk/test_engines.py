"""`tritonclient.bulk.Model` in the engines that it is made for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tritonclient import bulk
from tritonclient.cli import main
from tritonclient.testing import FaultServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the engines' own


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(
    scheduler: str,
    server: FaultServer,
    table: pa.Table,
    wanted: np.ndarray[Any, Any],
    tmp_path: Path,
) -> None:
    for part in range(3):
        rows = table.slice(100 * part, 100)
        pyarrow.parquet.write_table(rows, tmp_path / f"{part}.parquet")
    model = bulk.Model(server.http_url, "digits", columns={"IMAGE": "p0..p63"}, keep=["id"])
    found = dd.read_parquet(tmp_path).map_partitions(model).compute(scheduler=scheduler)
    assert list(found["id"]) == list(range(300))
    results = np.stack(list(found["PROBABILITIES"]))
    np.testing.assert_allclose(results, wanted, 1e-4, 1e-5)


def test_without_ray(
    server: FaultServer,
    table: pa.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    given = ["-i", str(tmp_path / "in.parquet"), "-o", str(tmp_path / "out.parquet")]
    job = ["infer", "-m", "digits", "-u", server.http_url, "--map", "IMAGE=p0..p63", *given]
    assert main([*job, "--ray"]) == 2
    assert "pip install pyarrow 'ray[data]' rich" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()
