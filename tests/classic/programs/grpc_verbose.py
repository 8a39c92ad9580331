"""Output of a client with `verbose`."""

import queue
import sys

import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(sys.argv[1], verbose=True)
client.is_server_live(headers={"a": "b"})
client.is_server_ready()
client.is_model_ready("simple", "1")
client.get_server_metadata()
client.get_model_metadata("simple", as_json=True)
client.get_model_config("simple")
client.get_model_repository_index()
client.get_trace_settings()
client.update_trace_settings("simple", {"trace_rate": None})
client.get_log_settings()
client.update_log_settings({"log_info": True})
client.get_system_shared_memory_status()
client.unregister_system_shared_memory()
client.unregister_system_shared_memory("nope")
client.get_cuda_shared_memory_status()
client.unregister_cuda_shared_memory()
client.unregister_cuda_shared_memory("nope")
client.unload_model("versioned", unload_dependents=True)
client.load_model("versioned")
try:
    client.load_model("nope", config="{}", files={"file:1/x": b"not shown"})
except InferenceServerException as error:
    print(error)
while not client.is_server_ready():
    pass

inputs = [grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
for tensor in inputs:
    tensor.set_data_from_numpy(np.ones((1, 16), np.int32))
client.infer("simple", inputs, headers={"a": "b"}, request_id="7")
completed = queue.Queue()


def callback(result, error):
    completed.put((result, error))


client.start_stream(callback)
client.async_stream_infer("simple", inputs, request_id="7", parameters={"a": 1})
completed.get()
client.stop_stream()
client.close()
