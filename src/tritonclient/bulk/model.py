"""`Model`: a model as a function from batch to batch, for engines that run in many processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..client.blocking import Client
from ..datatypes import Array
from .results import ERROR
from .tables import check_options, infer


class Model:
    """A model of a server, called with batches: `Model(url, "iris", columns={"X": "a,b"})(batch)`.

    A batch is a mapping from names to arrays, a pandas DataFrame, an Arrow table or record batch,
    and the result is the same: the columns of the batch and those of the outputs. Given an iterator
    of batches, the result is one too, as Spark's `mapInPandas` and `mapInArrow` want it.

    A Model can be pickled. Each process that calls it opens a client of its own.

    Args:
        url: the server's URL.
        model: the model's name.
        columns, keep, outputs, batch_size, concurrency, patience, version: those of `infer`. By
            default all columns are kept.
        errors: "raise", or "keep" for a column `error` in the result.
        client: arguments of `Client`, such as headers and timeout. They are pickled too.
        options: what `Client.infer` takes besides.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: str = "",
        columns: Mapping[str, str | Sequence[str]] | None = None,
        keep: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        batch_size: int | None = None,
        concurrency: int | None = None,
        errors: str = "raise",
        patience: float = 60.0,
        client: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if errors not in ("raise", "keep"):
            raise ValueError(f"errors is {errors!r}, expected 'raise' or 'keep'")
        check_options(options)
        Client(url, **(client or {})).close()  # wrong arguments are refused here
        self.url = url
        self.name = model
        self._client = dict(client or {})
        self._errors = errors
        self._options: dict[str, Any] = {
            "version": version,
            "columns": columns,
            "keep": keep,
            "outputs": outputs,
            "batch_size": batch_size,
            "concurrency": concurrency,
            "errors": errors,
            "patience": patience,
            **options,
        }

    def __repr__(self) -> str:
        return f"<Model {self.name} of {self.url}>"

    def __call__(self, batch: Any) -> Any:
        """Return the batch with the model's outputs.

        Raises:
            BadInput: the batch does not fit the model.
            RowFailed: a row failed, and errors are not kept.
            ServerGone: the server stayed away too long.
        """
        if isinstance(batch, pa.Table):
            return self._table(batch)
        if isinstance(batch, pa.RecordBatch):
            return _one_batch(self._table(pa.Table.from_batches([batch])))
        if isinstance(batch, Mapping):
            return self._arrays(batch)
        if hasattr(batch, "to_records") and hasattr(batch, "columns"):
            return self._frame(batch)
        if isinstance(batch, Iterator):
            return map(self, batch)
        raise TypeError(
            f"the batch is {type(batch).__name__}, expected a mapping of names to arrays, a "
            "DataFrame, an Arrow table or record batch, or an iterator of such batches"
        )

    def _table(self, table: pa.Table) -> pa.Table:
        if not table.num_rows:  # engines ask with no rows for the columns of the result
            table_of_schema = self._empty(table)
            return table_of_schema
        client = process_client(self.url, self._client)
        found = pa.Table.from_batches(list(infer(client, self.name, table, **self._options)))
        return found if self._errors == "keep" else found.drop_columns([ERROR])

    def _empty(self, table: pa.Table) -> pa.Table:
        from .sources import source_of
        from .tables import make_pipeline

        chosen = ("version", "columns", "keep", "outputs", "batch_size")
        pipeline = make_pipeline(
            process_client(self.url, self._client),
            self.name,
            source_of(table),
            **{name: self._options[name] for name in chosen},
        )
        empty = pipeline.results.schema.empty_table()
        return empty if self._errors == "keep" else empty.drop_columns([ERROR])

    def _frame(self, frame: Any) -> Any:
        found = self._table(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()
        found.index = frame.index
        return found

    def _arrays(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: _as_array(name, value) for name, value in batch.items()}
        rows = {name: len(array) for name, array in given.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"the arrays of the batch have different numbers of rows: {rows}")
        found = self._table(pa.table({name: _as_column(array) for name, array in given.items()}))
        result: dict[str, Any] = {}
        for name in found.column_names:
            result[name] = given[name] if name in given else _from_column(found.column(name))
        return result


def _as_array(name: str, value: Any) -> Array:
    array = np.asarray(value)
    if not array.ndim:
        raise ValueError(f"the batch has a single value for {name!r}, expected an array of rows")
    return array


def _as_column(array: Array) -> pa.Array:
    from .formats import arrow_of

    if array.dtype.kind == "O":
        return pa.array([each.tolist() if hasattr(each, "tolist") else each for each in array])
    return arrow_of(array)


def _from_column(column: pa.ChunkedArray) -> Array:
    """Return an output as an array; one of objects where its rows have several shapes."""
    flat, sizes = column.combine_chunks(), [len(column)]
    while pa.types.is_list(flat.type) and not flat.null_count:
        offsets = np.asarray(flat.offsets)
        widths = np.diff(offsets)
        if len(widths) and (widths != widths[0]).any():
            break
        sizes.append(int(widths[0]) if len(widths) else 0)
        flat = flat.flatten()
    else:
        if not pa.types.is_nested(flat.type):
            return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(sizes)
    found = np.empty(len(column), object)
    for row, value in enumerate(column.to_pylist()):
        found[row] = None if value is None else np.asarray(value)
    return found


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


#: Clients of this process by URL and arguments.
_clients: dict[tuple[int, str, str], Client] = {}
_lock = threading.Lock()


def process_client(url: str, arguments: Mapping[str, Any]) -> Client:
    """Return this process's client of a server; it lives as long as the process."""
    key = (os.getpid(), url, repr(sorted(arguments.items())))
    with _lock:
        if key not in _clients:
            _clients[key] = Client(url, **arguments)
        return _clients[key]


def _forked() -> None:
    """Forget the parent's clients, and its lock, which another thread may have held."""
    global _lock
    _lock = threading.Lock()
    _clients.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
