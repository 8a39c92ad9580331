"""Inference with tensors as binary data, as JSON, and mixed."""

import sys

import numpy as np

import tritonclient.http as httpclient

a = np.arange(16, dtype=np.int32).reshape(1, 16)
b = np.full((1, 16), 3, dtype=np.int32)


def show(result):
    for name in ("OUTPUT0", "OUTPUT1", "OUTPUT2"):
        array = result.as_numpy(name)
        print(name, None if array is None else (array.dtype, array.shape, array.tolist()))
        print(result.get_output(name))
    print(result.get_response())


with httpclient.InferenceServerClient(sys.argv[1]) as client:
    for first, second in ((True, True), (True, False), (False, False)):
        inputs = [
            httpclient.InferInput("INPUT0", [1, 16], "INT32"),
            httpclient.InferInput("INPUT1", b.shape, "INT32"),
        ]
        print(inputs[0].name(), inputs[0].datatype(), inputs[0].shape(), inputs[1].shape())
        assert inputs[0].set_data_from_numpy(a, binary_data=first) is inputs[0]
        inputs[1].set_data_from_numpy(b, binary_data=second)
        show(client.infer("simple", inputs))
        outputs = [
            httpclient.InferRequestedOutput("OUTPUT1", binary_data=second),
            httpclient.InferRequestedOutput("OUTPUT0", binary_data=first),
        ]
        show(client.infer("simple", inputs, outputs=outputs, request_id="7"))
        show(client.infer("simple", inputs, outputs=outputs[:1], model_version="1"))
        show(client.infer("simple", inputs, outputs=[]))

    # The batch dimension, and an input that is used again with another shape.
    inputs[0].set_shape([2, 16])
    inputs[1].set_shape([2, 16])
    inputs[0].set_data_from_numpy(np.repeat(a, 2, axis=0))
    inputs[1].set_data_from_numpy(np.repeat(b, 2, axis=0))
    show(client.infer("simple", inputs))

    # An array that changes after it was set.
    inputs[0].set_shape([1, 16]).set_data_from_numpy(a)
    inputs[1].set_shape([1, 16]).set_data_from_numpy(b)
    a += 100
    show(client.infer("simple", inputs))
