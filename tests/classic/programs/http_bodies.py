"""Requests and answers that another HTTP library carries."""

import sys
import urllib.request

import numpy as np

import tritonclient.http as httpclient
from tritonclient.http import InferenceServerClient, InferResult

for binary in (True, False):
    inputs = [httpclient.InferInput(f"INPUT{n}", [1, 16], "INT32") for n in range(2)]
    inputs[0].set_data_from_numpy(np.arange(16, dtype=np.int32).reshape(1, 16), binary_data=binary)
    inputs[1].set_data_from_numpy(np.ones((1, 16), dtype=np.int32), binary_data=binary)
    outputs = [httpclient.InferRequestedOutput("OUTPUT0", binary_data=binary)]
    body, length = InferenceServerClient.generate_request_body(
        inputs, outputs=outputs, request_id="7", parameters={"mine": 1}
    )
    print(body, length)
    request = urllib.request.Request(f"http://{sys.argv[1]}/v2/models/simple/infer", data=body)
    request.add_header("Content-Type", "application/octet-stream")
    if length is not None:
        request.add_header("Inference-Header-Content-Length", str(length))
    with urllib.request.urlopen(request) as response:
        answer = response.read()
        header_length = response.headers.get("Inference-Header-Content-Length")
    header_length = None if header_length is None else int(header_length)
    for parse in (InferenceServerClient.parse_response_body, InferResult.from_response_body):
        result = parse(answer, header_length=header_length)
        print(result.as_numpy("OUTPUT0"), result.get_response())
