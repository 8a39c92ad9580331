"""`tritonclient.bulk.Model` in the workers of torch's DataLoader, for test_loader.py.

Arguments: the server's URLs. Rows are numbers, which the model doubles.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from tritonclient import bulk

ROWS = 100


class Numbers(Dataset):
    """Rows; with a model, each is inferred by itself."""

    def __init__(self, model: bulk.Model | None = None) -> None:
        self._model = model

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, row: int) -> dict[str, Any]:
        found = {"id": row, "X": np.float32(row)}
        if self._model is None:
            return found
        results = self._model({name: [value] for name, value in found.items()})
        return {name: values[0] for name, values in results.items()}


class Batches(IterableDataset):
    """Batches that the model makes, those of a worker."""

    def __init__(self, model: bulk.Model) -> None:
        self._model = model

    def __iter__(self) -> Any:
        worker = get_worker_info()
        rows = np.arange(worker.id, ROWS, worker.num_workers)
        return self._model({"id": each, "X": each.astype("f")} for each in np.array_split(rows, 5))


class Collate:
    """Rows stacked into a batch and inferred."""

    def __init__(self, model: bulk.Model) -> None:
        self._model = model

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {name: torch.as_tensor(array) for name, array in self._model(batch).items()}


def check(loader: DataLoader[Any], ordered: bool = True) -> None:
    """Compare all rows of a loader, twice, as programs read theirs once for each epoch."""
    for _ in range(2):
        batches = list(loader)
        ids = np.concatenate([batch["id"] for batch in batches])
        found = np.concatenate([batch["Y"] for batch in batches])
        np.testing.assert_array_equal(ids if ordered else np.sort(ids), np.arange(ROWS))
        np.testing.assert_array_equal(found, 2.0 * ids)


def main(urls: list[str]) -> None:
    workers: Any = {"num_workers": 2, "persistent_workers": True}
    for url in urls:
        model = bulk.Model(url, "double", keep=["id"])
        # Workers that are forked must not use the client that this opens.
        model({"id": [0], "X": np.zeros(1, np.float32)})
        check(DataLoader(Numbers(), 16, collate_fn=Collate(model), **workers))
        check(DataLoader(Numbers(model), 16, **workers))
        check(DataLoader(Batches(model), batch_size=None, **workers), ordered=False)
    # These workers import torch, which takes long.
    for method in ("spawn", "forkserver"):
        workers["multiprocessing_context"] = method
        check(DataLoader(Numbers(), 16, collate_fn=Collate(model), **workers))


if __name__ == "__main__":
    main(sys.argv[1:])
