"""CSV and JSON lines: Arrow reads them, and rows that it rejects are read one by one."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import dataset as arrow_dataset
from pyarrow import json as arrow_json

from .arrays import leaf_type
from .faults import BadInput
from .reading import ROWS, Reader, scan


class TextReader(Reader):
    """A CSV or JSON lines file.

    Arrow reads it. From the block on that Arrow rejects, it is read again row by row, so that only
    the rows at fault fail. A file without anything in it has no columns.
    """

    def __init__(self, path: str, form: str) -> None:
        self.path = path
        self._form = form
        try:
            self.schema = _SCHEMAS[form](path)
        except pa.ArrowException as error:  # rows of the first block are at fault
            self.schema = _guess(path, form)
            if not self.schema.names and not _is_blank(path):
                raise BadInput(f"{path!r} can't be read as {form}: {error}") from error
        except OSError as error:
            raise BadInput(f"{path!r} can't be read: {error}") from error
        try:
            names = self.schema.names
        except UnicodeDecodeError as error:
            raise BadInput(f"{path!r} is not UTF-8: the names of its columns: {error}") from error
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise BadInput(f"{path!r} has several columns named {sorted(twice)[0]!r}")

    def count(self) -> int | None:
        """None: the rows of text must be read to be counted."""
        return None

    def read(
        self,
        columns: Sequence[str],
        types: Mapping[str, pa.DataType],
        faults: dict[int, str],
        size: int = ROWS,
        skip: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows, with columns of the given types where these are given."""
        wanted = {
            name: pa.string() if self._form == "csv" else kind
            for name, kind in types.items()
            if name in self.schema.names
        }
        schema = pa.schema(
            [(name, wanted.get(name, self.schema.field(name).type)) for name in columns]
        )
        done = 0
        try:
            for batch in _BATCHES[self._form](self.path, schema, wanted, size):
                done += batch.num_rows
                yield batch
        except (BadInput, pa.ArrowException):
            yield from self._carefully(schema, done, faults, size)

    def _carefully(
        self, schema: pa.Schema, first: int, faults: dict[int, str], size: int
    ) -> Iterator[pa.RecordBatch]:
        rows: list[Mapping[str, Any]] = []
        number = -1
        for number, (row, fault) in enumerate(_ROWS[self._form](self.path, self.schema.names)):
            if number < first:
                continue
            values, fault = ({}, fault) if fault else _fit(row, schema)
            if fault:
                faults[number] = fault
            rows.append(values)
            if len(rows) == size:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)


def _is_blank(path: str) -> bool:
    with _open(path) as file:
        return not any(line.strip() for line in file)


def _guess(path: str, form: str) -> pa.Schema:
    """Return the columns of the rows that can be read; each has the type that comes first."""
    if form == "csv":
        with _open(path) as file:
            head = next(csv.reader(file), [])
        return pa.schema([(name, pa.string()) for name in head if name.isprintable()])
    types: dict[str, pa.DataType] = {}
    for row, _ in islice(_json_rows(path, ()), ROWS):
        for name, value in row.items():
            with suppress(
                pa.ArrowException, ArithmeticError, TypeError, ValueError, RecursionError
            ):
                kind = pa.array([value]).type
                if not pa.types.is_null(leaf_type(kind)):
                    types.setdefault(name, kind)
    return pa.schema(list(types.items()))


def _fit(row: Mapping[str, Any], schema: pa.Schema) -> tuple[dict[str, Any], str]:
    """Return the values of a row that fit the schema, and what is wrong with the first other."""
    values, fault = {}, ""
    for field in schema:
        value = row.get(field.name)
        try:
            if isinstance(value, str) and field.type != pa.string():
                pa.array([value]).cast(field.type)
                value = pa.array([value or None]).cast(field.type)[0].as_py()
            pa.array([value], field.type)
        except (pa.ArrowException, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            fault = fault or f"column {field.name!r}: {value!r:.60} is no {field.type} ({error})"
            value = None
        values[field.name] = value
    return values, fault


def _csv_schema(path: str) -> pa.Schema:
    with arrow_csv.open_csv(path) as reader:
        return reader.schema


def _csv_batches(
    path: str, schema: pa.Schema, wanted: Mapping[str, pa.DataType], size: int
) -> Iterator[pa.RecordBatch]:
    # "" and "nan" in a column of text are what they are; in a column of numbers they are told
    # apart when the text is converted.
    convert = arrow_csv.ConvertOptions(
        column_types={field.name: field.type for field in schema},
        include_columns=schema.names,
        strings_can_be_null=False,
    )
    # Not as a dataset, which reads all of the file while the first rows are worked on.
    with arrow_csv.open_csv(path, convert_options=convert) as reader:
        for block in reader:
            for row in range(0, block.num_rows, size):
                yield block.slice(row, size)


def _json_schema(path: str) -> pa.Schema:
    return arrow_dataset.dataset(path, format="json").schema


def _json_batches(
    path: str, schema: pa.Schema, wanted: Mapping[str, pa.DataType], size: int
) -> Iterator[pa.RecordBatch]:
    explicit = pa.schema(list(wanted.items())) if wanted else None
    options = arrow_json.ParseOptions(explicit_schema=explicit)
    form = arrow_dataset.JsonFileFormat(parse_options=options)
    dataset = arrow_dataset.dataset(path, format=form)
    yield from scan(dataset.replace_schema(schema), repr(path), schema.names, size)


TEXT = ("csv", "jsonl")
#: The most characters of a value of CSV.
_LONGEST = 1 << 30
_SCHEMAS: dict[str, Callable[[str], pa.Schema]] = {"csv": _csv_schema, "jsonl": _json_schema}
_BATCHES: dict[
    str,
    Callable[[str, pa.Schema, Mapping[str, pa.DataType], int], Iterator[pa.RecordBatch]],
] = {"csv": _csv_batches, "jsonl": _json_batches}


def _open(path: str) -> IO[str]:
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    text: IO[str] = opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return text


def count_lines(path: str) -> int:
    """Count the lines of a text file."""
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    lines, block = 0, b"\n"
    with opened(path, "rb") as file:
        while more := file.read(1 << 20):
            block = more
            lines += block.count(b"\n")
    return lines + (not block.endswith(b"\n"))


def _csv_rows(path: str, names: Sequence[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    # Arrow takes values of up to its block's size, and Python's module far less by itself.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    with _open(path) as file:
        reader = csv.reader(file)
        next(reader, None)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield {}, f"it is no CSV: {error}"
                continue
            if not row:
                continue  # as Arrow does
            if len(row) == len(names):
                yield dict(zip(names, row, strict=True)), ""
            else:
                yield {}, f"it has {len(row)} values, where the head has {len(names)} names"


def _json_rows(path: str, names: Sequence[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    with _open(path) as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield {}, f"it is no JSON: {error}"
                continue
            if isinstance(row, dict):
                yield row, ""
            else:
                yield {}, f"it is {line.strip():.60}, expected an object"


_ROWS: dict[str, Callable[[str, Sequence[str]], Iterator[tuple[Mapping[str, Any], str]]]] = {
    "csv": _csv_rows,
    "jsonl": _json_rows,
}
