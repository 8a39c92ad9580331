"""Answers each INPUT_<datatype> that was sent as OUTPUT_<datatype>, unchanged."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        return pb_utils.InferenceResponse([_echo(tensor) for tensor in request.inputs()])


def _echo(tensor: pb_utils.Tensor) -> pb_utils.Tensor:
    name = tensor.name().replace("INPUT", "OUTPUT")
    if tensor.name() == "INPUT_BF16":  # numpy has no such type, DLPack does
        return pb_utils.Tensor.from_dlpack(name, tensor)
    return pb_utils.Tensor(name, tensor.as_numpy())
