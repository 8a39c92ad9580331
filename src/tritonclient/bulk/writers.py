"""A writer for each format of output, from record batches to a file."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import ipc, parquet

from ..datatypes import Array
from .arrays import is_bytes, is_text
from .files import SUFFIXES
from .results import ERROR, SHAPE

#: Rows, and bytes, that are collected before they are written.
_ROWS = 16384
_BYTES = 1 << 24
#: The most elements of a row's list in an array, and of one that becomes columns of CSV.
_WIDEST = 1 << 26
_MOST_COLUMNS = 1 << 14
#: Formats, and the suffixes of files of them.
OUTPUT_FORMATS = ("parquet", "csv", "jsonl", "arrow", "npz", "npy")


class Writer(Protocol):
    """What writes one file."""

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        ...

    def close(self) -> None:
        """Write what comes after the rows; the file itself stays open."""
        ...


class Collected:
    """A writer that is given the rows in larger pieces."""

    def __init__(self, writer: Writer, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows, or hold them until there are more."""
        self._held.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is held, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            self._writer.write(pa.Table.from_batches(self._held, self._schema).combine_chunks())
        self._held, self._rows, self._bytes = [], 0, 0


class CsvWriter:
    """CSV: a vector becomes columns NAME_0, NAME_1 and so on."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._file = arrow_csv.CSVWriter(file, self._flat(schema.empty_table()).schema)

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        self._file.write_table(self._flat(table))

    def close(self) -> None:
        """Nothing comes after the rows."""
        self._file.close()

    def _flat(self, table: pa.Table) -> pa.Table:
        columns: dict[str, Any] = {}
        for field in self._schema:
            column = table.column(field.name)
            width = _columns_of(field)
            if width is None:
                columns[field.name] = as_text(column)
                continue
            flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            values = _elements(flat, width)
            columns.update(zip(numbered(field.name, width), values, strict=True))
        return pa.table(columns)


def vector_width(field: pa.Field) -> int | None:
    """Return how many elements a list has in every row, or None for no list, or any length.

    None also for more than `_WIDEST` elements.
    """
    if not pa.types.is_list(field.type) or SHAPE.encode() not in (field.metadata or {}):
        return None
    shape = [int(size) for size in field.metadata[SHAPE.encode()].split(b",")]
    width = math.prod(shape)
    return width if min(shape) >= 0 and width <= _WIDEST else None


def _columns_of(field: pa.Field) -> int | None:
    """Return how many columns of CSV a list becomes, or None for one with JSON text."""
    width = vector_width(field)
    return width if width is not None and width <= _MOST_COLUMNS else None


def _elements(column: pa.Array, width: int) -> list[pa.Array]:
    """Return the first elements of all rows, the second ones, and so on; nulls for a null row."""
    present = np.asarray(column.is_valid())
    flat = column.drop_null()
    while pa.types.is_list(flat.type):
        flat = flat.flatten()
    place = np.cumsum(present) - 1
    found = []
    for index in range(width):
        rows = pa.array(place * width + index, mask=~present)
        found.append(as_text(flat.take(rows)))
    return found


def as_text(column: Any) -> Any:
    """Return a column as CSV can have it: bytes become text, and lists JSON."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if row is None else json.dumps(plain(row)) for row in column.to_pylist()]
        return pa.array(texts, pa.string())
    if is_bytes(kind):
        return pa.array([plain(row) for row in column.to_pylist()], pa.string())
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if not pa.types.is_primitive(kind) and not is_text(kind) and not pa.types.is_null(kind):
        # Decimals, views, fixed sizes, extensions and so on: no CSV or array has all of these.
        texts = [None if row is None else str(plain(row)) for row in column.to_pylist()]
        return pa.array(texts, pa.string())
    return column


def plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes as text, and null for what is no number."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):  # the entries of maps are pairs
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


class JsonWriter:
    """JSON lines: an object for each row."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        lines = [json.dumps(plain(row), ensure_ascii=False) for row in table.to_pylist()]
        self._file.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Nothing comes after the rows."""


