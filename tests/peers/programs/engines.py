"""`tritonclient.bulk.Model` in engines that bring many packages, for test_engines.py.

Arguments: the engine, the server's URL. Rows are numbers, which the model doubles.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pandas as pd

from tritonclient import bulk

ROWS = 1000
X = np.arange(ROWS, dtype=np.float32)


def spark(model: bulk.Model) -> None:
    """`mapInPandas` in two Python workers."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100")
        .getOrCreate()
    )
    try:
        frame = session.createDataFrame(pd.DataFrame({"id": np.arange(ROWS), "X": X}))
        frame = frame.repartition(4)
        found = frame.mapInPandas(model, "id long, X float, Y float").toPandas()
        arrow = frame.mapInArrow(model, "id long, X float, Y float").toPandas()
    finally:
        session.stop()
    for each in (found, arrow):
        each = each.sort_values("id")
        assert list(each["id"]) == list(range(ROWS))
        np.testing.assert_array_equal(each["Y"], 2 * X)


def datasets(model: bulk.Model) -> None:
    """`map` in this process, and in two others."""
    from datasets import Dataset

    data = Dataset.from_dict({"id": list(range(ROWS)), "X": X})
    for processes in (None, 2):
        found = data.map(model, batched=True, batch_size=100, num_proc=processes)
        assert found["id"][:] == list(range(ROWS))
        np.testing.assert_array_equal(found["Y"][:], 2 * X)


def ray(model: bulk.Model) -> None:
    """`map_batches`, with batches of every kind."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False)
    try:
        data = ray.data.from_pandas(pd.DataFrame({"id": np.arange(ROWS), "X": X}))
        for form in ("numpy", "pandas", "pyarrow"):
            found = data.map_batches(model, batch_size=100, batch_format=form).to_pandas()
            found = found.sort_values("id")
            assert list(found["id"]) == list(range(ROWS))
            np.testing.assert_array_equal(found["Y"], 2 * X)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    {"spark": spark, "datasets": datasets, "ray": ray}[sys.argv[1]](
        bulk.Model(sys.argv[2], "double")
    )
