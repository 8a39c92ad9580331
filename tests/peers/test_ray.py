"""`tritonclient infer --ray` on a cluster of two nodes: its output is the local job's."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest

from tests.peers.environments import python_or_skip
from tests.support.waiting import eventually
from tritonclient.cli import main
from tritonclient.server import FunctionModel, Server

PROGRAM = Path(__file__).parent / "programs" / "ray_cluster.py"
SOURCE = Path(__file__).parents[2] / "src"
RUN = "import sys; from tritonclient.cli import main; sys.exit(main(sys.argv[1:]))"
ROWS = 100_000  # four tasks
STARTS = 4  # attempts
PATIENCE = 300  # seconds; the machine may be busy
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(SOURCE),
    "PYTHONDONTWRITEBYTECODE": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class Gate:
    """A model that doubles numbers; while the gate is closed, it keeps the larger ones waiting."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Event()

    def __call__(self, X: np.ndarray[Any, Any]) -> dict[str, Any]:
        if (X < 0).any():
            raise ValueError("no negative numbers")
        if X.max() > ROWS / 2 and not self.open.is_set():
            self.waiting.set()
            self.open.wait(PATIENCE)
        return {"Y": 2 * X}


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def server(gate: Gate) -> Iterator[Server]:
    # In batches of this size a row at fault is always found, wherever the batches begin.
    model = FunctionModel(
        gate, inputs={"X": ("FP32", [1])}, outputs={"Y": ("FP32", [1])}, max_batch_size=32
    )
    with Server(models={"gate": model}) as server:
        yield server


@pytest.fixture(scope="module")
def python() -> str:
    return python_or_skip("ray", ["ray[data]"])


class Cluster:
    """The program that is a cluster, and its orders."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(PROGRAM)],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def order(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def close(self) -> None:
        try:
            self._process.communicate(timeout=PATIENCE)
        finally:
            self._process.kill()


@pytest.fixture
def cluster(python: str) -> Iterator[Cluster]:
    # Ray gives a node 30 seconds to start, which a busy machine may exceed.
    for _ in range(STARTS):
        cluster = Cluster(python)
        try:
            if cluster.address:
                yield cluster
                return
        finally:
            cluster.close()
    pytest.fail(f"no Ray cluster started in {STARTS} attempts")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Numbers, of which some make the row fail: a null, and what the model refuses."""
    values = np.arange(ROWS, dtype=np.float32)
    values[90_000] = -1
    nulls = np.zeros(ROWS, bool)
    nulls[[17, 40_000]] = True
    return pa.table({"id": np.arange(ROWS), "X": pa.array(values, mask=nulls)})


@pytest.fixture(params=["parquet", "csv"])
def source(request: pytest.FixtureRequest, table: pa.Table, tmp_path: Path) -> Path:
    """One Parquet file, or several CSV files."""
    if request.param == "parquet":
        pyarrow.parquet.write_table(table, tmp_path / "in.parquet", row_group_size=10_000)
        return tmp_path / "in.parquet"
    (tmp_path / "in").mkdir()
    for number, start in enumerate(range(0, ROWS, 30_000)):
        part = table.slice(start, 30_000)
        pyarrow.csv.write_csv(part, tmp_path / "in" / f"{number}.csv")
    return tmp_path / "in"


def arguments(server: Server, source: Path, output: Path, *more: str) -> list[str]:
    given = ["-m", "gate", "-i", str(source), "-o", str(output), "-u", server.http_url]
    return ["infer", *given, "--keep", "id,X", *more]


@contextmanager
def started(python: str, *given: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which does not outlive the test."""
    with subprocess.Popen(
        [python, "-c", RUN, *given],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def on_ray(python: str, *given: str) -> tuple[int, str]:
    with started(python, *given) as process:
        return finished(process)


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def rows(output: Path) -> pa.Table:
    return pyarrow.dataset.dataset(output).to_table()


@pytest.mark.parametrize("victim", ["worker", "node"])
def test_a_kill(
    victim: str,
    server: Server,
    gate: Gate,
    cluster: Cluster,
    python: str,
    source: Path,
    tmp_path: Path,
) -> None:
    """A worker or a whole node is killed while its rows are at the server."""
    gate.waiting.clear()
    gate.open.clear()
    ray = ("--ray", cluster.address)
    given = arguments(server, source, tmp_path / "ray.parquet", *ray)
    with started(python, *given) as process:
        try:
            eventually(lambda: gate.waiting.is_set() or process.poll() is not None, PATIENCE)
            cluster.order(victim)
        finally:
            gate.open.set()
        status, errors = finished(process)
    assert status == 1, errors
    assert f"{ROWS} rows, 3 failed" in errors
    assert main(arguments(server, source, tmp_path / "local.parquet")) == 1
    found = pyarrow.parquet.read_table(tmp_path / "ray.parquet")
    assert found.num_rows == ROWS
    assert found.equals(pyarrow.parquet.read_table(tmp_path / "local.parquet"))


def test_resuming(
    server: Server, cluster: Cluster, python: str, source: Path, tmp_path: Path
) -> None:
    """What the local job began, the cluster goes on with, and the other way round."""
    output, ray = tmp_path / "parts", ("--ray", cluster.address)
    first = arguments(server, source, output, "--max-errors", "1")
    assert main(first) == 4
    status, errors = on_ray(python, *first, *ray, "--resume")
    assert status == 4, errors
    assert "resuming after" in errors
    assert main([*first[:-2], "--resume"]) == 1
    assert main(arguments(server, source, tmp_path / "local")) == 1
    assert rows(output).equals(rows(tmp_path / "local"))


@pytest.mark.parametrize("source", ["parquet"], indirect=True)
def test_exit_status(
    server: Server, cluster: Cluster, python: str, source: Path, tmp_path: Path
) -> None:
    output, ray = tmp_path / "out.parquet", ("--ray", cluster.address)
    nowhere = arguments(server, source, output, "--ray", "127.0.0.1:9")
    status, errors = on_ray(python, *nowhere)
    assert (status, output.exists()) == (2, False), errors
    assert "the Ray cluster '127.0.0.1:9' can't be used" in errors
    missing = arguments(server, tmp_path / "none.parquet", output, *ray)
    status, errors = on_ray(python, *missing)
    assert (status, output.exists()) == (2, False), errors
