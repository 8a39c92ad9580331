"""A reader for each format of files, from a file to record batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa
from pyarrow import dataset as arrow_dataset
from pyarrow import parquet

from ..datatypes import Array
from ..images import ImageError, require_pillow
from .faults import BadInput
from .reading import ARRAY, BUFFER, PATH, ROWS, Reader, scan
from .text import TextReader


class ParquetReader(Reader):
    """A Parquet file.

    It is not read as a dataset, which decodes a whole row group before its first rows come.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with parquet.ParquetFile(path) as file:
                self.schema = file.schema_arrow
                self._rows: int = file.metadata.num_rows
                groups = range(file.metadata.num_row_groups)
                self._sizes: list[int] = [file.metadata.row_group(i).num_rows for i in groups]
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{path!r} can't be read as parquet: {error}") from error

    def count(self) -> int | None:
        """The number of rows, which the file's own index tells."""
        return self._rows

    def skippable(self, rows: int) -> int:
        """Return the rows of whole row groups."""
        return max(each for each in accumulate(self._sizes, initial=0) if each <= rows)

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        try:
            # Buffers that are read in advance are kept until the file is closed, and without a
            # size of the buffer a row group is held whole, which may have a million rows.
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER) as file:
                sums = accumulate(self._sizes, initial=0)
                groups = [i for i, begin in enumerate(sums) if skip <= begin < self._rows]
                for batch in file.iter_batches(size, groups, columns=list(columns)):
                    yield batch.select(list(columns))
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{self.path!r} can't be read: {error}") from error


class ArrowReader(Reader):
    """An Arrow file."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._dataset = arrow_dataset.dataset(path, format="arrow")
            self._rows: int = self._dataset.count_rows()
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{path!r} can't be read as arrow: {error}") from error
        self.schema = self._dataset.schema

    def count(self) -> int | None:
        """The number of rows, which the file's own index tells."""
        return self._rows

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        yield from scan(self._dataset, repr(self.path), columns, size)


class ArrayReader(Reader):
    """A .npy or .npz file: each array is a column, and its first dimension the rows."""

    def __init__(self, path: str, form: str) -> None:
        self.path = path
        self._arrays = _load_arrays(path, form)
        counts = {name: len(array) for name, array in self._arrays.items()}
        if len(set(counts.values())) > 1:
            raise BadInput(f"the arrays of {path!r} have different numbers of rows: {counts}")
        self._rows = next(iter(counts.values()))
        self.schema = pa.schema(
            [(name, arrow_of(array[:0]).type) for name, array in self._arrays.items()]
        )

    def count(self) -> int | None:
        """The number of rows."""
        return self._rows

    def skippable(self, rows: int) -> int:
        """Return the rows."""
        return min(rows, self._rows)

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        for row in range(skip, self._rows, size):
            arrays = [arrow_of(self._arrays[name][row : row + size]) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))


def _load_arrays(path: str, form: str) -> dict[str, Array]:
    try:
        if form == "npy":
            arrays = {ARRAY: np.load(path, mmap_mode="r", allow_pickle=False)}
        else:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
    except Exception as error:  # damaged files make numpy and zipfile raise all sorts of things
        raise BadInput(f"{path!r} can't be read as {form}: {error}") from error
    if not arrays:
        raise BadInput(f"{path!r} holds no array")
    for name, array in arrays.items():
        if not array.ndim:
            raise BadInput(f"array {name!r} of {path!r} is a single value, expected rows")
        if 0 in array.shape[1:]:
            raise BadInput(f"array {name!r} of {path!r} has the shape {list(array.shape)}")
        if array.dtype.kind not in "biufSU":
            raise BadInput(
                f"array {name!r} of {path!r} is {array.dtype}, expected numbers, booleans or text"
            )
    return arrays


def arrow_of(array: Array) -> pa.Array:
    """Return an array as an Arrow one: its further dimensions become lists of fixed sizes."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    flat: pa.Array = pa.array(np.ascontiguousarray(array).reshape(-1))
    for size in reversed(array.shape[1:]):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat


class ImageReader(Reader):
    """An image: one row with its path."""

    schema = pa.schema([(PATH, pa.string())])

    def __init__(self, path: str) -> None:
        try:
            require_pillow()
        except ImageError as error:
            raise ImportError(str(error)) from None
        self.path = path

    def count(self) -> int | None:
        """One."""
        return 1

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the row."""
        yield pa.RecordBatch.from_pydict({PATH: [self.path]}, self.schema)


#: What reads a file, by its format.
READERS: dict[str, Callable[[str], Reader]] = {
    "parquet": ParquetReader,
    "arrow": ArrowReader,
    "csv": lambda path: TextReader(path, "csv"),
    "jsonl": lambda path: TextReader(path, "jsonl"),
    "npy": lambda path: ArrayReader(path, "npy"),
    "npz": lambda path: ArrayReader(path, "npz"),
    "images": ImageReader,
}
