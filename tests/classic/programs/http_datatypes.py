"""All datatypes there and back, as binary data and as JSON."""

import sys

import ml_dtypes
import numpy as np

import tritonclient.http as httpclient
from tritonclient.utils import *

KINDS = [
    np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64,
    np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.object_,
]  # fmt: skip

client = httpclient.InferenceServerClient(sys.argv[1])
for kind in KINDS:
    datatype = np_to_triton_dtype(np.dtype(kind))
    print(datatype, triton_to_np_dtype(datatype))
    for shape in ((2, 3), (0, 3), (1, 1)):
        array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
        for binary in (True, False):
            tensor = httpclient.InferInput(f"INPUT_{datatype}", shape, datatype)
            output = httpclient.InferRequestedOutput(f"OUTPUT_{datatype}", binary_data=binary)
            try:
                tensor.set_data_from_numpy(array, binary_data=binary)
                result = client.infer("echo", [tensor], outputs=[output]).as_numpy(output.name())
                print(shape, binary, result.dtype, result.shape, result.tolist())
            except InferenceServerException as error:
                print(shape, binary, error)

# Extremes.
for array in (
    np.array([[2**63 - 1, -(2**63)]], np.int64),
    np.array([[2**64 - 1, 0]], np.uint64),
    np.array([[np.finfo(np.float32).max, np.finfo(np.float32).tiny, 1e-45, -0.0]], np.float32),
    np.array([[np.finfo(np.float64).max, 5e-324, 0.1]], np.float64),
):
    datatype = np_to_triton_dtype(array.dtype)
    for binary in (True, False):
        tensor = httpclient.InferInput(f"INPUT_{datatype}", array.shape, datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        result = client.infer("echo", [tensor]).as_numpy(f"OUTPUT_{datatype}")
        print(datatype, binary, result.tolist(), result.tobytes() == array.tobytes())
