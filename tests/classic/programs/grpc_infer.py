"""Inference, its results and their messages."""

import sys

import numpy as np

import tritonclient.grpc as grpcclient

client = grpcclient.InferenceServerClient(sys.argv[1])
a = np.arange(16, dtype=np.int32).reshape(1, 16)
inputs = [grpcclient.InferInput(f"INPUT{n}", a.shape, "INT32") for n in range(2)]
for tensor in inputs:
    print(tensor.set_data_from_numpy(a) is tensor, tensor.name(), tensor.datatype())
    print(tensor.shape(), tensor.shape() == [1, 16], len(tensor.shape()), list(tensor.shape()))
    print(tensor._get_tensor(), tensor._get_content())
outputs = [grpcclient.InferRequestedOutput("OUTPUT1"), grpcclient.InferRequestedOutput("OUTPUT0")]
for requested in (None, [], outputs, outputs[:1]):
    result = client.infer("simple", inputs, outputs=requested)
    for name in ("OUTPUT0", "OUTPUT1", "OUTPUT2"):
        array = result.as_numpy(name)
        print(name, None if array is None else (array.dtype, array.shape, array.tolist()))
        print(result.get_output(name))
    response = result.get_response()
    print(response)
    print(result.get_response(as_json=True))
    print([output.name for output in response.outputs], response.model_name, response.id)
    print([len(content) for content in response.raw_output_contents], response.parameters)

# Other shapes of the same input.
for rows in (2, 8):
    stacked = np.repeat(a, rows, 0)
    for tensor in inputs:
        print(tensor.set_shape([rows, 16]) is tensor)
        tensor.set_data_from_numpy(stacked)
    print(client.infer("simple", inputs, request_id="r").as_numpy("OUTPUT0").sum())

# Batches of strings.
words = np.array([str(n).encode() for n in range(16)], dtype=np.object_).reshape(1, 16)
inputs = [grpcclient.InferInput(f"INPUT{n}", [1, 16], "BYTES") for n in range(2)]
for tensor in inputs:
    tensor.set_data_from_numpy(words)
print(client.infer("simple_string", inputs).as_numpy("OUTPUT0").tolist())

# Classification.
image = grpcclient.InferInput("IMAGE", [2, 1, 8, 8], "FP32")
image.set_data_from_numpy(np.zeros((2, 1, 8, 8), dtype=np.float32))
output = grpcclient.InferRequestedOutput("PROBABILITIES", class_count=3)
print(output.name(), output._get_tensor())
print(client.infer("digits", [image], outputs=[output]).as_numpy("PROBABILITIES"))
