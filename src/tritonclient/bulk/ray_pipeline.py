"""`RayPipeline`: the same job on the machines of a Ray cluster, as a pipeline of Ray Data."""

from __future__ import annotations

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

#: Rows that a task infers, where the files tell how many rows they have.
TASK_ROWS = 16384


class Part(FileSource):
    """Some rows of one file."""

    def __init__(self, path: str, form: str, rows: int | None) -> None:
        super().__init__([path], form)
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
        source = Part(part["file"], self.form, part["rows"])
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
        if not ray.is_initialized():
            ray.init(self._address or None, log_to_driver=False, logging_level="ERROR")
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        start, parts = self._parts(first)
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

    def _parts(self, first: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of the first row that tasks infer, and their parts."""
        number, start, parts = 0, first, []
        for file, rows in self._source.counts():
            if rows is None:
                parts.append({"file": file, "first": 0, "rows": None})
                start = min(start, number)
                continue
            for row in range(max(0, first - number), rows, TASK_ROWS):
                parts.append({"file": file, "first": row, "rows": min(TASK_ROWS, rows - row)})
            number += rows
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
