"""Serves the ONNX model that lies next to this file, on a server that has no ONNX backend."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the models are tiny, and their many servers share a CPU
        path = Path(__file__).with_name("model.onnx")
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        arrays = self.session.run(self.outputs, inputs)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(*pair) for pair in zip(self.outputs, arrays, strict=True)]
        )
