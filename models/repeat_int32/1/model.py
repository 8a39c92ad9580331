"""Answers each element of IN with a response of its own: OUT, DELAY milliseconds after the last.

The next request is taken after WAIT milliseconds, while responses to this one may still come. No
pause is longer than 10 s, and none goes on when the request is cancelled.
"""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

LONGEST = 10.0
STEP = 0.01


class TritonPythonModel:
    def execute(self, requests: list) -> None:
        for request in requests:
            sender = request.get_response_sender()
            values, delays, (wait,) = (_values(request, name) for name in ("IN", "DELAY", "WAIT"))
            threading.Thread(target=_respond, args=(sender, values, delays)).start()
            _pause(sender, wait)


def _values(request: pb_utils.InferenceRequest, name: str) -> list[int]:
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy().tolist()


def _respond(
    sender: pb_utils._InferenceResponseSender, values: list[int], delays: list[int]
) -> None:
    for value, delay in zip(values, delays, strict=False):
        _pause(sender, delay)
        if sender.is_cancelled():
            break
        tensor = pb_utils.Tensor("OUT", np.array([value], np.int32))
        sender.send(pb_utils.InferenceResponse([tensor]))
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _pause(sender: pb_utils._InferenceResponseSender, milliseconds: int) -> None:
    end = time.monotonic() + min(milliseconds / 1000, LONGEST)
    while (left := end - time.monotonic()) > 0 and not sender.is_cancelled():
        time.sleep(min(left, STEP))
