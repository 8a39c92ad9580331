"""`Plan`: which columns make which inputs of a model, and batches of rows as its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..client.model_spec import ModelSpec, describe
from ..client.suggestions import meant
from ..datatypes import NUMPY, Array
from ..images import ImageError, PixelFormat, check_scaling, read
from ..messages import TensorMetadata
from .arrays import Misfit, depth, fits_type, leaf_type, text_type, to_array, with_leaf
from .faults import BadInput
from .reading import PATH, ROWS
from .sources import Source

#: Rows per request where the server does not tell the largest batch.
UNKNOWN_LIMIT = 32
#: Levels of lists that nest; no tensor has as many dimensions.
DEEPEST = 32
#: Bytes of inputs that are made at a time.
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a model and the columns that make it.

    Attributes:
        columns: one column, or several to be stacked.
        shape: the shape of one row.
        pixels: for a column with the paths of images, or the images themselves: their form.
        scaling: how the images' pixels are scaled.
    """

    tensor: TensorMetadata
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    pixels: PixelFormat | None = None
    scaling: str = "NONE"

    def of(self, batch: pa.RecordBatch) -> Array:
        """Return the input's array for some rows.

        Raises:
            Misfit: the rows do not make one; the message names the column.
        """
        datatype = self.tensor.datatype
        first = next(iter(self.columns))
        if self.pixels is not None:
            return self._images(batch.column(first))
        if len(self.columns) == 1:
            return self._column(batch, first, datatype, self.shape)
        stacked = np.stack([self._column(batch, name, datatype, ()) for name in self.columns], 1)
        return stacked.reshape(-1, *self.shape) if -1 not in self.shape else stacked

    def _column(
        self, batch: pa.RecordBatch, name: str, datatype: str, shape: tuple[int, ...]
    ) -> Array:
        try:
            return to_array(batch.column(name), datatype, shape)
        except Misfit as error:
            raise Misfit(f"column {name!r} {error}") from None

    def _images(self, column: pa.Array) -> Array:
        assert self.pixels is not None
        found = []
        for value in column.to_pylist():
            if value is None:
                raise Misfit(f"column {self.columns[0]!r} is null")
            try:
                found.append(read(value, self.pixels, self.scaling))
            except ImageError as error:
                raise Misfit(str(error)) from None
        return np.stack(found)


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows become requests.

    Attributes:
        batched: whether a request has several rows, and its tensors a dimension for them.
        batch_size: the most rows of a request.
        keep: columns that go along to the output.
    """

    spec: ModelSpec
    inputs: tuple[Input, ...]
    batched: bool
    batch_size: int
    keep: tuple[str, ...] = ()
    types: Mapping[str, pa.DataType] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys([*(n for each in self.inputs for n in each.columns), *self.keep]))

    @property
    def block_rows(self) -> int:
        """How many rows to convert at a time: whole requests, and some megabytes."""
        if any(each.pixels for each in self.inputs):
            return self.batch_size
        row = sum(_row_bytes(each) for each in self.inputs)
        most = max(1, min(ROWS, _BLOCK_BYTES // max(row, 1)))
        return max(1, most // self.batch_size) * self.batch_size

    def arrays(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Return the inputs for some rows, any number of them; the first dimension is the rows.

        Raises:
            Misfit: the rows do not fit the model.
        """
        arrays = {each.tensor.name: each.of(batch) for each in self.inputs}
        if not self.batched:
            arrays = {name: array[0] for name, array in arrays.items()}
        try:
            checked = replace(self.spec, max_batch_size=None).check(arrays, cast=True)
        except (TypeError, ValueError) as error:
            raise Misfit(self._named(str(error))) from None
        return {
            name: tensor if tensor.datatype == "BF16" else tensor.array
            for name, tensor in checked.items()
        }

    def _named(self, fault: str) -> str:
        fault = fault.partition("; array.astype(")[0]  # advice for who has an array
        for each in self.inputs:
            if fault.startswith(f"input {each.tensor.name!r} "):
                names = ", ".join(map(repr, each.columns[:3]))
                return f"column {names}{', ...' if len(each.columns) > 3 else ''}: {fault}"
        return fault


