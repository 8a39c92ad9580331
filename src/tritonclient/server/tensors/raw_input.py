"""Raw binary requests: a body that is the data of the only input, described by the model.

Source: Triton's binary tensor data extension, "Raw Binary Request". The texts are Triton's.
"""

from __future__ import annotations

import struct
from typing import NoReturn

from ... import datatypes
from ...errors import InvalidArgument
from ...messages import InferTensor
from ..config.specification import Specification
from ..jobs.model_info import ModelInfo


def described(model: ModelInfo, raw: InferTensor) -> InferTensor:
    """Return the input with the name and datatype of the model's input, and the shape of the data.

    Raises:
        InvalidArgument: the model has several inputs, or the data does not fit its shape.
    """
    if len(model.inputs) != 1:
        _refuse(
            f"Raw request must only have 1 input (found 1) to be deduced but got "
            f"{len(model.inputs)} inputs in '{model.name}' model configuration"
        )
    expected = next(iter(model.inputs.values()))
    data = raw.data or b""
    shape = _shape(expected, len(data))
    if expected.datatype == "BYTES":
        data = struct.pack("<I", len(data)) + bytes(data)
    batch = (1,) if model.batches else ()
    size = datatypes.byte_size(expected.datatype, datatypes.element_count(shape))
    if size is not None and size != len(data):
        _refuse(
            f"input byte size mismatch for input 'raw_input' for model '{model.name}'. "
            f"Expected {size}, got {len(data)}"
        )
    return InferTensor(expected.name, expected.datatype, batch + shape, data)


def _shape(expected: Specification, size: int) -> tuple[int, ...]:
    """Return the shape without the batch; one variable dimension is as large as the data."""
    if expected.shape.count(-1) > 1:
        _refuse(
            f"The shape of the raw input '{expected.name}' can not be deduced because there are "
            "more than one variable-sized dimension"
        )
    if expected.datatype == "BYTES":
        if expected.shape != (1,):
            _refuse(
                f"For BYTE datatype raw input '{expected.name}', the model must have input shape "
                "[1]"
            )
        return (1,)
    count = datatypes.element_count([each for each in expected.shape if each != -1])
    row = datatypes.byte_size(expected.datatype, count) or 1
    return tuple(size // row if each == -1 else each for each in expected.shape)


def _refuse(text: str) -> NoReturn:
    raise InvalidArgument(f"[request id: <id_unknown>] {text}", "400")
