"""Requests that are not waited for, at once."""

import sys

import numpy as np

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

with httpclient.InferenceServerClient(url=sys.argv[1], concurrency=4) as client:
    requests = []
    for n in range(20):
        inputs = [httpclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
        for tensor in inputs:
            tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32))
        requests.append(client.async_infer(model_name="simple", inputs=inputs, request_id=str(n)))
    for request in requests:
        result = request.get_result()
        print(result.get_response()["id"], result.as_numpy("OUTPUT0")[0, 0])

    failing = client.async_infer("nope", inputs)
    try:
        failing.get_result()
    except InferenceServerException as error:
        print(error, error.status())

    # One that takes its time.
    x = httpclient.InferInput("INPUT0", [1], "INT32").set_data_from_numpy(np.array([7], np.int32))
    delay = httpclient.InferInput("DELAY_MS", [1], "INT32")
    delay.set_data_from_numpy(np.array([700], dtype=np.int32))
    slow = client.async_infer("slow_identity", [x, delay])
    for arguments in ({"block": False}, {"block": True, "timeout": 0.05}):
        try:
            print(slow.get_result(**arguments))
        except InferenceServerException as error:
            print(error)
    print(slow.get_result(block=True, timeout=30).as_numpy("OUTPUT0"))
