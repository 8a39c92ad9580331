"""Fails every request, with the text of its input MESSAGE."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        message = pb_utils.get_input_tensor_by_name(requests[0], "MESSAGE").as_numpy().item()
        raise pb_utils.TritonModelException(message.decode())
