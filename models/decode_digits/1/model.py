"""Makes of image files (PNG, JPEG ...) what `digits` takes: grey, 8x8, from -1 to 1."""

from __future__ import annotations  # the classes of pb_utils do not exist yet at import

import io

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image

SIZE = (8, 8)


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        files = pb_utils.get_input_tensor_by_name(request, "FILE").as_numpy()
        try:
            images = [decode(file) for file in files.ravel()]
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            text = f"an image can't be read: {error}"
            error = pb_utils.TritonError(text, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        batch = np.stack(images)[:, np.newaxis]
        return pb_utils.InferenceResponse([pb_utils.Tensor("IMAGE", batch)])


def decode(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as image:
        pixels = image.convert("L").resize(SIZE, Image.Resampling.BILINEAR)
    return np.asarray(pixels, np.float32) / 127.5 - 1
