"""Adds and subtracts numbers that are written as decimal text."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        first, second = (_numbers(request, name) for name in ("INPUT0", "INPUT1"))
        return pb_utils.InferenceResponse(
            [_text("OUTPUT0", first + second), _text("OUTPUT1", first - second)]
        )


def _numbers(request: pb_utils.InferenceRequest, name: str) -> np.ndarray:
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy().astype(np.int64)


def _text(name: str, numbers: np.ndarray) -> pb_utils.Tensor:
    return pb_utils.Tensor(name, numbers.astype(np.bytes_).astype(np.object_))
