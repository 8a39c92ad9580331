"""Answers the sum of a sequence so far, and adds its id, the text of a number, to the last."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict) -> None:
        self._sums: dict[str, int] = {}

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        value, start, end = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().item()
            for name in ("INPUT", "START", "END")
        )
        # Not a control input: Triton's Python backend can't read one of texts.
        corrid = request.correlation_id()
        answer = value + (0 if start else self._sums.get(corrid, 0))
        self._sums[corrid] = answer
        if end:
            del self._sums[corrid]
            answer += int(corrid)
        output = np.array([[answer]], np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", output)])
