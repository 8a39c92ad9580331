"""`tritonclient.bulk.Model`: batches of every kind, in other processes, and in engines."""

from __future__ import annotations

import multiprocessing
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tritonclient import bulk
from tritonclient.testing import FaultServer

PIXELS = {"IMAGE": "p0..p63"}
Array = np.ndarray[Any, Any]


@pytest.fixture
def model(server: FaultServer) -> bulk.Model:
    return bulk.Model(server.http_url, "digits", columns=PIXELS, keep=["id"])


def check(found: Any, wanted: Array, start: int = 0) -> None:
    results = np.stack([np.asarray(row, np.float32) for row in found["PROBABILITIES"]])
    np.testing.assert_allclose(results, wanted[start : start + len(results)], 1e-4, 1e-5)


def test_frames(model: bulk.Model, table: pa.Table, wanted: Array) -> None:
    frame = table.to_pandas()[100:170]
    found = model(frame)
    assert list(found.columns) == ["id", "PROBABILITIES"]
    assert found.index.equals(frame.index)
    check(found, wanted, 100)


def test_arrow(model: bulk.Model, table: pa.Table, wanted: Array) -> None:
    found = model(table)
    assert isinstance(found, pa.Table)
    check(found.to_pydict(), wanted)
    batch = model(table.to_batches()[0])
    assert isinstance(batch, pa.RecordBatch)
    assert batch.to_pydict() == found.to_pydict()


def test_arrays(server: FaultServer, pixels: Array, wanted: Array) -> None:
    model = bulk.Model(server.grpc_url, "digits")
    given = {"IMAGE": pixels.reshape(-1, 1, 8, 8), "name": [f"n{i}" for i in range(300)]}
    found = model(given)
    assert found["IMAGE"] is given["IMAGE"]
    assert found["PROBABILITIES"].shape == (300, 10)
    assert list(found["name"]) == given["name"]
    check(found, wanted)


def test_iterators(model: bulk.Model, table: pa.Table, wanted: Array) -> None:
    frames = iter([table.slice(0, 10).to_pandas(), table.slice(10, 5).to_pandas()])
    first, second = model(frames)
    check(first, wanted)
    check(second, wanted, 10)


def test_no_rows_give_the_columns(model: bulk.Model, table: pa.Table) -> None:
    some, none = model(table.slice(0, 1)), model(table.slice(0, 0))
    assert none.schema.names == some.schema.names
    assert none.schema.types == some.schema.types
    assert none.num_rows == 0
    assert list(model(table.to_pandas()[:0]).columns) == ["id", "PROBABILITIES"]


def test_errors(server: FaultServer) -> None:
    batch = {"X": np.array([1, -1, 2], np.float32)}
    with pytest.raises(bulk.RowFailed, match=r"row 1: .*no negative numbers"):
        bulk.Model(server.http_url, "positive", batch_size=8)(batch)
    found = bulk.Model(server.http_url, "positive", batch_size=8, errors="keep")(batch)
    assert [bool(error) for error in found["error"]] == [False, True, False]
    np.testing.assert_array_equal(found["Y"], [2, np.nan, 4])


def test_mistakes(server: FaultServer, model: bulk.Model) -> None:
    with pytest.raises(ValueError, match="errors is 'ignore'"):
        bulk.Model(server.http_url, "digits", errors="ignore")
    with pytest.raises(ValueError, match="url"):
        bulk.Model("nonsense", "digits")
    with pytest.raises(TypeError, match="the batch is list, expected"):
        model([1, 2])
    with pytest.raises(ValueError, match="different numbers of rows"):
        model({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="single value for 'a'"):
        model({"a": 1})


def call(model: bulk.Model, frame: pd.DataFrame) -> pd.DataFrame:
    """What the other processes do."""
    return model(frame)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # of fork, since 3.12
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_other_processes(start: str, model: bulk.Model, table: pa.Table, wanted: Array) -> None:
    check(model(table.to_pandas()[:4]), wanted)  # this process has a client
    context = multiprocessing.get_context(start)
    frames = [table.slice(i, 25).to_pandas() for i in range(0, 100, 25)]
    with context.Pool(2) as pool:
        results = pool.starmap(call, [(model, frame) for frame in frames], chunksize=1)
    check(pd.concat(results), wanted)


def test_pickling_leaves_the_client_behind(model: bulk.Model) -> None:
    again = pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    assert len(pickle.dumps(model)) < 2000
