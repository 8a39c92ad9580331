"""A stream that an error ends, because the program asked for that."""

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


client = grpcclient.InferenceServerClient(url=sys.argv[1])
failing = grpcclient.InferInput("MESSAGE", [1], "BYTES")
failing.set_data_from_numpy(np.array([b"oops"], dtype=np.object_))
client.start_stream(partial(callback, completed), headers={"triton_grpc_error": "true"})
client.async_stream_infer("failing", [failing])
result, error = completed.get()
print(result, error, error.status())
try:
    while True:  # until the stream knows that it has ended
        client.async_stream_infer("failing", [failing])
        time.sleep(0.01)
except InferenceServerException as error:
    print(error)
client.stop_stream()
