"""`Job`: files through a model into files, in parts, so that it can be continued."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow import RecordBatch

from .faults import BadInput, BadOutput, ServerGone
from .files import format_of, is_in, refuse_others
from .parts import Parts
from .pipeline import Pipeline
from .results import ERROR
from .sources import FileSource
from .writers import check_schema

if TYPE_CHECKING:
    from .on_ray import RayPipeline

#: Batches that wait to be written.
_UNWRITTEN = 2


class TooManyErrors(Exception):
    """More rows failed than may fail."""


class Interrupted(Exception):
    """The job was asked to end early."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where the results go.

    Attributes:
        path: a file, or a folder.
        form: its format, or that of the files in it.
        folder: whether it is a folder of parts.
    """

    path: str
    form: str
    folder: bool

    @classmethod
    def of(cls, path: str, form: str = "") -> Output:
        """The output that a path names: a file if its suffix is that of a format, else a folder.

        Raises:
            BadInput: the format is not the suffix's.
        """
        folder = path.endswith(("/", os.sep)) or os.path.isdir(path)
        if not folder:
            refuse_others(path, "output")
        suffix = "" if folder else format_of(path)
        if path.lower().endswith(".gz"):
            raise BadInput(f"the output {path!r} would be compressed, which can't be done")
        if suffix and form and suffix != form:
            raise BadInput(f"the output {path!r} is a {suffix} file, and the format is {form}")
        return cls(path, form or suffix or "parquet", not suffix)

    @property
    def parts(self) -> str:
        """The folder of the parts."""
        return self.path if self.folder else f"{self.path}.parts"

    @property
    def places(self) -> list[str]:
        """The file or folder, and the folder of the parts."""
        return list({self.path, self.parts})


class Job:
    """A pipeline from files into files.

    Attributes:
        rows: how many rows are done, those of earlier runs included.
        errors: how many of them failed.
        resumed: how many rows earlier runs did.
        finished: whether there was nothing left to do.
    """

    def __init__(
        self,
        pipeline: Pipeline | RayPipeline,
        source: FileSource,
        output: Output,
        described: dict[str, Any],
        max_errors: int | None = None,
        progress: Callable[[int, int], object] = lambda rows, errors: None,
    ) -> None:
        if output.folder and output.form == "npy":
            raise BadInput(f"the output {output.path!r} is a folder; choose npz instead")
        if fault := check_schema(output.form, pipeline.results.schema):
            raise BadInput(f"the output {output.path!r}: {fault}")
        for file in source.files:
            if is_in(file, output.places):
                raise BadInput(
                    f"the output {output.path!r} would replace the input {file!r}; choose another"
                )
        self._pipeline = pipeline
        self._output = output
        self._progress = progress
        self._max_errors = max_errors
        # One file is assembled of parts, for which Arrow's format keeps all types.
        form = output.form if output.folder else "arrow"
        self._parts = Parts(output.parts, form, pipeline.results.schema)
        self._described = {
            "model": pipeline.plan.spec.name,
            "version": pipeline.plan.spec.version,
            "interface": str(pipeline.plan.spec),
            "input": [_described(file) for file in source.files],
            "format": form,
            **described,
        }
        self.rows = self.errors = self.resumed = 0
        self.finished = False

    def prepare(self, resume: bool = False, overwrite: bool = False) -> None:
        """Begin, or go on with what is there.

        Raises:
            BadInput: there is output already, or it is of another job.
            BadOutput: the output can't be written.
        """
        output, there = self._output, self._parts.exists()
        if there and not resume and not overwrite:
            raise BadInput(
                f"{self._parts.folder!r} holds the parts of a job; go on with it (--resume), or "
                "start anew (--overwrite)"
            )
        if there and resume:
            self._parts.resume(self._described)
            self.rows = self.resumed = self._parts.rows
            self.errors = self._parts.errors()
            return
        if resume and not output.folder and os.path.exists(output.path):
            self.finished = True
            return
        self._check_new(overwrite)
        if there:
            self._parts.remove()
        self._parts.start(self._described)

    def _check_new(self, overwrite: bool) -> None:
        path = self._output.path
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise BadOutput(f"{path!r} can't be written: there is no folder {folder!r}")
        if self._output.folder:
            if os.path.exists(path) and not os.path.isdir(path):
                raise BadInput(f"the output {path!r} is a file; for one file give a suffix")
            if os.path.isdir(path) and os.listdir(path) and not self._parts.exists():
                raise BadInput(f"the folder {path!r} is not empty; choose another")
        elif os.path.exists(path) and not overwrite:
            raise BadInput(f"the output {path!r} is there already; replace it with --overwrite")

    def run(self) -> None:
        """Infer what is not done yet, and assemble the output.

        Raises:
            BadInput, BadOutput, ServerGone, TooManyErrors, Interrupted: it ended early. All but a
                part that could not be written is kept.
        """
        if self.finished:
            return
        try:
            self._infer()
            if not self._output.folder:
                self._parts.assemble(self._output.path, self._output.form)
                with suppress(BadOutput):  # the output is whole; parts that stay do no harm
                    self._parts.remove()
        except BadInput:
            if not self.rows:
                self._parts.remove()
            raise
        finally:
            self._parts.release()

    def _infer(self) -> None:
        stop = self._pipeline.stop
        self._progress(self.rows, self.errors)
        try:
            with closing(self._pipeline.run(self.rows)) as batches, _Writer(self._parts) as writer:
                for batch in batches:
                    writer.write(batch)
                    self.rows += batch.num_rows
                    self.errors += batch.num_rows - batch.column(ERROR).null_count
                    self._progress(self.rows, self.errors)
                    if self._max_errors is not None and self.errors > self._max_errors:
                        raise TooManyErrors(
                            f"{self.errors} rows failed, more than max_errors = {self._max_errors}"
                        )
        except ServerGone as error:
            if stop.is_set():
                raise Interrupted(str(error)) from error
            raise
        finally:
            self.rows = self._parts.rows
        if stop.is_set():
            raise Interrupted


class _Writer:
    """Writes parts on a thread: a disk may be slow while requests have to be sent."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._thread = ThreadPoolExecutor(1, "tritonclient-write")
        self._writes: deque[Future[None]] = deque()

    def write(self, batch: RecordBatch) -> None:
        """Write a batch after those before; wait where too many are not written yet.

        Raises:
            BadOutput: one of them can't be written.
        """
        self._writes.append(self._thread.submit(self._parts.write, batch))
        while len(self._writes) > _UNWRITTEN:
            self._writes.popleft().result()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self._writes.append(self._thread.submit(self._parts.close))
        self._thread.shutdown()
        for write in self._writes:
            write.result()


def _described(file: str) -> list[Any]:
    status = os.stat(file)
    return [file, status.st_size, status.st_mtime_ns]
