"""BYTES tensors from whatever may stand for texts."""

import sys

import numpy as np

import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(sys.argv[1])


def echo(array, binary_in, binary_out):
    tensor = httpclient.InferInput("INPUT0", array.shape, "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    output = httpclient.InferRequestedOutput("OUTPUT0", binary_data=binary_out)
    return client.infer("identity_bytes", [tensor], outputs=[output]).as_numpy("OUTPUT0")


ARRAYS = [
    np.array([b"a", b"", b"bc"], dtype=object),
    np.array(["a", "\u00e4\u20ac", ""], dtype=object),
    np.array([b"one", b"two"]),
    np.array([1, 2.5, None, True], dtype=object),
    np.array([], dtype=object),
    np.array([str(n).encode("utf-8") for n in range(100)], dtype=np.object_),
]
for array in ARRAYS:
    for binary_in in (True, False):
        for binary_out in (True, False):
            result = echo(array, binary_in, binary_out)
            print(result.dtype, result.shape, [(type(x).__name__, x) for x in result.tolist()])

print(echo(np.array([b"\x00\xff", b"a\x00"], dtype=object), True, True).tolist())
try:
    echo(np.array([b"\x00\xff"], dtype=object), False, True)
except httpclient.InferenceServerException as error:
    print(error)

# A model that calculates with texts.
a = np.array([[str(n).encode() for n in range(16)]], dtype=np.object_)
inputs = [httpclient.InferInput(f"INPUT{n}", [1, 16], "BYTES") for n in range(2)]
inputs[0].set_data_from_numpy(a, binary_data=True)
inputs[1].set_data_from_numpy(a, binary_data=False)
results = client.infer("simple_string", inputs)
print([int(x) for x in results.as_numpy("OUTPUT0")[0]], results.as_numpy("OUTPUT1").tolist())
