"""Requests made of the data: tensors of steps put together to batches, and encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...datatypes import Buffer
from ...messages import Infer, InferTensor, Parameter, RequestedOutput
from ..data.dataset import Dataset, Step
from ..data.model import ModelInfo
from ..exits import SetupError
from ..options.settings import Settings

#: Parameter by which a decoupled model's end of responses is told.
_FINAL = "triton_enable_empty_final_response"


def make(
    model: ModelInfo, data: Dataset, settings: Settings
) -> tuple[list[Infer], list[Mapping[str, Buffer]] | None]:
    """The different requests, and the outputs that are expected of each, if any are.

    Request k holds the steps k*b to k*b+b-1 for a batch of b, modulo their number.
    """
    steps = data.steps
    batch = settings.batch_size
    count = len(steps) // math.gcd(len(steps), batch)
    parameters: dict[str, Parameter] = {
        each.name: each.value for each in settings.request_parameter
    }
    if model.decoupled and settings.streaming:
        parameters[_FINAL] = True
    requests: list[Infer] = []
    expected: list[Mapping[str, Buffer]] = []
    for number in range(count):
        chosen = [steps[(number * batch + index) % len(steps)] for index in range(batch)]
        requests.append(
            Infer(
                model=settings.model_name,
                version=settings.model_version,
                inputs=_inputs(chosen, model, settings),
                outputs=_outputs(model, settings),
                parameters=parameters,
                binary=settings.output_tensor_format == "binary",
            )
        )
        expected.append(
            {
                name: b"".join(step.expected[name].data for step in chosen if name in step.expected)
                for name in chosen[0].expected
            }
        )
    return requests, expected if any(expected) else None


def _inputs(steps: Sequence[Step], model: ModelInfo, settings: Settings) -> tuple[InferTensor, ...]:
    first = steps[0].inputs
    for step in steps[1:]:
        if step.inputs.keys() != first.keys():
            raise SetupError(
                f"the steps of a batch have different inputs: {', '.join(first)} and "
                f"{', '.join(step.inputs)}"
            )
    binary = settings.input_tensor_format == "binary"
    tensors = []
    for name in model.inputs:
        if name not in first:
            continue
        tensor = first[name]
        for step in steps[1:]:
            if step.inputs[name].shape != tensor.shape:
                raise SetupError(
                    f"the steps of a batch have different shapes of input {name!r}: "
                    f"{list(tensor.shape)} and {list(step.inputs[name].shape)}"
                )
        shape = (len(steps), *tensor.shape) if model.max_batch_size else tensor.shape
        data: Buffer = tensor.data
        if len(steps) > 1:
            data = b"".join(step.inputs[name].data for step in steps)
        tensors.append(InferTensor(name, tensor.datatype, shape, data, binary=binary))
    return tuple(tensors)


def _outputs(model: ModelInfo, settings: Settings) -> tuple[RequestedOutput, ...]:
    # Named one by one only where that says more than "all of them".
    if settings.grpc or settings.output_tensor_format == "binary":
        return ()
    return tuple(RequestedOutput(name, binary=False) for name in model.outputs)
