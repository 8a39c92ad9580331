"""From an inference request to its answer: checks, execution, and the outputs as they were asked.

The checks come in Triton's order and use its words.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Sequence
from typing import NoReturn

from .. import datatypes
from ..errors import Cancelled, Internal, InvalidArgument, Unimplemented
from ..messages import Infer, InferResponse, InferTensor, RequestedOutput
from .backends import Call, Tensor
from .classification import classify
from .config import Specification
from .model import Model
from .parameters import check_parameters, unsigned
from .shared_memory import Regions
from .statistics import Durations

_BATCH_NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be "
    "prepended to each input shape. If you want to specify the full shape including the batch dim "
    "in your input dims config, try setting max_batch_size to zero. See the model configuration "
    "docs for more info on max_batch_size."
)


def infer(
    model: Model, request: Infer, regions: Regions, cancelled: threading.Event
) -> InferResponse:
    """Run a model.

    Raises:
        ServerError: the request does not fit the model, or the model failed.
    """
    if model.decoupled:
        raise Unimplemented("doesn't support models with decoupled transaction policy", "501")
    parameters = check_parameters(request.parameters)
    requested = _requested(model, request)
    batch_size = _check_inputs(model, request)
    call = Call(request.id, tuple(requested), parameters, cancelled)
    outputs = _execute(model, request, call, requested, batch_size, regions)
    return InferResponse(
        model_name=model.name,
        model_version=str(model.version),
        id=request.id,
        outputs=outputs,
    )


# Execution


def _execute(
    model: Model,
    request: Infer,
    call: Call,
    requested: dict[str, RequestedOutput],
    batch_size: int,
    regions: Regions,
) -> tuple[InferTensor, ...]:
    """Execute and time the stages; what is not reached counts as 0."""
    times = [time.monotonic_ns()]
    executed = False
    try:
        with model.instance() as instance:
            times.append(time.monotonic_ns())
            if call.cancelled.is_set():  # while it waited for an instance
                raise Cancelled("request was cancelled", "499")
            inputs = [_input(model, tensor, request, regions) for tensor in request.inputs]
            times.append(time.monotonic_ns())
            executed = True
            found = instance.execute(inputs, call)
            times.append(time.monotonic_ns())
        outputs = tuple(
            _output(model, tensor, requested[tensor.name], regions)
            for tensor in found
            if tensor.name in requested
        )
    except BaseException:
        times.append(time.monotonic_ns())
        model.statistics.failed(batch_size, _durations(times), executed=executed)
        raise
    times.append(time.monotonic_ns())
    model.statistics.succeeded(batch_size, _durations(times))
    return outputs


def _durations(times: Sequence[int]) -> Durations:
    stages = [after - before for before, after in itertools.pairwise(times)]
    return Durations(*stages, *[0] * (4 - len(stages)))


# Inputs


def _refuse(request: Infer, text: str) -> NoReturn:
    raise InvalidArgument(f"[request id: {request.id or '<id_unknown>'}] {text}", "400")


def _check_inputs(model: Model, request: Infer) -> int:
    """Check what can be told without the data; the batch size, 1 for models that don't batch."""
    _check_names(model, request)
    batch_size = _batch_size(model, request) if model.batches else 1
    for tensor in request.inputs:
        _check_input(model, model.inputs[tensor.name], tensor, request)
    return batch_size


def _check_names(model: Model, request: Infer) -> None:
    names: dict[str, None] = {}
    for tensor in request.inputs:
        if tensor.name in names:
            _refuse(request, f"input '{tensor.name}' already exists in request")
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
            request,
            f"{expected} but got {len(names)} inputs for model '{model.name}'. Got input(s) "
            f"{_quoted(names)}, but missing required input(s) {_quoted(missing)}. Please provide "
            "all required input(s).",
        )
    for name in names:
        if name not in model.inputs:
            raise InvalidArgument(
                f"unexpected inference input '{name}' for model '{model.name}'", "400"
            )
    for name in required:
        if name not in names:
            _refuse(request, f"input '{name}' is required for model '{model.name}'")


def _quoted(names: Iterable[str]) -> str:
    return f"[{','.join(repr(name) for name in names)}]"


def _batch_size(model: Model, request: Infer) -> int:
    batch_size = 1
    for index, tensor in enumerate(request.inputs):
        if not tensor.shape:
            _refuse(
                request,
                f"input '{tensor.name}' has no shape but model requires batch dimension for "
                f"'{model.name}'",
            )
        if index and tensor.shape[0] != batch_size:
            _refuse(
                request,
                f"input '{tensor.name}' batch size does not match other inputs for '{model.name}'",
            )
        batch_size = tensor.shape[0]
    if batch_size > model.max_batch_size:
        _refuse(
            request,
            f"inference request batch-size must be <= {model.max_batch_size} for '{model.name}'",
        )
    return batch_size