def _row_bytes(each: Input) -> int:
    """Return about how many bytes a row of an input has; an open dimension may be long."""
    elements = int(np.prod([256 if size == -1 else size for size in each.shape]))
    kind = NUMPY.get(each.tensor.datatype)
    return elements * (kind.itemsize if kind is not None else 64)


def make_plan(
    spec: ModelSpec,
    source: Source,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    keep: Sequence[str] | None = None,
    batch_size: int | None = None,
    images: Mapping[str, PixelFormat] | None = None,
    scaling: str = "NONE",
) -> Plan:
    """Return the plan for a model and a source, checked against each part of the source.

    Args:
        columns: for an input, its column, or columns to stack, or text such as "a,b" and "p0..p63".
        keep: columns to copy to the output; None for all that are read as they are.
        batch_size: the most rows of a request; None for the model's limit.
        images: inputs that are made of images, and the form of each.

    Raises:
        BadInput: an input has no columns, or of a type that it can't be made from.
    """
    batched, size = _batching(spec, batch_size)
    chosen = _choose(spec, source, columns or {}, images or {})
    inputs = []
    for tensor in spec.inputs.values():
        if tensor.name in chosen:
            shape = tuple(tensor.shape[1:] if batched else tensor.shape)
            pixels = (images or {}).get(tensor.name)
            if pixels is not None:
                _check_images(tensor, pixels, scaling, chosen[tensor.name])
            inputs.append(Input(tensor, chosen[tensor.name], shape, pixels, scaling))
    kept = tuple(source.columns if keep is None else dict.fromkeys(keep))
    for name in kept:
        if name not in source.columns:
            raise BadInput(f"there is no column {name!r} to keep{_columns(name, source)}")
    schemas = list(source.schemas())
    types = _check_types(inputs, kept, schemas, getattr(source, "form", ""))
    return Plan(spec, tuple(inputs), batched, size if batched else 1, kept, types)


def _batching(spec: ModelSpec, given: int | None) -> tuple[bool, int]:
    """Return whether a request has several rows, and how many at most.

    A model whose configuration knows no batches may still take rows, where the first dimension of
    all its tensors is open. Only the caller can know that, and says so with a batch size.
    """
    if given is not None and given < 1:
        raise BadInput(f"batch_size is {given}, expected a number from 1")
    limit = spec.max_batch_size
    if limit and limit < 0:
        raise BadInput(f"the server tells a max_batch_size of {limit} for model {spec.name!r}")
    if limit:
        if given is not None and given > limit:
            raise BadInput(
                f"model {spec.name!r} takes at most {limit} rows in a request; "
                f"batch_size is {given}"
            )
        return True, given or min(limit, ROWS)
    tensors = [*spec.inputs.values(), *spec.outputs.values()]
    is_open = all(tuple(each.shape[:1]) == (-1,) for each in tensors)
    if given is not None and given > 1 and not is_open:
        raise BadInput(f"model {spec.name!r} takes one row in a request; batch_size is {given}")
    if is_open and (limit is None or given is not None):
        return True, given or UNKNOWN_LIMIT
    return False, 1


def _choose(
    spec: ModelSpec,
    source: Source,
    given: Mapping[str, str | Sequence[str]],
    images: Mapping[str, PixelFormat],
) -> dict[str, tuple[str, ...]]:
    for name in given:
        if name not in spec.inputs:
            names = ", ".join(spec.inputs)
            raise BadInput(
                f"model {spec.name!r} has no input {name!r}; its inputs are {names}"
                f"{meant(name, spec.inputs)}"
            )
    if not spec.inputs:
        raise BadInput(f"the server does not tell the inputs of model {spec.name!r}")
    chosen = {}
    for name, tensor in spec.inputs.items():
        found = _given(name, given[name]) if name in given else _by_name(name, source, spec, images)
        for each in found:
            if each not in source.columns:
                raise BadInput(
                    f"input {name!r}: there is no column {each!r}{_columns(each, source)}"
                )
        if found:
            chosen[name] = found
        elif name not in spec.optional or (spec.max_batch_size is None):
            raise BadInput(
                f"no column makes input {name!r} ({describe(tensor)}) of model {spec.name!r}; "
                f"name its columns: --map {name}=a,b or columns={{{name!r}: ['a', 'b']}}"
                f"{_columns(name, source)}"
            )
    return chosen


