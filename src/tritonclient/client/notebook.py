"""How results and interfaces look in notebooks, and results as tables of pandas."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..datatypes import Array
from ..messages import InferTensor
from .signatures import explains_arguments

#: Longest text of an output's values in a table, in characters.
_EXCERPT = 200


@explains_arguments
class NotebookResult:
    """What `InferResult` offers notebooks; a base class of it alone."""

    __slots__ = ()
    model_name: Any
    model_version: Any

    @property
    @abstractmethod
    def _tensors(self) -> dict[str, InferTensor]: ...

    def __repr__(self) -> str:
        outputs = ", ".join(
            f"{t.name}: {t.datatype}{list(t.shape)}" for t in self._tensors.values()
        )
        return f"<InferResult of {self._model()}: {outputs or 'no outputs'}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        # Without this, numpy would make an array of the names.
        name = next(iter(self._tensors), "OUTPUT")
        raise TypeError(
            f"a result is a mapping of names to arrays: result[{name!r}] is an array, "
            "result.to_pandas() a table"
        )

    def _model(self) -> str:
        version = f" version {self.model_version}" if self.model_version else ""
        return f"{self.model_name}{version}"

    def _repr_html_(self) -> str:
        """Return the outputs as an HTML table."""
        rows = [
            (name, tensor.datatype, str(list(tensor.shape)), self._excerpt(name))
            for name, tensor in self._tensors.items()
        ]
        return html_table(
            f"Result of {self._model()}", ("Output", "Datatype", "Shape", "Values"), rows
        )

    def _excerpt(self, name: str) -> str:
        try:
            array = self[name]  # type: ignore[index]  # of the subclass
        except Exception as error:  # a table should not fail because of one output
            return f"({error})"
        text = np.array2string(array, threshold=20, edgeitems=3)
        return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."

    def _ipython_key_completions_(self) -> list[str]:
        """Return what completes `result["`."""
        return list(self._tensors)

    def to_pandas(self) -> Any:
        """Return the outputs as a `pandas.DataFrame` with a row for each element of the batch.

        An output of shape [n] or [n, 1] is a column of its name, one of shape [n, k] the columns
        name_0 to name_k-1. BYTES become str where they are UTF-8.

        Raises:
            ImportError: pandas is not installed.
            ValueError: the outputs have no rows in common, or one has more than two dimensions.
        """
        try:
            import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError as error:
            raise ImportError(
                f"to_pandas needs pandas ({error}): pip install pandas", name=error.name
            ) from error
        columns: dict[str, Array] = {}
        for name, tensor in self._tensors.items():
            if len(tensor.shape) not in (1, 2):
                raise ValueError(
                    f"output {name!r} has the shape {list(tensor.shape)}, which makes no columns; "
                    "expected one or two dimensions"
                )
            columns.update(_columns(name, self[name]))  # type: ignore[index]
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(
                f"the outputs differ in their number of rows: {counts}; ask for those of one "
                "table: outputs=[...] of the call"
            )
        return pandas.DataFrame(columns)


def _columns(name: str, array: Array) -> dict[str, Array]:
    if array.dtype == object:
        texts: Array = np.empty(array.size, object)
        texts[:] = [_text(item) for item in array.ravel()]
        array = texts.reshape(array.shape)
    if array.ndim == 1 or array.shape[1] == 1:
        return {name: array.reshape(len(array))}
    return {f"{name}_{index}": array[:, index] for index in range(array.shape[1])}


def _text(item: bytes) -> str | bytes:
    try:
        return item.decode()
    except UnicodeDecodeError:
        return item


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in HTML; all texts are escaped."""
    from html import escape  # its table of entities takes a millisecond to import

    names = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [
        "<tr>" + "".join(f"<td><pre>{escape(cell)}</pre></td>" for cell in row) + "</tr>"
        for row in rows
    ]
    body = "".join(lines)
    caption = f"<caption>{escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