class ArrayWriter:
    """A .npz or .npy file: an array for each column, written at the end."""

    def __init__(self, file: IO[bytes], schema: pa.Schema, only: bool = False) -> None:
        self._file = file
        self._schema = schema
        self._only = only
        self._tables: list[pa.Table] = [schema.empty_table()]

    def write(self, table: pa.Table) -> None:
        """Hold rows."""
        self._tables.append(table)

    def close(self) -> None:
        """Write the arrays."""
        table = pa.concat_tables(self._tables)
        if self._only:
            names = [name for name in table.column_names if name != ERROR]
            np.save(self._file, self._array(table, names[0]), allow_pickle=False)
            return
        # Not np.savez, which seeks in the file, and so needs more of it than `write`.
        with zipfile.ZipFile(self._file, "w", allowZip64=True) as members:
            for name in table.column_names:
                with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.save(member, self._array(table, name), allow_pickle=False)

    def _array(self, table: pa.Table, name: str) -> Array:
        """A column as an array; a row without results is NaN, 0 or empty text."""
        field, column = self._schema.field(name), table.column(name).combine_chunks()
        width = vector_width(field)
        if width is None:
            if pa.types.is_nested(field.type):
                column = as_text(column)
            return _scalars(column)
        shape = [int(size) for size in field.metadata[SHAPE.encode()].split(b",")]
        present, flat = np.asarray(column.is_valid()), column.drop_null()
        while pa.types.is_list(flat.type):
            flat = flat.flatten()
        values = _scalars(flat)
        rows = np.zeros((len(present), *shape), values.dtype)
        if values.dtype.kind == "f":
            rows[~present] = math.nan
        rows[present] = values.reshape(int(present.sum()), *shape)
        return rows


def _scalars(column: Any) -> Array:
    column = as_text(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_time(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if is_text(column.type):
        return np.array(column.fill_null("").to_pylist(), np.str_)
    if column.null_count and pa.types.is_floating(column.type):
        column = column.fill_null(math.nan)
    elif column.null_count and not pa.types.is_temporal(column.type):  # numpy has NaT
        column = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    return np.asarray(column.to_numpy(zero_copy_only=False))


class ParquetWriter:
    """Parquet: a row group for each piece."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = parquet.ParquetWriter(file, schema)

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        self._file.write_table(table)

    def close(self) -> None:
        """Write the index of the file."""
        self._file.close()


class ArrowWriter:
    """Arrow's own file format, which is Feather too."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = ipc.new_file(file, schema)

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        self._file.write_table(table)

    def close(self) -> None:
        """Write the index of the file."""
        self._file.close()


_WRITERS: dict[str, Callable[[IO[bytes], pa.Schema], Writer]] = {
    "parquet": ParquetWriter,
    "csv": CsvWriter,
    "jsonl": JsonWriter,
    "arrow": ArrowWriter,
    "npz": ArrayWriter,
    "npy": lambda file, schema: ArrayWriter(file, schema, only=True),
}


def make_writer(form: str, file: IO[bytes], schema: pa.Schema) -> Collected:
    """Return a writer of a format into an open file."""
    return Collected(_WRITERS[form](file, schema), schema)


def suffix_of(form: str) -> str:
    """Return the suffix of files of a format."""
    return next(suffix for suffix, kind in SUFFIXES.items() if kind == form)


def check_schema(form: str, schema: pa.Schema) -> str:
    """Return why rows can't be written in a format, or ""."""
    outputs = [field for field in schema if field.name != ERROR]
    if form == "npy" and len(outputs) != 1:
        names = ", ".join(field.name for field in outputs)
        return f"a .npy file holds one array, and the output has the columns {names}; choose .npz"
    for field in schema:
        # One row tells whether a type can be written, before many were inferred.
        try:
            writer = make_writer("npz" if form == "npy" else form, BytesIO(), pa.schema([field]))
            row = pa.nulls(1, field.type)
            writer.write(pa.RecordBatch.from_arrays([row], schema=pa.schema([field])))
            writer.close()
        except (pa.ArrowException, ArithmeticError, TypeError, ValueError) as error:
            return (
                f"column {field.name!r} is {field.type}, which can't be written as {form} "
                f"({error}); convert it, or leave it out of those to keep"
            )
    if form == "csv":
        counts: dict[str, int] = {}
        for field in schema:
            width = _columns_of(field)
            for name in [field.name] if width is None else numbered(field.name, width):
                counts[name] = counts.get(name, 0) + 1
                if counts[name] > 1:
                    return f"the output would have two columns named {name!r}"
    return ""


def numbered(name: str, width: int) -> list[str]:
    """Return the names of the columns of a vector."""
    return [f"{name}_{index}" for index in range(width)]
