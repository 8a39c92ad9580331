"""Every datatype there and back."""

import sys

import ml_dtypes
import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.utils import np_to_triton_dtype

client = grpcclient.InferenceServerClient(sys.argv[1])
kinds = [bool, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
kinds += [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
for kind in kinds:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(kind)
    datatype = np_to_triton_dtype(array.dtype)
    for each in (array, array[:0], array[:, :1], np.asfortranarray(array), array[::-1]):
        tensor = grpcclient.InferInput(f"INPUT_{datatype}", each.shape, datatype)
        tensor.set_data_from_numpy(each)
        output = client.infer("echo", [tensor]).as_numpy(f"OUTPUT_{datatype}")
        print(datatype, output.dtype, output.shape, output.tolist())

for items in ([b"a", b"", b"\xff\0"], ["a", "\u00e4"], [1, None, 2.5], []):
    array = np.array(items, dtype=np.object_)
    tensor = grpcclient.InferInput("INPUT0", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array)
    result = client.infer("identity_bytes", [tensor])
    print(result.as_numpy("OUTPUT0").tolist(), result.get_response().raw_output_contents)
array = np.array([b"fixed", b"w"])
tensor = grpcclient.InferInput("INPUT0", [2], "BYTES").set_data_from_numpy(array)
print(client.infer("identity_bytes", [tensor]).as_numpy("OUTPUT0").tolist())
