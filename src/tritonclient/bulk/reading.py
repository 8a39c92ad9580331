"""`Reader`: what all formats of files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import dataset as arrow_dataset

from .faults import BadInput

#: Rows per record batch that is read.
ROWS = 8192
#: Bytes of each column of a Parquet file that are read at a time.
BUFFER = 64 << 10
#: The name of the column of a .npy file.
ARRAY = "array"
#: The name of the column of images: their paths.
PATH = "path"


class Reader(Protocol):
    """One file."""

    path: str
    schema: pa.Schema

    def count(self) -> int | None:
        """The number of rows, or None if it takes long to find out."""
        ...

    def skippable(self, rows: int) -> int:
        """Return how many of the first rows, at most `rows`, can be left out without reading."""
        return 0

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows; those that can't be read are nulls, and `faults` says why.

        Args:
            skip: rows to leave out, a number that `skippable` returned.
        """
        ...


def scan(dataset: Any, name: str, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a dataset of Arrow, whose name an error shows.

    Nothing is read while these rows are worked on: Arrow's threads would go on until they hold a
    whole file, whatever `batch_readahead` says. Only a file of CSV is held all the same.
    """
    options = None
    if isinstance(getattr(dataset, "format", None), arrow_dataset.ParquetFileFormat):
        options = arrow_dataset.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True, buffer_size=BUFFER
        )
    try:
        yield from dataset.to_batches(
            columns=list(columns),
            batch_size=size,
            batch_readahead=1,
            fragment_readahead=1,
            fragment_scan_options=options,
            use_threads=False,
        )
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{name} can't be read: {error}") from error
