"""Bulk inference in Ray and Hugging Face datasets; see `test_engines`.

engines.py KIND URL FOLDER: KIND is a key of `KINDS`.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from tests.support.waiting import eventually

from tritonclient import bulk
from tritonclient.bulk import ray_pipeline
from tritonclient.cli import main

ROWS = 20_000
PIXELS = {"IMAGE": "p0..p63"}


def write_input(folder: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 17, (ROWS, 64)).astype(np.float32)
    columns = {f"p{i}": pixels[:, i] for i in range(64)}
    pyarrow.parquet.write_table(pa.table({"id": range(ROWS), **columns}), folder / "in.parquet")
    return folder / "in.parquet"


def infer(url: str, source: Path, output: Path, *arguments: str) -> pa.Table:
    given = ["-m", "digits", "-i", str(source), "-u", url, "--keep", "id", "-o", str(output)]
    assert main(["infer", *given, "--map", "IMAGE=p0..p63", *arguments]) == 0
    return pyarrow.parquet.read_table(output)


def same(one: pa.Table, other: pa.Table) -> None:
    assert one.drop_columns(["PROBABILITIES"]).equals(other.drop_columns(["PROBABILITIES"]))
    results = [np.array(table["PROBABILITIES"].to_pylist()) for table in (one, other)]
    np.testing.assert_allclose(*results, 1e-4, 1e-5)


def cluster(url: str, folder: Path) -> None:
    """The command on a cluster of two nodes, one of which is killed, is the local run."""
    import ray
    from ray.cluster_utils import Cluster

    source = write_input(folder)
    local = infer(url, source, folder / "local.parquet")
    ray_pipeline.TASK_ROWS = 1000
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = started.add_node(num_cpus=1)
    output = folder / "ray.parquet"

    def kill() -> None:
        parts = Path(f"{output}.parts")
        eventually(lambda: parts.exists() and len(os.listdir(parts)) > 1, 120)
        started.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        same(infer(url, source, output, "--ray", started.address), local)
        killer.join(60)
        assert not killer.is_alive()
    finally:
        ray.shutdown()
        started.shutdown()


def ray_data(url: str, folder: Path) -> None:
    """`Model` in a pipeline of Ray Data, with batches of every kind."""
    import ray

    source = write_input(folder)
    local = infer(url, source, folder / "local.parquet").drop_columns(["error"])
    model = bulk.Model(url, "digits", columns=PIXELS, keep=["id"])
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        for form in ("numpy", "pandas", "pyarrow"):
            data = ray.data.read_parquet(str(source))
            found = data.map_batches(model, batch_size=4096, batch_format=form).to_pandas()
            same(pa.Table.from_pandas(found.sort_values("id"), preserve_index=False), local)
    finally:
        ray.shutdown()


def datasets(url: str, folder: Path) -> None:
    """`Model` in `datasets.map`, also in several processes."""
    from datasets import Dataset

    source = write_input(folder)
    local = infer(url, source, folder / "local.parquet").drop_columns(["error"])
    model = bulk.Model(url, "digits", columns=PIXELS, keep=["id"])
    data = Dataset.from_parquet(str(source), cache_dir=str(folder / "cache"))
    for processes in (None, 2):
        found: Any = data.map(
            model,
            batched=True,
            num_proc=processes,
            remove_columns=[f"p{i}" for i in range(64)],
        )
        same(pa.table({name: found[name][:] for name in ("id", "PROBABILITIES")}), local)


KINDS = {"cluster": cluster, "ray_data": ray_data, "datasets": datasets}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
