"""Datatypes by numpy's names, and the packing of texts."""

import numpy as np

import tritonclient.utils as utils

for name in (
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16",
    "FP32", "FP64", "BF16", "BYTES", "NOTHING",
):  # fmt: skip
    print(name, utils.triton_to_np_dtype(name))
for kind in (
    bool, np.int8, np.int64, np.uint16, np.float16, np.float32, np.float64, np.object_,
    np.dtype("S5"), np.dtype("int32"), np.array([1]).dtype, np.dtype("complex64"),
):  # fmt: skip
    print(kind, utils.np_to_triton_dtype(kind))

for array in (
    np.array([b"a", b"bc"], dtype=object),
    np.array([["a", "\u00e4"], [1, None]], dtype=object),
    np.array([b"abc", b"d"]),
    np.array([], dtype=object),
):
    packed = utils.serialize_byte_tensor(array)
    print(packed.shape, packed.dtype, utils.serialized_byte_size(packed))
    if packed.size:
        print(packed.item(), utils.deserialize_bytes_tensor(packed.item()).tolist())

print(utils.TRITON_RESERVED_REQUEST_PARAMS, utils.TRITON_RESERVED_REQUEST_PARAMS_PREFIX)
error = utils.InferenceServerException("words", status="404", debug_details={"a": 1})
print(error, error.message(), error.status(), error.debug_details())
print(utils.InferenceServerException(msg="words"))
for function, argument in (
    (utils.raise_error, "words"),
    (utils.serialize_byte_tensor, np.zeros(2)),
    (utils.serialized_byte_size, np.zeros(2)),
):
    try:
        function(argument)
    except utils.InferenceServerException as error:
        print(error)
