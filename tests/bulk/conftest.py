"""A server with models for tables, and tables for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import tritonclient as tc
from tests.server.conftest import MODELS
from tritonclient.server import FunctionModel
from tritonclient.testing import FaultServer

Array = npt.NDArray[np.float32]


def refuse_negative(X: npt.NDArray[np.float32]) -> dict[str, object]:
    """A model that refuses a whole batch for one row of it."""
    if (X < 0).any():
        raise ValueError("no negative numbers")
    return {"Y": 2 * X}


@pytest.fixture(scope="package")
def server() -> Iterator[FaultServer]:
    with FaultServer(
        MODELS,
        models={
            "positive": refuse_negative,
            "positive_many": FunctionModel(
                refuse_negative,
                inputs={"X": ("FP32", [1])},
                outputs={"Y": ("FP32", [1])},
                max_batch_size=1024,
            ),
            "total": lambda X: {"Y": X.sum(keepdims=True)},
            "echo_probabilities": FunctionModel(
                lambda PROBABILITIES: {"Y": PROBABILITIES},
                inputs={"PROBABILITIES": ("FP32", [10])},
                outputs={"Y": ("FP32", [10])},
                max_batch_size=16,
            ),
        },
        model_control_mode="explicit",
        load_models=["digits", "simple", "identity_bytes", "simple_string"],
    ) as server:
        yield server


@pytest.fixture(scope="package")
def client(server: FaultServer) -> Iterator[tc.Client]:
    with tc.Client(server.http_url) as client:
        yield client


@pytest.fixture(scope="package")
def pixels() -> Array:
    """The pixels of 300 images of noise."""
    return np.random.default_rng(3).integers(0, 17, (300, 64)).astype(np.float32)


@pytest.fixture(scope="package")
def wanted(client: tc.Client, pixels: Array) -> Array:
    """What the digits model answers, in requests by hand."""
    images = pixels.reshape(-1, 1, 8, 8)
    parts = [client.infer("digits", {"IMAGE": images[i : i + 50]}) for i in range(0, 300, 50)]
    return np.concatenate([part["PROBABILITIES"] for part in parts])


@pytest.fixture(scope="package")
def table(pixels: Array) -> pa.Table:
    """The pixels as columns p0 to p63, and a column of ids."""
    columns = {f"p{i}": pixels[:, i] for i in range(64)}
    return pa.table({"id": np.arange(300), **columns})


@pytest.fixture
def same(wanted: Array) -> Callable[[pa.Table], None]:
    """A check that a table holds the results for all rows, in order."""

    def check(found: pa.Table) -> None:
        assert found["error"].null_count == found.num_rows == len(wanted)
        results = np.array(found["PROBABILITIES"].to_pylist(), np.float32)
        np.testing.assert_allclose(results, wanted, rtol=1e-4, atol=1e-5)

    return check
