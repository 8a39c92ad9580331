"""`Reader`: what all formats of files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from .faults import BadInput

#: Rows per record batch that is read.
ROWS = 8192
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


def scan(dataset: Any, path: str, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a file; little is read ahead, for large files must not fill the memory."""
    try:
        yield from dataset.to_batches(
            columns=list(columns), batch_size=size, batch_readahead=4, fragment_readahead=1
        )
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path!r} can't be read: {error}") from error
