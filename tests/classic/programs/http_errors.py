"""Errors of the client and of the server, and their texts."""

import sys

import numpy as np

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

client = httpclient.InferenceServerClient(sys.argv[1])
a = np.zeros((1, 16), dtype=np.int32)


def inputs(*names, datatype="INT32", shape=(1, 16), kind=np.int32):
    return [
        httpclient.InferInput(name, shape, datatype).set_data_from_numpy(np.zeros(shape, kind))
        for name in names
    ]


def attempt(function, *arguments, **keywords):
    try:
        print(function(*arguments, **keywords))
    except InferenceServerException as error:
        print(str(error), "|", error.message(), "|", error.status(), error.debug_details())


pair = inputs("INPUT0", "INPUT1")
attempt(client.infer, "nope", pair)
attempt(client.infer, "simple", pair, model_version="9")
attempt(client.infer, "simple", inputs("INPUT0"))
attempt(client.infer, "simple", inputs("INPUT0", "INPUT7"))
attempt(client.infer, "simple", inputs("INPUT0", "INPUT1", datatype="FP32", kind=np.float32))
attempt(client.infer, "simple", inputs("INPUT0", "INPUT1", shape=(9, 16)))
attempt(client.infer, "simple", pair, outputs=[httpclient.InferRequestedOutput("OUTPUT7")])
attempt(client.infer, "simple", [httpclient.InferInput("INPUT0", [1, 16], "INT32"), pair[1]])
attempt(client.get_model_metadata, "nope")
attempt(client.get_model_config, "nope")
attempt(client.get_inference_statistics, "nope")
attempt(client.load_model, "nope")
attempt(client.get_system_shared_memory_status, "nope")
attempt(client.register_system_shared_memory, "nope", "/nope", 64)
attempt(client.update_trace_settings, settings={"trace_rate": "x"})
attempt(client.update_log_settings, {"log_nothing": 1})

failing = httpclient.InferInput("MESSAGE", [1], "BYTES")
failing.set_data_from_numpy(np.array([b"out of cheese"], dtype=object))
try:
    client.infer("failing", [failing])
except InferenceServerException as error:
    print(error.status(), "out of cheese" in error.message())

# Here.
attempt(httpclient.InferenceServerClient, "http://localhost:8000")
attempt(client.infer, "simple", pair, model_version=1)
attempt(client.is_model_ready, "simple", 1)
attempt(client.get_model_metadata, "simple", 1)
attempt(client.infer, "simple", pair, parameters={"priority": 1})
attempt(client.infer, "simple", pair, parameters={"triton_mine": 1})
attempt(client.infer, "simple", pair, headers={"Transfer-Encoding": "chunked"})
attempt(client.is_server_live, headers={"transfer-encoding": "chunked"})
attempt(pair[0].set_data_from_numpy, [1])
attempt(pair[0].set_data_from_numpy, np.zeros((1, 15), dtype=np.int32))
attempt(pair[0].set_data_from_numpy, np.zeros(16, dtype=np.int32))
attempt(pair[0].set_data_from_numpy, np.zeros((1, 16), dtype=np.float64))
output = httpclient.InferRequestedOutput("OUTPUT0", class_count=2)
attempt(output.set_shared_memory, "region", 64)
attempt(client.unregister_plugin)
attempt(client.register_plugin, print)
attempt(client.register_plugin, print)
