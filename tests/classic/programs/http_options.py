"""Everything that may go along with an inference request."""

import sys

import numpy as np

import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(
    sys.argv[1], False, 2, connection_timeout=30.0, network_timeout=30.0, max_greenlets=2
)
array = np.linspace(0, 1, 5000, dtype=np.float32)
tensor = httpclient.InferInput("INPUT0", array.shape, "FP32").set_data_from_numpy(array)
as_json = httpclient.InferInput("INPUT0", array.shape, "FP32")
as_json.set_data_from_numpy(array, binary_data=False)
for request_coding in (None, "gzip", "deflate"):
    for response_coding in (None, "gzip", "deflate"):
        for each in (tensor, as_json):
            result = client.infer(
                "identity_fp32",
                [each],
                request_compression_algorithm=request_coding,
                response_compression_algorithm=response_coding,
            )
            output = result.as_numpy("OUTPUT0")
            print(request_coding, response_coding, output.shape, (output == array).all())

a = httpclient.InferInput("INPUT0", [1, 16], "INT32")
b = httpclient.InferInput("INPUT1", [1, 16], "INT32")
a.set_data_from_numpy(np.ones((1, 16), np.int32))
b.set_data_from_numpy(np.ones((1, 16), np.int32))
for options in (
    {"request_id": 'a "b" \u00fc'},
    {"sequence_id": 7, "sequence_start": True, "sequence_end": True},
    {"sequence_id": "seven", "sequence_end": True},
    {"sequence_start": True},
    {"priority": 1},
    {"timeout": 1_000_000},
    {"timeout": 0},
    {"headers": {"x-test": "1"}},
    {"query_params": {"a": [1, 2], "b": "c d"}},
    {"parameters": {"text": "x", "number": 3, "flag": False}},
):
    try:
        result = client.infer("simple", [a, b], **options)
        print(list(options), result.get_response().get("id"), result.as_numpy("OUTPUT0").sum())
    except httpclient.InferenceServerException as error:
        print(list(options), error)

# Classification.
image = httpclient.InferInput("IMAGE", [2, 1, 8, 8], "FP32")
image.set_data_from_numpy(np.zeros((2, 1, 8, 8), dtype=np.float32))
for binary in (True, False):
    output = httpclient.InferRequestedOutput("PROBABILITIES", binary_data=binary, class_count=3)
    print(client.infer("digits", [image], outputs=[output]).as_numpy("PROBABILITIES"))