def _check_input(
    model: Model, expected: Specification, tensor: InferTensor, request: Infer
) -> None:
    if tensor.datatype != expected.datatype:
        _refuse(
            request,
            f"inference input '{tensor.name}' data-type is '{tensor.datatype}', but model "
            f"'{model.name}' expects '{expected.datatype}'",
        )
    shape = (-1, *expected.shape) if model.batches else expected.shape
    if len(shape) != len(tensor.shape) or any(
        size not in (-1, given) for size, given in zip(shape, tensor.shape, strict=True)
    ):
        _refuse(
            request,
            f"unexpected shape for input '{tensor.name}' for model '{model.name}'. Expected "
            f"{_shape(shape)}, got {_shape(tensor.shape)}. {_BATCH_NOTE if model.batches else ''}",
        )
    if model.batches and tensor.shape[0] == 0:
        count = datatypes.element_count(tensor.shape[1:])
        size = datatypes.byte_size(tensor.datatype, count) or 4 * count
        _refuse(request, _size_mismatch(model, tensor, size, 0))


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _size_mismatch(model: Model, tensor: InferTensor, expected: int, got: int) -> str:
    return (
        f"input byte size mismatch for input '{tensor.name}' for model '{model.name}'. "
        f"Expected {expected}, got {got}"
    )


def _input(model: Model, tensor: InferTensor, request: Infer, regions: Regions) -> Tensor:
    """An input as the model sees it."""
    data = regions.input_data(tensor)
    count = datatypes.element_count(tensor.shape)
    size = datatypes.byte_size(tensor.datatype, count)
    if size is not None and len(data) != size:
        _refuse(request, _size_mismatch(model, tensor, size, len(data)))
    kind = "UINT16" if tensor.datatype == "BF16" else tensor.datatype
    try:
        array = datatypes.unpack(data, kind, tensor.shape)
    except ValueError as error:
        if size is not None:
            _refuse(request, f"input '{tensor.name}' of shape {_shape(tensor.shape)}: {error}")
        _refuse(
            request,
            f"expected {count} string elements for inference input '{tensor.name}' for model "
            f"'{model.name}', got {_string_elements(data)}",
        )
    expected = model.inputs[tensor.name]
    if expected.reshape is not None:
        shape = _reshaped(expected.reshape, tensor.shape, expected, model.batches)
        array = array.reshape(shape)
    return Tensor(tensor.name, tensor.datatype, array)


def _reshaped(
    reshape: tuple[int, ...], shape: tuple[int, ...], expected: Specification, batches: bool
) -> tuple[int, ...]:
    """The shape that the model sees: its variable dimensions are the given ones, in order."""
    batch, sizes = (shape[:1], shape[1:]) if batches else ((), shape)
    variable = iter([n for size, n in zip(expected.shape, sizes, strict=True) if size == -1])
    return batch + tuple(next(variable) if size == -1 else size for size in reshape)


def _string_elements(data: datatypes.Buffer) -> int:
    """How many elements begin in BYTES data that does not hold as many as it should."""
    view, count, position = memoryview(data), 0, 0
    while position + 4 <= len(view):
        position += 4 + int.from_bytes(view[position : position + 4], "little")
        count += 1
    return count


# Outputs


def _requested(model: Model, request: Infer) -> dict[str, RequestedOutput]:
    if not request.outputs:
        return {name: RequestedOutput(name, binary=request.binary) for name in model.outputs}
    for output in request.outputs:
        unsigned("classification", output.classes)
        if output.name not in model.outputs:
            raise InvalidArgument(
                f"unexpected inference output '{output.name}' for model '{model.name}'", "400"
            )
    return {output.name: output for output in request.outputs}


def _output(
    model: Model, tensor: Tensor, requested: RequestedOutput, regions: Regions
) -> InferTensor:
    """An output in the form that was asked for."""
    array = tensor.array
    reshape = model.outputs[tensor.name].reshape
    if reshape is not None:
        public = model.outputs[tensor.name].shape
        array = array.reshape(array.shape[:1] + public if model.batches else public)
    if requested.classes:
        labels = model.labels.get(tensor.name, ())
        array = classify(tensor, model.batches, requested.classes, labels)
        tensor = Tensor(tensor.name, "BYTES", array)
    try:
        data = datatypes.pack(array, tensor.datatype)
    except ValueError as error:
        raise Internal(f"output '{tensor.name}' of model '{model.name}': {error}", "500") from error
    shape = tuple(map(int, array.shape))
    if regions.takes(requested):
        regions.write_output(requested, data)
        return InferTensor(tensor.name, tensor.datatype, shape, None)
    if not requested.binary and tensor.datatype in ("FP16", "BF16"):
        raise InvalidArgument(
            f"sending {tensor.datatype} data via JSON is not supported. Please use the binary "
            "data format for output",
            "400",
        )
    return InferTensor(tensor.name, tensor.datatype, shape, data, binary=requested.binary)
