"""Answers as servers other than Triton write them: KServe's nulls, and numbers of other kinds."""

import json

from tritonclient.http import InferenceServerClient

ANSWER = {"model_name": "m", "model_version": None, "id": None, "parameters": None}
OUTPUTS = [
    {"shape": [2], "datatype": "INT32", "parameters": None, "data": [1, 2]},
    {"shape": [2, 1], "datatype": "FP64", "parameters": {"content_type": "np"}, "data": [[1], [2]]},
    {"shape": [1, 2], "datatype": "INT64", "data": [1.0, -2.0]},
    {"shape": [3], "datatype": "FP32", "data": [None, 1.5, 3]},
    {"shape": [2], "datatype": "BOOL", "data": [1, 0]},
    {"shape": [2], "datatype": "BYTES", "data": [{"label": "cat", "score": 0.5}, 7]},
    {"shape": [-1, 2], "datatype": "UINT8", "data": [1, 2, 3, 4]},
    {"shape": [2], "datatype": "STRING", "data": ["a", "b"]},
    {"shape": [2], "datatype": "FP32", "data": [float("nan"), float("inf")]},
]
for number, output in enumerate(OUTPUTS):
    first = {"name": "first", **output}
    second = {"name": "second", "shape": [1], "datatype": "BYTES", "data": ["x"]}
    again = {"name": "second", "shape": [1], "datatype": "BYTES", "data": ["y"]}
    answer = json.dumps({**ANSWER, "outputs": [first, second, again]})
    body = answer if number % 2 else answer.encode()
    result = InferenceServerClient.parse_response_body(body)
    for name in ("first", "second", "third"):
        array = result.as_numpy(name)
        print(None if array is None else (array.dtype, array.shape, array.tolist()))
    print(result.get_output("second"), result.get_response())
