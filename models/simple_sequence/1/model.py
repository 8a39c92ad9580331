"""Answers INPUT as OUTPUT, and one more for the first request of a sequence."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        value, start = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in ("INPUT", "START")
        )
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", value + start)])
