"""`RayPipeline`: the same job on the machines of a Ray cluster, as a pipeline of Ray Data."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa

from ..client.blocking import Client
from ..extras import optional_import
from .faults import BadInput, ServerGone
from .pipeline import Pipeline
from .plan import Plan
from .results import Results
from .sources import FileSource, Types
from .tables import make_pipeline

#: Rows, or images, that a task infers, where the files tell how many rows they have.
TASK_ROWS = 16384
TASK_IMAGES = 512


class Part(FileSource):
    """Some rows of one file, or all rows of several."""

    def __init__(self, paths: Sequence[str], form: str, rows: int | None) -> None:
        super().__init__(paths, form)
        self._left = rows

    def read(
        self, columns: Sequence[str], types: Types, first: int = 0, size: int = TASK_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from a number on, up to the end of the part."""
        left = self._left
        for batch in super().read(columns, types, first, size):
            yield batch if left is None else batch.slice(0, left)
            if left is not None:
                left -= batch.num_rows
                if left <= 0:
                    return


@dataclass(frozen=True, slots=True)
class Worker:
    """What a task does: one part of the input through the model. It can be pickled.

    Attributes:
        client: arguments of `Client`.
        options: arguments of `make_pipeline`.
    """

    client: Mapping[str, Any]
    model: str
    form: str
    options: Mapping[str, Any]
    concurrency: int | None
    patience: float

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the results of the one part that a table of parts holds."""
        (part,) = table.to_pylist()
        source = Part(part["files"], self.form, part["rows"])
        with Client(**self.client) as client:
            pipeline = make_pipeline(client, self.model, source, **self.options)
            pipeline.concurrency, pipeline.patience = self.concurrency, self.patience
            # Whether any rows fit is for the whole job to say.
            pipeline.any_rows = True
            batches = list(pipeline.run(part["first"]))
            return pa.Table.from_batches(batches, pipeline.results.schema)


class RayPipeline:
    """Runs a job's parts as tasks; results come in the order of the rows.

    All machines must see the files under the same names.

    Args:
        local: the pipeline of this machine, which has checked the input.
        address: the cluster's; "" for the one of the environment, or a new one on this machine.
    """

    def __init__(self, local: Pipeline, worker: Worker, source: FileSource, address: str) -> None:
        with optional_import("ray", "--ray", "ray"):
            self._ray: Any = import_module("ray")
            import_module("ray.data")
        self.plan: Plan = local.plan
        self.results: Results = local.results
        self.stop: threading.Event = local.stop
        self._worker = worker
        self._source = source
        self._address = address

    def run(self, first: int = 0) -> Generator[pa.RecordBatch, None, None]:
        """Yield the output for the rows from a number on; see `Pipeline.run`."""
        ray = self._ray
        own = not ray.is_initialized()
        if own:
            try:
                ray.init(self._address or None, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, RuntimeError, ValueError) as error:
                text = f"--ray: no Ray cluster answers at {self._address!r}: {error}"
                raise BadInput(text) from error
        try:
            yield from self._run(first)
        finally:
            if own:
                ray.shutdown()

    def _run(self, first: int) -> Generator[pa.RecordBatch, None, None]:
        ray = self._ray
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        most = TASK_IMAGES if self._source.form == "images" else TASK_ROWS
        start, parts = split(self._source.counts(), first, most)
        if not parts:
            return
        data = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            self._worker, batch_size=1, batch_format="pyarrow"
        )
        try:
            for table in data.iter_batches(batch_size=None, batch_format="pyarrow"):
                for batch in table.cast(self.results.schema).to_batches():
                    skipped = min(max(first - start, 0), batch.num_rows)
                    start += batch.num_rows
                    if batch.num_rows > skipped:
                        yield batch.slice(skipped)
                if self.stop.is_set():
                    return
        except ray.exceptions.RayError as error:
            raise _cause(error) from error


def split(
    counts: Sequence[tuple[str, int | None]], first: int, most: int
) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of the first row that tasks infer, and their parts.

    A large file is several parts, and small files are one part together.

    Args:
        counts: files with their numbers of rows, None where it is not known.
        first: the first row that is wanted.
        most: rows of a part.
    """
    number, start, parts = 0, first, []
    last: dict[str, Any] | None = None  # a part that may take further files
    for name, rows in counts:
        file = os.path.abspath(name)  # a task runs in a folder of Ray's
        if rows is None:
            parts.append({"files": [file], "first": 0, "rows": None})
            start, last = min(start, number), None
            first = start  # which of its rows are wanted is known only when it is read
            continue
        begin = max(0, first - number)
        number += rows
        if last is not None and last["rows"] + rows <= most:
            last["files"].append(file)
            last["rows"] += rows
            continue
        for row in range(begin, rows, most):
            last = {"files": [file], "first": row, "rows": min(most, rows - row)}
            parts.append(last)
    return start, parts


def _cause(error: BaseException) -> Exception:
    """Return what a task raised, or that the cluster failed."""
    seen: BaseException | None = error
    while seen is not None:
        for each in (seen, getattr(seen, "cause", None)):
            if isinstance(each, (BadInput, ServerGone)):
                return type(each)(str(each).splitlines()[-1])
        seen = seen.__cause__
    return ServerGone(f"the Ray cluster failed: {str(error).splitlines()[-1]}")
