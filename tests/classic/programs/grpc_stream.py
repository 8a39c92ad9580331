"""Streams: sequences of requests, decoupled models, errors and ends."""

import queue
import sys
import time
from functools import partial

import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

completed = queue.Queue()


def callback(data, result, error):
    data.put((result, error))


def pair(n):
    inputs = [grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
    return [tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32)) for tensor in inputs]


def attempt(function, *arguments, **options):
    try:
        print(function(*arguments, **options))
    except InferenceServerException as error:
        print(error)


client = grpcclient.InferenceServerClient(url=sys.argv[1])
attempt(client.async_stream_infer, "simple", pair(1))
client.start_stream(callback=partial(callback, completed))
attempt(client.start_stream, partial(callback, completed))
for n in range(10):
    client.async_stream_infer(model_name="simple", inputs=pair(n), request_id=str(n))
for _ in range(10):
    result, error = completed.get()
    response = result.get_response()
    print(response.id, result.as_numpy("OUTPUT0")[0, 0], error, dict(response.parameters))

# One that fails, and one after it.
client.async_stream_infer("nope", pair(1), request_id="bad")
result, error = completed.get()
print(result, error, error.status(), error.debug_details())
client.async_stream_infer("simple", pair(1), request_id="good")
print(completed.get()[0].get_response())
attempt(client.async_stream_infer, "simple", pair(1), 1)
attempt(client.async_stream_infer, "simple", pair(1), parameters={"triton_x": 1})
client.stop_stream()
client.stop_stream()

# A decoupled model, and the end of a stream.
for empty in (False, True):
    client.start_stream(partial(callback, completed), compression_algorithm="gzip")
    inputs = [
        grpcclient.InferInput("IN", [3], "INT32").set_data_from_numpy(np.arange(3, dtype=np.int32)),
        grpcclient.InferInput("DELAY", [3], "UINT32").set_data_from_numpy(np.ones(3, np.uint32)),
        grpcclient.InferInput("WAIT", [1], "UINT32").set_data_from_numpy(np.ones(1, np.uint32)),
    ]
    client.async_stream_infer(
        "repeat_int32", inputs, request_id="7", enable_empty_final_response=empty
    )
    client.stop_stream()
    while not completed.empty():
        result, error = completed.get()
        final = result.get_response().parameters["triton_final_response"].bool_param
        print(result.as_numpy("OUT"), final, error, result.get_response().id)

# Cancelled, and late.
slow = [
    grpcclient.InferInput("INPUT0", [1], "INT32").set_data_from_numpy(np.array([7], np.int32)),
    grpcclient.InferInput("DELAY_MS", [1], "INT32").set_data_from_numpy(np.array([500], np.int32)),
]
client.start_stream(partial(callback, completed))
client.async_stream_infer("slow_identity", slow)
time.sleep(0.1)
client.stop_stream(cancel_requests=True)
result, error = completed.get()
print(result, error, error.message(), error.status(), error.debug_details())

client.start_stream(partial(callback, completed), stream_timeout=0.2)
client.async_stream_infer("slow_identity", slow)
result, error = completed.get()
print(result, error, error.message(), error.status(), error.debug_details())
client.stop_stream()

# What is left when the client is closed.
with grpcclient.InferenceServerClient(url=sys.argv[1]) as client:
    client.start_stream(callback=partial(callback, completed))
    client.async_stream_infer("slow_identity", slow)
result, error = completed.get()
print(error, result and result.as_numpy("OUTPUT0"))

nobody = grpcclient.InferenceServerClient("127.0.0.1:1")
nobody.start_stream(partial(callback, completed))
result, error = completed.get()
print(result, error.status())
attempt(nobody.async_stream_infer, "simple", pair(1))
