"""Requests that are not waited for, and their callbacks."""

import queue
import sys
import time
from functools import partial

import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

completed = queue.Queue()


def callback(data, result, error):
    completed.put((data, result, error))


with grpcclient.InferenceServerClient(url=sys.argv[1]) as client:
    for n in range(20):
        inputs = [grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
        for tensor in inputs:
            tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32))
        context = client.async_infer(
            model_name="simple", inputs=inputs, callback=partial(callback, n), request_id=str(n)
        )
    results = sorted((completed.get() for _ in range(20)), key=lambda item: item[0])
    for n, result, error in results:
        print(n, result.get_response().id, result.as_numpy("OUTPUT0")[0, 0], error)
    print(context.cancel())

    client.async_infer("nope", inputs, partial(callback, "failing"))
    data, result, error = completed.get()
    print(data, result, type(error).__mro__[-3].__name__ != "", error, error.status())
    print(error.debug_details(), isinstance(error, InferenceServerException))

    slow = [
        grpcclient.InferInput("INPUT0", [1], "INT32").set_data_from_numpy(np.array([7], np.int32)),
        grpcclient.InferInput("DELAY_MS", [1], "INT32").set_data_from_numpy(
            np.array([700], np.int32)
        ),
    ]
    context = client.async_infer("slow_identity", slow, partial(callback, "cancelled"))
    time.sleep(0.2)
    print(context.cancel())
    data, result, error = completed.get()
    print(data, result, error, error.message(), error.status(), error.debug_details())

    client.async_infer("slow_identity", slow, partial(callback, "late"), client_timeout=0.1)
    data, result, error = completed.get()
    print(data, result, error, error.status(), error.debug_details())

    client.async_infer("slow_identity", slow, partial(callback, "closed"))
    time.sleep(0.2)
data, result, error = completed.get()
print(data, result, error, error.status())
