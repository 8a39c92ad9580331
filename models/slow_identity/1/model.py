"""Answers INPUT0 as OUTPUT0 after DELAY_MS milliseconds (10 s at most), or stops when cancelled."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import time

import triton_python_backend_utils as pb_utils

LONGEST = 10.0
STEP = 0.01


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        delay = pb_utils.get_input_tensor_by_name(request, "DELAY_MS").as_numpy().item() / 1000
        end = time.monotonic() + min(delay, LONGEST)
        while (left := end - time.monotonic()) > 0:
            if request.is_cancelled():  # a caller that gave up must not keep the instance busy
                error = pb_utils.TritonError(
                    "request was cancelled", pb_utils.TritonError.CANCELLED
                )
                return pb_utils.InferenceResponse(error=error)
            time.sleep(min(left, STEP))
        tensor = pb_utils.get_input_tensor_by_name(request, "INPUT0")
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", tensor.as_numpy())])
