"""Results of a model as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..client.model_spec import ModelSpec
from ..client.suggestions import meant
from ..datatypes import NUMPY, Array
from ..messages import TensorMetadata
from .arrays import LEAVES, column_type, to_column
from .faults import BadInput
from .plan import DEEPEST, Plan

#: The column that says why a row has no result.
ERROR = "error"
#: The key of an output's shape, without the batch, in the metadata of its column.
SHAPE = "tritonclient.shape"


@dataclass(frozen=True, slots=True)
class Part:
    """What became of some rows.

    Attributes:
        arrays: the outputs, or None.
        fault: why there are none.
    """

    rows: int
    arrays: tuple[Array, ...] | None
    fault: str = ""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of a row's outputs; () where there are none."""
        return tuple([array.shape[1:] for array in self.arrays or ()])

    @property
    def nbytes(self) -> int:
        """About how many bytes the arrays have."""
        return sum(array.nbytes for array in self.arrays or ())


class WrongResult(ValueError):
    """A model answered something that does not fit the rows it was given."""


@dataclass(frozen=True, slots=True)
class Results:
    """The columns of the output.

    Attributes:
        outputs: the model's outputs that are asked for.
        schema: the kept columns, the outputs, and the column of errors.
    """

    outputs: tuple[TensorMetadata, ...]
    schema: pa.Schema
    plan: Plan

    @property
    def names(self) -> list[str]:
        """The names of the outputs."""
        return [each.name for each in self.outputs]

    def arrays(self, answer: Mapping[str, Array], rows: int) -> tuple[Array, ...]:
        """Return the arrays of an answer, the first dimension being the rows.

        Raises:
            WrongResult: the answer is not what the model's metadata promises.
        """
        return tuple([self._array(output, answer, rows) for output in self.outputs])

    def batch(self, rows: pa.RecordBatch, parts: Sequence[Part]) -> pa.RecordBatch:
        """Return rows with their results.

        Args:
            parts: the results of the rows, in order; the shapes of their arrays are the same.
        """
        found = [part for part in parts if part.arrays is not None]
        faults: list[str | None] = []
        for part in parts:
            faults += [part.fault if part.arrays is None else None] * part.rows
        columns = [self._kept(rows, name) for name in self.plan.keep]
        places = None
        if len(found) < len(parts):
            failed = np.array([fault is not None for fault in faults])
            places = pa.array(np.cumsum(~failed) - 1, mask=failed)
        for index, output in enumerate(self.outputs):
            kind = self.schema.field(output.name).type
            if not found:
                columns.append(pa.nulls(rows.num_rows, kind))
                continue
            arrays = [part.arrays[index] for part in found if part.arrays is not None]
            array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
            column = to_column(array, output.datatype, not pa.types.is_list(kind))
            columns.append(column if places is None else column.take(places))
        columns.append(pa.array(faults, pa.string()))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _kept(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        column, kind = rows.column(name), self.schema.field(name).type
        if column.type == kind:
            return column
        try:
            return column.cast(kind)
        except pa.ArrowException as error:
            raise BadInput(
                f"column {name!r} is {column.type} in some rows and {kind} in others: {error}"
            ) from None

    def _array(self, output: TensorMetadata, answer: Mapping[str, Array], rows: int) -> Array:
        try:
            array = np.asarray(answer[output.name])
        except KeyError as error:
            raise WrongResult(str(error.args[0])) from None
        if not self.plan.batched:
            array = array[None]
        want = _row(output, self.plan)
        if array.shape[:1] != (rows,) or not _fits(array.shape[1:], want):
            raise WrongResult(
                f"output {output.name!r} has the shape {list(array.shape)} for {rows} rows, "
                f"expected {list(output.shape)}"
            )
        if (array.dtype == object) != (output.datatype == "BYTES"):
            raise WrongResult(f"output {output.name!r} is not {output.datatype}")
        kind = NUMPY.get(output.datatype if output.datatype != "BF16" else "FP32")
        if kind is None or array.dtype in (kind, np.dtype(object)):
            return array
        if not np.can_cast(array.dtype, kind, "safe"):
            raise WrongResult(f"output {output.name!r} is {array.dtype}, not {output.datatype}")
        return array.astype(kind)


def _fits(shape: Sequence[int], want: Sequence[int]) -> bool:
    return len(shape) == len(want) and all(
        size in (-1, given) for size, given in zip(want, shape, strict=True)
    )


def make_results(
    plan: Plan, kept: Mapping[str, pa.DataType], outputs: Sequence[str] | None
) -> Results:
    """Return the columns of the output.

    Args:
        kept: the types of the kept columns.
        outputs: names of outputs; None for all.

    Raises:
        BadInput: an output is not the model's, or two columns would have one name.
    """
    chosen = _outputs(plan.spec, outputs)
    fields = [pa.field(name, kept[name]) for name in plan.keep]
    fields += [_field(each, _row(each, plan)) for each in chosen]
    fields.append(pa.field(ERROR, pa.string()))
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(
                f"the output would have two columns named {name!r}; leave the input's column out "
                "of those to keep, or rename it"
            )
    return Results(chosen, pa.schema(fields), plan)


def _field(output: TensorMetadata, shape: tuple[int, ...]) -> pa.Field:
    """Return the column of an output; its metadata has the shape, which CSV needs."""
    text = ",".join(map(str, shape))
    return pa.field(output.name, column_type(output.datatype, shape), metadata={SHAPE: text})


def _row(output: TensorMetadata, plan: Plan) -> tuple[int, ...]:
    return tuple(output.shape[1:] if plan.batched else output.shape)


def _outputs(spec: ModelSpec, names: Sequence[str] | None) -> tuple[TensorMetadata, ...]:
    if not spec.outputs:
        raise BadInput(f"the server does not tell the outputs of model {spec.name!r}")
    for output in spec.outputs.values():
        if output.datatype not in LEAVES or len(output.shape) > DEEPEST:
            raise BadInput(
                f"output {output.name!r} of model {spec.name!r} is {output.datatype} in "
                f"{len(output.shape)} dimensions, which no column can hold"
            )
    if names is None:
        return tuple(spec.outputs.values())
    for name in names:
        if name not in spec.outputs:
            raise BadInput(
                f"model {spec.name!r} has no output {name!r}; its outputs are "
                f"{', '.join(spec.outputs)}{meant(name, spec.outputs)}"
            )
    return tuple(spec.outputs[name] for name in names)
