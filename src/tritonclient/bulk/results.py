"""Results of a model as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..client.model_spec import ModelSpec
from ..client.suggestions import meant
from ..datatypes import Array
from ..messages import TensorMetadata
from .arrays import column_type, to_column
from .faults import BadInput
from .plan import Plan

#: The column that says why a row has no result.
ERROR = "error"
#: The key of an output's shape, without the batch, in the metadata of its column.
SHAPE = "tritonclient.shape"


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

    def batch(self, rows: pa.RecordBatch, answer: Mapping[str, Array]) -> pa.RecordBatch:
        """Return the rows with what the model answered for them.

        Raises:
            WrongResult: the answer is not what the model's metadata promises.
        """
        columns = [rows.column(name) for name in self.plan.keep]
        for output in self.outputs:
            columns.append(self._column(output, answer, rows.num_rows))
        columns.append(pa.nulls(rows.num_rows, pa.string()))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def failed(self, rows: pa.RecordBatch, fault: str) -> pa.RecordBatch:
        """Return the rows with nulls for outputs, and why they have none."""
        count = rows.num_rows
        columns = [rows.column(name) for name in self.plan.keep]
        for output in self.outputs:
            columns.append(pa.nulls(count, self.schema.field(output.name).type))
        text = fault.encode("utf-8", "backslashreplace").decode()
        columns.append(pa.array([text] * count, pa.string()))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _column(self, output: TensorMetadata, answer: Mapping[str, Array], rows: int) -> pa.Array:
        try:
            array = np.asarray(answer[output.name])
        except KeyError as error:
            raise WrongResult(str(error.args[0])) from None
        if not self.plan.batched:
            array = array[None]
        kind = self.schema.field(output.name).type
        scalar = not pa.types.is_list(kind)
        shape = _row(output, self.plan)
        if (
            array.shape[:1] != (rows,)
            or array.ndim != len(shape) + 1
            or (scalar and array.size != rows)
        ):
            raise WrongResult(
                f"output {output.name!r} has the shape {list(array.shape)} for {rows} rows, "
                f"expected {list(output.shape)}"
            )
        try:
            return to_column(array, output.datatype, scalar)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise WrongResult(f"output {output.name!r} can't be stored: {error}") from None


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
    if names is None:
        return tuple(spec.outputs.values())
    for name in names:
        if name not in spec.outputs:
            raise BadInput(
                f"model {spec.name!r} has no output {name!r}; its outputs are "
                f"{', '.join(spec.outputs)}{meant(name, spec.outputs)}"
            )
    return tuple(spec.outputs[name] for name in names)