def _given(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    found = tuple(column for part in parts for column in _expand(part))
    if not found or "" in found:
        raise BadInput(f"input {name!r} is mapped to {value!r}, expected names of columns")
    return found


def _expand(part: str) -> Iterable[str]:
    """Return the columns of a range such as p0..p63, or the one column."""
    match = re.fullmatch(r"(.*?)(\d+)\.\.(.*?)(\d+)", part)
    if not match or match[1] != match[3]:
        return [part]
    first, last = int(match[2]), int(match[4])
    if last < first or last - first > 1_000_000:
        raise BadInput(f"{part!r} is no range of columns; expected one such as p0..p63")
    width = len(match[2]) if match[2][0] == "0" and len(match[2]) > 1 else 0
    return [f"{match[1]}{number:0{width}d}" for number in range(first, last + 1)]


def _by_name(
    name: str, source: Source, spec: ModelSpec, images: Mapping[str, PixelFormat]
) -> tuple[str, ...]:
    """The columns that an input's name stands for: its own, or NAME_0, NAME_1, and so on."""
    if name in images and PATH in source.columns and name not in source.columns:
        return (PATH,)
    if name in source.columns:
        return (name,)
    if not source.named and len(spec.inputs) == 1:
        return tuple(source.columns)
    there = set(source.columns)
    numbered: list[str] = []
    while f"{name}_{len(numbered)}" in there:
        numbered.append(f"{name}_{len(numbered)}")
    return tuple(numbered)


def _columns(name: str, source: Source) -> str:
    names = list(source.columns)
    shown = ", ".join(names[:12])
    if len(names) > 12 or len(shown) > 200:
        shown = f"{shown[:200]}, ..."
    other = next((each for each in (";", "\t", "|") if len(names) == 1 and each in names[0]), "")
    hint = f"; it is separated by {other!r}, expected commas" if other else meant(name, names)
    return f"; the columns are {shown}{hint}"


def _check_images(
    tensor: TensorMetadata, pixels: PixelFormat, scaling: str, columns: Sequence[str]
) -> None:
    try:
        check_scaling(pixels, scaling)
    except ImageError as error:
        raise BadInput(f"input {tensor.name!r}: {error}") from None
    if len(columns) != 1:
        raise BadInput(f"input {tensor.name!r} is made of images; name one column")


def _check_types(
    inputs: Sequence[Input], keep: Sequence[str], schemas: Sequence[tuple[str, Any]], form: str
) -> dict[str, pa.DataType]:
    """Check the columns of each file; return the types as which text is read."""
    types: dict[str, pa.DataType] = {}
    for place, schema in schemas:
        for name in [*(n for each in inputs for n in each.columns), *keep]:
            if name not in schema.names:
                raise BadInput(f"{place} has no column {name!r}; its columns are {schema.names}")
            if schema.names.count(name) > 1:
                raise BadInput(f"{place} has several columns named {name!r}; rename them")
        for each in inputs:
            datatype = "BYTES" if each.pixels else each.tensor.datatype
            for name in each.columns:
                kind = schema.field(name).type
                if depth(kind) > DEEPEST:
                    raise BadInput(f"{place}: column {name!r} has lists {depth(kind)} levels deep")
                if form != "csv" and not fits_type(kind, datatype):
                    raise BadInput(
                        f"{place}: column {name!r} is {kind}, but input {each.tensor.name!r} is "
                        f"{describe(each.tensor)}{_type_hint(kind)}"
                    )
                types.setdefault(name, with_leaf(kind, text_type(datatype)))
        for each in inputs:
            _check_stack(place, each)
    return types


def _check_stack(place: str, each: Input) -> None:
    count, shape = len(each.columns), each.shape
    if count > 1 and -1 not in shape and int(np.prod(shape)) != count:
        raise BadInput(
            f"{place}: {count} columns make input {each.tensor.name!r}, which has "
            f"{int(np.prod(shape))} elements a row ({describe(each.tensor)})"
        )


def _type_hint(kind: pa.DataType) -> str:
    leaf = leaf_type(kind)
    if pa.types.is_floating(leaf):
        return "; round and cast the column first"
    if pa.types.is_temporal(leaf) or pa.types.is_decimal(leaf):
        return "; cast the column to numbers first"
    return ""
