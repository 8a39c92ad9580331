"""The meaning of gRPC inference messages according to protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

from tests.support import strategies
from tritonclient import messages as m
from tritonclient.codec import messages_pb
from tritonclient.datatypes import NUMPY, pack_bytes

ROUND = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
MANY = settings(ROUND, max_examples=300)

REQUEST, ANSWER, STREAM = (
    messages_pb.message(name)
    for name in ("ModelInferRequest", "ModelInferResponse", "ModelStreamInferResponse")
)


def joined(parts):
    return b"".join(parts)


def tensor(name="X", datatype="INT32", shape=(2,), data=b"\1\0\0\0\2\0\0\0", **parameters):
    return m.InferTensor(name, datatype, shape, data, parameters, data is not None)


def parameters_of(message) -> Mapping[str, Any]:
    """Parameters that have a value, as protobuf has them."""
    found = {}
    for name, value in message.parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def typed_data(datatype, contents):
    """Wire bytes of typed contents, as protobuf has them."""
    (values,) = [values for _, values in contents.ListFields()] or [[]]
    if datatype == "BYTES":
        items = np.empty(len(values), object)
        items[:] = list(values)
        return bytes(pack_bytes(items))
    return np.array(list(values), NUMPY[datatype]).tobytes()


def answer_of(message) -> m.InferResponse:
    """Return the meaning of a valid response according to protobuf."""
    raw = iter(message.raw_output_contents)
    outputs = []
    for each in message.outputs:
        typed = each.HasField("contents")
        data = typed_data(each.datatype, each.contents) if typed else next(raw)
        shape, parameters = tuple(each.shape), parameters_of(each)
        outputs.append(m.InferTensor(each.name, each.datatype, shape, data, parameters))
    return m.InferResponse(
        message.model_name,
        message.model_version,
        message.id,
        parameters_of(message),
        tuple(outputs),
    )


def over_grpc(request: m.Infer) -> m.Infer:
    """A request without what only HTTP says."""
    inputs = tuple(each._replace(binary=each.data is not None) for each in request.inputs)
    outputs = tuple(
        each._replace(binary="shared_memory_region" not in each.parameters)
        for each in request.outputs
    )
    parameters = request.parameters
    return m.Infer(request.model, inputs, request.version, outputs, request.id, parameters)


INFERS = strategies.infers().map(over_grpc)
ANSWERS = strategies.ANSWERS_OF_INFER.map(
    lambda answer: answer._replace(
        outputs=tuple(each._replace(binary=each.data is not None) for each in answer.outputs)
    )
)
