"""The classification extension: the top classes of an output instead of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...datatypes import Array
from ...errors import InvalidArgument
from ..jobs.tensor import Tensor

_FLOATS = ("FP32", "FP64")
_INTEGERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")


def classify(tensor: Tensor, batched: bool, count: int, labels: Sequence[str]) -> Array:
    """Return the `count` highest elements as `value:index[:label]`, highest first.

    The result has shape [batch, count] if the tensor is batched, else [count]. Equal values are
    ordered by index.

    Raises:
        InvalidArgument: the datatype is not numeric.
    """
    if tensor.datatype not in (*_FLOATS, *_INTEGERS):
        raise InvalidArgument(
            f"class result not available for output due to unsupported type '{tensor.datatype}'",
            "400",
        )
    rows = tensor.array.reshape(tensor.array.shape[0] if batched else 1, -1)
    count = min(count, rows.shape[1])
    texts: Array = np.empty((rows.shape[0], count), object)
    for row, values in enumerate(rows):
        # Stable on the reversed row, then reversed: descending, ties by ascending index.
        order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        for column, index in enumerate(order[:count].tolist()):
            texts[row, column] = _text(tensor.datatype, values[index].item(), index, labels)
    return texts if batched else texts[0]


def _text(datatype: str, value: float, index: int, labels: Sequence[str]) -> bytes:
    number = f"{value:f}" if datatype in _FLOATS else f"{value:d}"
    label = labels[index] if index < len(labels) else ""
    return (f"{number}:{index}:{label}" if label else f"{number}:{index}").encode()
