"""Inputs of requests: checked against the model's interface, decoded and reshaped.

The checks follow Triton's order and use its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeAlias

from ... import datatypes
from ...codec.rest_request import RawInput
from ...errors import InvalidArgument
from ...messages import Infer, InferTensor
from ..config.specification import Specification
from ..jobs.model_info import ModelInfo
from ..jobs.tensor import Tensor
from . import raw_input
from .shared_memory import Regions

_BATCH_NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be "
    "prepended to each input shape. If you want to specify the full shape including the batch dim "
    "in your input dims config, try setting max_batch_size to zero. See the model configuration "
    "docs for more info on max_batch_size."
)
#: An input of a client's request, or of another model's request.
Given: TypeAlias = "InferTensor | Tensor"


def decode_all(model: ModelInfo, request: Infer, regions: Regions) -> tuple[list[Tensor], int]:
    """Return the inputs of a client's request as the model expects them, and the batch size.

    Args:
        regions: the shared memory that inputs may be in.

    Raises:
        InvalidArgument: the inputs do not fit the model.
        ServerError: the data of an input does not fit its datatype and shape, or is not there.
    """
    id = request.id
    inputs: Sequence[InferTensor] = request.inputs
    if inputs and isinstance(inputs[0], RawInput):
        inputs = [raw_input.described(model, inputs[0])]
    batch_size = _check(model, inputs, id)
    tensors = [_reshape(model, _decode(model, each, id, regions)) for each in inputs]
    return tensors, batch_size


def accept_all(model: ModelInfo, tensors: Sequence[Tensor], id: str) -> tuple[list[Tensor], int]:
    """Return the inputs of another model's request as this model expects them, and the batch size.

    Args:
        id: the request id, for error messages.

    Raises:
        InvalidArgument: the tensors do not fit the model.
    """
    batch_size = _check(model, tensors, id)
    return [_reshape(model, each) for each in tensors], batch_size


def _refuse(id: str, text: str) -> NoReturn:
    raise InvalidArgument(f"[request id: {id or '<id_unknown>'}] {text}", "400")


def _check(model: ModelInfo, tensors: Sequence[Given], id: str) -> int:
    """Check everything but the data. Return the batch size, 1 for models without a batch."""
    _check_names(model, tensors, id)
    batch_size = _batch_size(model, tensors, id) if model.batches else 1
    for tensor in tensors:
        _check_input(model, model.inputs[tensor.name], tensor, id)
    return batch_size


def _check_names(model: ModelInfo, tensors: Sequence[Given], id: str) -> None:
    names: dict[str, None] = {}
    for tensor in tensors:
        if tensor.name in names:
            _refuse(id, f"input '{tensor.name}' already exists in request")
        names[tensor.name] = None
    required = [each.name for each in model.inputs.values() if not each.optional]
    if not len(required) <= len(names) <= len(model.inputs):
        expected = (
            f"expected {len(required)} inputs"
            if len(required) == len(model.inputs)
            else f"expected number of inputs between {len(required)} and {len(model.inputs)}"
        )
        missing = [name for name in required if name not in names]
        _refuse(
            id,
            f"{expected} but got {len(names)} inputs for model '{model.name}'. Got input(s) "
            f"{_quoted(names)}, but missing required input(s) {_missing(missing)}. Please provide "
            "all required input(s).",
        )
    for name in names:
        if name not in model.inputs:
            raise InvalidArgument(
                f"unexpected inference input '{name}' for model '{model.name}'", "400"
            )
    for name in () if model.counts_inputs else required:
        if name not in names:
            _refuse(id, f"input '{name}' is required for model '{model.name}'")


def _quoted(names: Iterable[str]) -> str:
    return f"[{','.join(repr(name) for name in names)}]"


def _missing(names: Sequence[str]) -> str:
    return _quoted(names) if names else "]"  # as Triton writes it


def _batch_size(model: ModelInfo, tensors: Sequence[Given], id: str) -> int:
    batch_size = 1
    for index, tensor in enumerate(tensors):
        if not tensor.shape:
            _refuse(
                id,
                f"input '{tensor.name}' has no shape but model requires batch dimension for "
                f"'{model.name}'",
            )
        if index and tensor.shape[0] != batch_size:
            _refuse(
                id,
                f"input '{tensor.name}' batch size does not match other inputs for '{model.name}'",
            )
        batch_size = tensor.shape[0]
    if batch_size > model.max_batch_size:
        _refuse(
            id,
            f"inference request batch-size must be <= {model.max_batch_size} for '{model.name}'",
        )
    return batch_size


def _check_input(model: ModelInfo, expected: Specification, tensor: Given, id: str) -> None:
    if tensor.datatype != expected.datatype:
        _refuse(
            id,
            f"inference input '{tensor.name}' data-type is '{tensor.datatype}', but model "
            f"'{model.name}' expects '{expected.datatype}'",
        )
    shape = (-1, *expected.shape) if model.batches else expected.shape
    fits = expected.any_shape or (
        len(shape) == len(tensor.shape)
        and all(
            size == given or -1 in (size, given)
            for size, given in zip(shape, tensor.shape, strict=True)
        )
    )
    if not fits:
        _refuse(
            id,
            f"unexpected shape for input '{tensor.name}' for model '{model.name}'. Expected "
            f"{_shape(shape)}, got {_shape(tensor.shape)}. {_BATCH_NOTE if model.batches else ''}",
        )
    if any(size < 0 for size in tensor.shape):
        _refuse(
            id,
            f"All input dimensions should be specified for input '{tensor.name}' for model "
            f"'{model.name}', got {_shape(tensor.shape)}",
        )
    if model.batches and tensor.shape[0] == 0:
        count = datatypes.element_count(tensor.shape[1:])
        size = datatypes.byte_size(tensor.datatype, count) or 4 * count
        _refuse(id, _size_mismatch(model, tensor, size, 0))


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _size_mismatch(model: ModelInfo, tensor: Given, expected: int, got: int) -> str:
    return (
        f"input byte size mismatch for input '{tensor.name}' for model '{model.name}'. "
        f"Expected {expected}, got {got}"
    )


def _decode(model: ModelInfo, tensor: InferTensor, id: str, regions: Regions) -> Tensor:
    """Return an input with its data as an array, in the shape of the request."""
    data = regions.input_data(tensor)
    count = datatypes.element_count(tensor.shape)
    size = datatypes.byte_size(tensor.datatype, count)
    if size is not None and len(data) != size:
        _refuse(id, _size_mismatch(model, tensor, size, len(data)))
    kind = "UINT16" if tensor.datatype == "BF16" else tensor.datatype
    try:
        array = datatypes.unpack(data, kind, tensor.shape)
    except ValueError as error:
        if size is None:
            _refuse_strings(model, tensor, data, id)
        _refuse(id, f"input '{tensor.name}' of shape {_shape(tensor.shape)}: {error}")
    return Tensor(tensor.name, tensor.datatype, array)


def _reshape(model: ModelInfo, tensor: Tensor) -> Tensor:
    """Return an input in the shape of its `reshape`; variable dimensions keep their sizes."""
    expected = model.inputs[tensor.name]
    if expected.reshape is None:
        return tensor
    shape = tensor.array.shape
    batch, sizes = (shape[:1], shape[1:]) if model.batches else ((), shape)
    variable = iter([n for size, n in zip(expected.shape, sizes, strict=True) if size == -1])
    inner = tuple(next(variable) if size == -1 else size for size in expected.reshape)
    return tensor._replace(array=tensor.array.reshape(batch + inner))


def _refuse_strings(model: ModelInfo, tensor: Given, data: datatypes.Buffer, id: str) -> NoReturn:
    """Refuse the data of a BYTES input that is not as many strings as its shape says."""
    of = f"for inference input '{tensor.name}'"
    view, count, position, length = memoryview(data), 0, 0, 0
    expected = datatypes.element_count(tensor.shape)
    while position < len(view):
        if count == expected:
            _refuse(
                id,
                f"unexpected number of string elements {count + 1} {of} for model "
                f"'{model.name}', expecting {expected}",
            )
        if position + 4 > len(view):
            _refuse(
                id,
                f"incomplete string length indicator {of} for model '{model.name}', expecting 4 "
                f"bytes but only {len(view) - position} bytes available. Please make sure the "
                "string length indicator is in one buffer.",
            )
        length = int.from_bytes(view[position : position + 4], "little")
        position += 4 + length
        count += 1
    if count != expected:
        _refuse(
            id, f"expected {expected} string elements {of} for model '{model.name}', got {count}"
        )
    raise InvalidArgument(
        f"incomplete string data {of}, expecting string of length {length} but only "
        f"{length - (position - len(view))} bytes available",
        "400",
    )
