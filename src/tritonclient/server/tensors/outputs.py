"""Outputs of requests: which are requested, and their encoding."""

from __future__ import annotations

from collections.abc import Iterable

from ... import datatypes
from ...codec.parameter_checks import unsigned
from ...errors import Internal, InvalidArgument
from ...messages import Infer, InferTensor, RequestedOutput
from ..jobs.model_info import ModelInfo
from ..jobs.tensor import Tensor
from .classification import classify
from .shared_memory import Regions


def check(model: ModelInfo, names: Iterable[str]) -> None:
    """Raise InvalidArgument if the model lacks one of these outputs."""
    for name in names:
        if name not in model.outputs:
            raise InvalidArgument(
                f"unexpected inference output '{name}' for model '{model.name}'", "400"
            )


def requested(model: ModelInfo, request: Infer) -> dict[str, RequestedOutput]:
    """Return the requested outputs by name; all outputs if the request names none.

    Raises:
        ServerError: the model has no such output, or its parameters are invalid.
    """
    if not request.outputs:
        return {name: RequestedOutput(name, binary=request.binary) for name in model.outputs}
    for output in request.outputs:
        unsigned("classification", output.classes)
        check(model, [output.name])
    return {output.name: output for output in request.outputs}


def encode(
    model: ModelInfo, tensor: Tensor, requested: RequestedOutput, regions: Regions
) -> InferTensor:
    """Return an output in the requested form: binary, JSON, shared memory or classification.

    Raises:
        ServerError: the output cannot have that form.
    """
    array = tensor.array
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
