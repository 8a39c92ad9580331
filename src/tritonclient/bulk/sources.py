"""Where rows come from: tables in memory, and files through Arrow's datasets."""

from __future__ import annotations

import inspect
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import dataset as arrow_dataset

from .ahead import ahead
from .faults import BadInput
from .files import find_files
from .formats import READERS
from .reading import ROWS, Reader, scan
from .text import count_lines

#: Types of columns by name, as a plan wants them read from text.
Types = Mapping[str, pa.DataType]


class Source(Protocol):
    """Rows in a fixed order, numbered from 0.

    Attributes:
        columns: the names of the columns.
        named: False if the columns' names come from no one who knew the model.
        faults: what is wrong with rows that were read, by number; such a row holds nulls.
    """

    columns: Sequence[str]
    named: bool
    faults: dict[int, str]

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """Each part of the source, in words, with its schema."""
        ...

    def read(
        self, columns: Sequence[str], types: Types, first: int = 0, size: int = ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from a number on, in batches of about a size."""
        ...

    def place(self, row: int) -> str:
        """Where a row that was read comes from, such as "a.csv, row 3"."""
        ...

    def count(self) -> int | None:
        """The number of rows, or None if it takes long to find out."""
        ...


class TableSource:
    """Record batches in memory, or from a generator."""

    named = True

    def __init__(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int | None):
        self.columns = schema.names
        self.faults: dict[int, str] = {}
        self._schema = schema
        self._batches = batches
        self._rows = rows

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """The one schema."""
        yield "the table", self._schema

    def read(
        self, columns: Sequence[str], types: Types, first: int = 0, size: int = ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches, with these columns only."""
        for batch in self._batches:
            if batch.schema.names != self._schema.names:
                raise BadInput(
                    f"a batch has the columns {batch.schema.names}, "
                    f"where the first has {self._schema.names}"
                )
            yield batch.select(list(columns))

    def place(self, row: int) -> str:
        """The row's number."""
        return f"row {row}"

    def count(self) -> int | None:
        """The number of rows, where a table tells."""
        return self._rows


class FileSource:
    """The rows of files, one file after the other."""

    def __init__(self, paths: Sequence[str], form: str = "", apart: Sequence[str] = ()) -> None:
        self.form, files = find_files(paths, form, apart)
        readers: list[Reader] = [READERS[self.form](file) for file in files]
        # Engines write empty files of text for parts without rows.
        self._readers = [reader for reader in readers if reader.schema.names]
        if not self._readers:
            raise BadInput(f"{files[0]!r} can't be read as {self.form}: it has no columns")
        self.files = [reader.path for reader in self._readers]
        self.columns = self._readers[0].schema.names
        self.named = self.form != "npy"
        self.faults: dict[int, str] = {}
        self._starts = [0]

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """The schema of each file."""
        for reader in self._readers:
            yield f"{reader.path!r}", reader.schema

    def read(
        self, columns: Sequence[str], types: Types, first: int = 0, size: int = ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from a number on; see `Source`."""
        yield from ahead(self._read(columns, types, first, size))

    def _read(
        self, columns: Sequence[str], types: Types, first: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        self._starts = [0]
        for reader in self._readers:
            start = row = self._starts[-1]
            known = reader.count()
            if known is not None and start + known <= first:
                self._starts.append(start + known)
                continue
            found: dict[int, str] = {}
            skip = reader.skippable(max(first - start, 0))
            row += skip
            for batch in reader.read(columns, types, found, size, skip):
                for number in list(found):
                    if number + start >= first:
                        self.faults[number + start] = found[number]
                    del found[number]
                skipped = min(max(first - row, 0), batch.num_rows)
                row += batch.num_rows
                if batch.num_rows > skipped:
                    yield batch.slice(skipped)
            self._starts.append(row)

    def place(self, row: int) -> str:
        """The file of a row, and its number within that file."""
        file = min(bisect_right(self._starts, row) - 1, len(self.files) - 1)
        name = os.path.basename(self.files[file])
        if self.form == "images":
            return name
        return f"{name}, row {row - self._starts[file]}"

    def count(self) -> int | None:
        """The number of rows, where all files tell it at once."""
        counts = [reader.count() for reader in self._readers]
        return sum(filter(None, counts)) if None not in counts else None

    def counts(self) -> list[tuple[str, int | None]]:
        """The files with their numbers of rows, or None where it takes long to find out."""
        return [(reader.path, reader.count()) for reader in self._readers]

    def default_keep(self) -> list[str]:
        """The columns that go along to the output where none are named: the paths of images."""
        return list(self.columns) if self.form == "images" else []

    def estimate(self) -> int | None:
        """Count the rows roughly; None if a file can't be read. This reads all of the files."""
        rows = 0
        try:
            for file in self.files:
                rows += count_lines(file) - (self.form == "csv")
        except (OSError, EOFError):
            return None
        return rows


def source_of(data: Any) -> Source:
    """Return a source for what `infer` takes.

    Raises:
        TypeError: it is nothing that has rows.
        BadInput: files that can't be read.
    """
    if isinstance(data, (str, os.PathLike)):
        return FileSource([os.fspath(data)])
    if isinstance(data, pa.Table):
        return TableSource(data.schema, data.to_batches(), data.num_rows)
    if isinstance(data, pa.RecordBatch):
        return TableSource(data.schema, [data], data.num_rows)
    if isinstance(data, pa.RecordBatchReader):
        return TableSource(data.schema, data, None)
    if isinstance(data, arrow_dataset.Dataset):
        batches = scan(data, "the dataset", data.schema.names, ROWS)
        return TableSource(data.schema, batches, None)
    if hasattr(data, "to_batches") and isinstance(getattr(data, "schema", None), pa.Schema):
        return TableSource(data.schema, data.to_batches(), None)  # another dataset
    if hasattr(data, "to_records") and hasattr(data, "columns"):
        return source_of(pa.Table.from_pandas(data, preserve_index=False))
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (str, os.PathLike)):
        return FileSource([os.fspath(each) for each in data])
    if isinstance(data, Iterable) and not isinstance(data, Mapping):
        return _of_batches(iter(data))
    raise TypeError(
        f"the data is {type(data).__name__}, expected an Arrow table, record batches, a dataset, "
        f"a DataFrame, or names of files{_made_of(data)}"
    )


def _made_of(value: Any) -> str:
    """Return how other data becomes Arrow's, or "" where it does not."""
    if isinstance(value, Mapping):
        return "; pa.Table.from_pylist(rows) makes a table of dictionaries"
    if hasattr(value, "to_records") and hasattr(value, "columns"):
        return "; pa.RecordBatch.from_pandas(frame) makes one of a DataFrame"
    if hasattr(value, "__array__") or isinstance(value, (int, float)):
        return "; client.map(model, arrays) takes arrays"
    if inspect.isawaitable(value):
        return "; await it first"
    return "; call it, and give what it returns" if callable(value) else ""


def _of_batches(batches: Iterator[Any]) -> Source:
    def checked() -> Iterator[pa.RecordBatch]:
        for each in batches:
            if isinstance(each, pa.Table):
                yield from each.to_batches()
            elif isinstance(each, pa.RecordBatch):
                yield each
            else:
                what = f"a batch is {type(each).__name__}, expected an Arrow record batch"
                raise TypeError(f"{what}{_made_of(each)}")

    given = checked()
    first = next(given, None)
    if first is None:
        raise BadInput("there are no batches, so that the columns are unknown")

    def all_of_them() -> Iterator[pa.RecordBatch]:
        yield first
        yield from given

    return TableSource(first.schema, all_of_them(), None)
