"""`Parts`: a folder of output parts, from which a job that ended early can be continued."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import pyarrow as pa

from .faults import BadInput, BadOutput
from .formats import READERS
from .results import ERROR
from .writers import Collected, make_writer, suffix_of

#: The file that says which job the parts belong to. Engines that read a folder skip such names.
JOB = "_job.json"
#: A part is closed after as many rows or seconds: at most these are lost when a job is killed.
PART_ROWS = 65536
PART_SECONDS = 20.0
_TEMPORARY = ".tmp"


class Parts:
    """The parts of a job's output in a folder.

    A part is named after its first and last row, and gets its name when it is whole and on disk. So
    the names alone say which rows are done.

    Attributes:
        rows: how many rows are done.
    """

    def __init__(self, folder: str, form: str, schema: pa.Schema) -> None:
        self.folder = folder
        self.rows = 0
        self._form = form
        self._schema = schema
        self._suffix = suffix_of(form)
        self._name = re.compile(rf"part-(\d+)-(\d+){re.escape(self._suffix)}")
        self._file: IO[bytes] | None = None
        self._writer: Collected | None = None
        self._first = 0
        self._since = 0.0
        self._lock: IO[bytes] | None = None
        self._fault: BaseException | None = None

    # Which job it is

    def exists(self) -> bool:
        """True if there are parts of a job."""
        return os.path.exists(os.path.join(self.folder, JOB))

    def start(self, job: dict[str, Any]) -> None:
        """Begin a job in an empty folder."""
        with self._writing():
            os.makedirs(self.folder, exist_ok=True)
            names = sorted(os.listdir(self.folder))
        for name in names:
            if not _is_own(name):
                raise BadInput(
                    f"the folder {self.folder!r} is for parts of the output, and holds {name!r}; "
                    "move that away"
                )
        with self._writing():
            for name in names:  # a job that was killed while it began or ended
                os.unlink(os.path.join(self.folder, name))
            self._replace(JOB, json.dumps(job, indent=1).encode())
        self._hold()

    def resume(self, job: dict[str, Any]) -> None:
        """Go on with the job whose parts are there.

        Raises:
            BadInput: they are of another job; the message says what is different.
        """
        path = os.path.join(self.folder, JOB)
        try:
            with open(path, encoding="utf-8") as file:
                before = dict(json.load(file))
        except (OSError, TypeError, ValueError, RecursionError) as error:
            raise BadInput(
                f"{path!r} can't be read, so that nothing can be resumed: {error}"
            ) from error
        job = json.loads(json.dumps(job))
        for key in {**before, **job}:
            if before.get(key) != job.get(key):
                raise BadInput(
                    f"{self.folder!r} holds parts of another job: {key} was "
                    f"{_short(before.get(key))}, and is {_short(job.get(key))}; give what was "
                    "given then, or start anew with --overwrite"
                )
        self._hold()
        with self._writing():
            for name in os.listdir(self.folder):
                if name.endswith(_TEMPORARY):
                    os.unlink(os.path.join(self.folder, name))
        self.rows = self._count()

    def remove(self) -> None:
        """Remove the parts; a folder with other files stays.

        Raises:
            BadOutput: they can't be removed, or another process writes to them.
        """
        if self._lock is None and self.exists():
            self._hold()
        with self._writing():
            # Without its first file no job is resumed from parts that are not all there.
            for name in sorted(os.listdir(self.folder), key=lambda name: name != JOB):
                if _is_own(name):
                    os.unlink(os.path.join(self.folder, name))
            with suppress(OSError):
                os.rmdir(self.folder)
        self.release()

    def _hold(self) -> None:
        """Keep other processes out while this one writes."""
        try:
            import fcntl
        except ImportError:  # Windows has no such lock
            return
        self._lock = open(os.path.join(self.folder, JOB), "rb")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise BadOutput(f"another process writes to {self.folder!r}") from None

    def release(self) -> None:
        """Let other processes write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # Parts

    def names(self) -> list[str]:
        """The parts, in the order of their rows."""
        return sorted(
            (name for name in os.listdir(self.folder) if self._name.fullmatch(name)),
            key=lambda name: int(name.split("-")[1]),
        )

    def _count(self) -> int:
        rows = 0
        for name in self.names():
            match = self._name.fullmatch(name)
            assert match is not None
            if int(match[1]) != rows:
                raise BadInput(
                    f"the rows {rows} to {int(match[1]) - 1} are missing in {self.folder!r}"
                )
            rows = int(match[2]) + 1
        return rows

    def errors(self) -> int:
        """Count the failed rows of all parts."""
        return sum(sum(map(bool, batch.column(0).to_pylist())) for batch in self.read([ERROR]))

    def read(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all parts."""
        for name in self.names():
            reader = READERS[self._form](os.path.join(self.folder, name))
            types = {ERROR: pa.string()}
            yield from reader.read(columns or reader.schema.names, types, {})

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the next rows.

        Raises:
            BadOutput: they can't be written, or those before could not; the parts until then are
                whole.
        """
        if self._fault is not None:
            raise self._fault
        with self._writing():
            if self._writer is None:
                self._first, self._since = self.rows, time.monotonic()
                self._file = open(self._temporary(), "xb")  # noqa: SIM115
                self._writer = make_writer(self._form, self._file, self._schema)
            self._writer.write(batch)
        self.rows += batch.num_rows
        if self.rows - self._first >= PART_ROWS or time.monotonic() - self._since >= PART_SECONDS:
            self.close()

    def close(self) -> None:
        """Finish the part that is being written."""
        if self._writer is None or self._file is None:
            return
        with self._writing():
            self._writer.close()
            sync(self._file)
            self._file.close()
            name = f"part-{self._first:012d}-{self.rows - 1:012d}{self._suffix}"
            os.rename(self._temporary(), os.path.join(self.folder, name))
            sync_folder(self.folder)
        self._writer = self._file = None

    def discard_unfinished(self, fault: BaseException) -> None:
        """Remove the part that is being written, and write nothing more; its rows are not done.

        Args:
            fault: why nothing more can be written.
        """
        self._fault = fault
        if self._file is not None:
            with suppress(OSError, pa.ArrowException):
                self._file.close()
            with suppress(OSError):
                os.unlink(self._temporary())
            self.rows = self._first
        self._writer = self._file = None

    def _temporary(self) -> str:
        return os.path.join(self.folder, f".part-{self._first:012d}{_TEMPORARY}")

    def _replace(self, name: str, data: bytes) -> None:
        path = os.path.join(self.folder, name)
        with open(path + _TEMPORARY, "wb") as file:
            file.write(data)
            sync(file)
        os.replace(path + _TEMPORARY, path)
        sync_folder(self.folder)

    def assemble(self, path: str, form: str) -> None:
        """Write all rows into one file, which gets its name when it is whole.

        Raises:
            BadOutput: it can't be written; the parts stay.
        """
        temporary = os.path.join(self.folder, f".whole{_TEMPORARY}")
        with self._writing(path), open(temporary, "wb") as file:
            writer = make_writer(form, file, self._schema)
            for batch in self.read():
                writer.write(batch)
            writer.close()
            sync(file)
            os.replace(temporary, path)
            sync_folder(os.path.dirname(os.path.abspath(path)))

    def _writing(self, path: str = "") -> _Writing:
        return _Writing(self, path or self.folder)


class _Writing:
    """What fails in the body is a `BadOutput`, and the part that is being written is left."""

    def __init__(self, parts: Parts, path: str) -> None:
        self._parts = parts
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        fault = error
        if isinstance(error, (OSError, pa.ArrowException)):
            fault = BadOutput(f"{self._path!r} can't be written: {_reason(error)}")
        self._parts.discard_unfinished(fault)
        if fault is not error:
            raise fault from error


def _is_own(name: str) -> bool:
    """True if a file of the folder is a job's."""
    return name == JOB or name.endswith(_TEMPORARY) or bool(re.match(r"part-\d+-\d+\.", name))


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    free = "; free space on the disk" if getattr(error, "errno", 0) == 28 else ""
    return f"{text}{free}"


def sync(file: IO[bytes]) -> None:
    """Wait until a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: str) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
