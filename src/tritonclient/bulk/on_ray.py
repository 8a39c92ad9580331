"""`RayPipeline`: ranges of files run as tasks of Ray Data, and their results come in order."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import socket
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ..extras import optional_import
from .faults import BadInput, ServerGone
from .model import process_client
from .pipeline import Pipeline
from .reading import ROWS
from .results import Results
from .sources import FileSource, Types

#: Rows of a task, about.
_TASK_ROWS = 32768
#: Images of a task.
_TASK_IMAGES = 1024
#: Seconds for a connection to the cluster.
_KNOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Range:
    """The rows of one task.

    Attributes:
        files: their names.
        first, stop: the rows, counted from the first file's first; stop is None for the end.
    """

    files: tuple[str, ...]
    first: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What all tasks share.

    Attributes:
        folder: the folder to which names of files are relative.
        client: arguments of `Client` other than the URL.
    """

    ranges: Sequence[Range]
    form: str
    folder: str
    url: str
    client: Mapping[str, Any]
    results: Results
    concurrency: int | None
    patience: float
    options: Mapping[str, Any]


def ranges_of(sizes: Iterable[tuple[str, int]], first: int, most: int) -> Iterator[Range]:
    """Yield ranges for the rows of files from a number on.

    A large file has several, and small files have one together.

    Args:
        sizes: files with their numbers of rows.
        most: rows of a range.
    """
    files: list[str] = []
    begin = stop = number = 0
    for name, rows in sizes:
        left = max(0, first - number)
        number += rows
        if left >= rows:
            continue
        if files and stop - begin + rows > most:
            yield Range(tuple(files), begin, stop)
            files = []
        if not files:
            while rows - left > most:
                yield Range((name,), left, left + most)
                left += most
            begin, stop = left, 0
        files.append(name)
        stop += rows
    if files:
        yield Range(tuple(files), begin, stop)


class RangeSource(FileSource):
    """The rows of files up to a number."""

    def __init__(self, paths: Sequence[str], form: str, stop: int | None) -> None:
        super().__init__(paths, form)
        self._stop = stop

    def read(
        self, columns: Sequence[str], types: Types, first: int = 0, size: int = ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from a number on; see `Source`."""
        number = first
        for batch in super().read(columns, types, first, size):
            if self._stop is not None and number + batch.num_rows >= self._stop:
                yield batch.slice(0, self._stop - number)
                return
            number += batch.num_rows
            yield batch


def infer_range(row: Mapping[str, Any], work: Work) -> Iterator[dict[str, bytes]]:
    """Yield the record batches of one range, and the error that ended it, as bytes.

    Bytes keep the exact types: Ray's blocks have types of their own for arrays.
    """
    wanted = work.ranges[int(row["id"])]
    try:
        if not all(map(os.path.isabs, wanted.files)):
            os.chdir(work.folder)  # results tell the names as they were given
        pipeline = Pipeline(
            process_client(work.url, work.client),
            RangeSource(wanted.files, work.form, wanted.stop),
            work.results.plan,
            work.results,
            work.concurrency,
            work.patience,
            options=dict(work.options),
            check_first=False,
        )
        for batch in pipeline.run(wanted.first):
            yield {"rows": batch.serialize().to_pybytes(), "fault": b""}
    except Exception as error:  # it is raised where the job runs
        yield {"rows": b"", "fault": pickle.dumps(error)}


def _knock(address: str) -> None:
    """Connect to an address that has a port: Ray itself tries for minutes.

    Raises:
        OSError: nothing listens there.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()


class RayPipeline:
    """A pipeline that runs on a Ray cluster. The cluster's machines must see the files.

    Attributes:
        plan, results, stop, paused: those of the pipeline.

    Args:
        pipeline: what to run; its source is files.
        address: the cluster's address; "" for RAY_ADDRESS, and if that is not set, this machine.
        url: the server's URL.
        client: arguments of `Client`.

    Raises:
        ImportError: Ray is not installed.
        BadInput: there is no such cluster.
    """

    def __init__(
        self, pipeline: Pipeline, source: FileSource, address: str, url: str, client: dict[str, Any]
    ) -> None:
        with optional_import("ray[data]", "--ray", "ray"):
            ray: Any = importlib.import_module("ray")
            importlib.import_module("ray.data")
        self.plan, self.results, self.stop = pipeline.plan, pipeline.results, pipeline.stop
        self.paused = pipeline.paused
        self._pipeline = pipeline
        self._source = source
        self._url = url
        self._client = client
        self._ray = ray
        try:
            _knock(address)
            ray.init(address or None, logging_level=logging.WARNING, log_to_driver=False)
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            raise BadInput(f"the Ray cluster {address!r} can't be used: {error}") from error

    def __enter__(self) -> RayPipeline:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ray.shutdown()

    def run(self, first: int = 0) -> Generator[pa.RecordBatch, None, None]:
        """Yield the output for the rows from a number on, in their order; see `Pipeline.run`.

        Raises:
            BadInput: the input can't be read, or none of the first rows fits the model.
            ServerGone: the server stayed away too long, or the cluster failed.
        """
        if first == 0:
            self._pipeline.check()
        ranges = list(self._ranges(first))
        if not ranges:
            return
        try:
            for row in self._rows(ranges):
                if row["fault"]:
                    raise pickle.loads(row["fault"])
                yield pa.ipc.read_record_batch(row["rows"], self.results.schema)
                if self.stop.is_set():
                    return
        except self._ray.exceptions.RayError as error:
            raise ServerGone(f"the Ray cluster failed: {error}") from error

    def _rows(self, ranges: Sequence[Range]) -> Iterator[dict[str, bytes]]:
        data, pipeline = self._ray.data, self._pipeline
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it would warn of hidden bars
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        work = Work(
            ranges,
            self._source.form,
            os.getcwd(),
            self._url,
            self._client,
            self.results,
            pipeline.concurrency,
            pipeline.patience,
            pipeline.options,
        )
        tasks = data.range(len(ranges), override_num_blocks=len(ranges))
        found: Iterator[dict[str, bytes]] = tasks.flat_map(
            infer_range, fn_kwargs={"work": work}
        ).iter_rows()
        return found

    def _ranges(self, first: int) -> Iterator[Range]:
        """Yield what is left to do from a row on."""
        source = self._source
        if source.form == "images":
            most = _TASK_IMAGES
        else:
            most = max(1, _TASK_ROWS // self.plan.block_rows) * self.plan.block_rows
        sizes: list[tuple[str, int]] = []
        for file, rows in source.counts():
            if rows is None:
                yield from ranges_of(sizes, first, most)
                first = max(0, first - sum(size for _, size in sizes))
                sizes = []
                done = self._count(file, first)
                first -= done
                yield Range((file,), done)
            else:
                sizes.append((file, rows))
        yield from ranges_of(sizes, first, most)

    def _count(self, file: str, most: int) -> int:
        """Return the number of rows of a text file, or `most` if there are more."""
        rows = 0
        if most:
            source = FileSource([file], self._source.form)
            for batch in source.read(self.plan.columns, self.plan.types):
                rows += batch.num_rows
                if rows >= most:
                    return most
        return rows
