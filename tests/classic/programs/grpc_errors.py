"""Errors, and what programs read from them."""

import sys

import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(sys.argv[1])
a = np.arange(16, dtype=np.int32).reshape(1, 16)


def pair(array=a):
    inputs = [grpcclient.InferInput(f"INPUT{n}", array.shape, "INT32") for n in range(2)]
    return [tensor.set_data_from_numpy(array) for tensor in inputs]


def attempt(name, function, *arguments, **options):
    try:
        print(name, function(*arguments, **options))
    except InferenceServerException as error:
        print(name, "|", error, "|", error.message(), "|", error.status())
        print("   ", error.debug_details())


attempt("unknown model", client.infer, "nope", pair())
attempt("unknown version", client.infer, "versioned", pair(), "9")
attempt("wrong version", client.infer, "simple", pair(), 1)
attempt("wrong version", client.is_model_ready, "simple", 1)
attempt("wrong version", client.get_model_metadata, "simple", 1)
attempt("wrong version", client.get_model_config, "simple", 1)
attempt("wrong version", client.get_inference_statistics, "simple", 1)
attempt("few inputs", client.infer, "simple", pair()[:1])
attempt("wrong shape", client.infer, "simple", pair(a[:, :15]))
attempt("no data", client.infer, "simple", [grpcclient.InferInput("INPUT0", [1, 16], "INT32")] * 2)
output = grpcclient.InferRequestedOutput("OUTPUT9")
attempt("unknown output", client.infer, "simple", pair(), outputs=[output])
attempt("reserved", client.infer, "simple", pair(), parameters={"priority": 1})
attempt("reserved", client.infer, "simple", pair(), parameters={"triton_x": 1})
attempt("wrong kind", client.infer, "simple", pair(), parameters={"x": [1]})
attempt("wrong kind", client.infer, "simple", pair(), parameters={"x": None})
attempt("metadata", client.get_model_metadata, "nope")
attempt("configuration", client.get_model_config, "nope")
attempt("statistics", client.get_inference_statistics, "nope")
attempt("region", client.get_system_shared_memory_status, "nope")
attempt("region", client.register_system_shared_memory, "nope", "/nope", 8)
attempt("load", client.load_model, "nope")
message = grpcclient.InferInput("MESSAGE", [1], "BYTES")
message.set_data_from_numpy(np.array([b"oops"], dtype=np.object_))
attempt("failing", client.infer, "failing", [message], request_id="7")
slow = [
    grpcclient.InferInput("INPUT0", [1], "INT32").set_data_from_numpy(np.array([7], np.int32)),
    grpcclient.InferInput("DELAY_MS", [1], "INT32").set_data_from_numpy(np.array([700], np.int32)),
]
attempt("deadline", client.infer, "slow_identity", slow, client_timeout=0.1)
attempt("deadline", client.infer, "slow_identity", slow, client_timeout=0)

tensor = grpcclient.InferInput("X", [2, 3], "INT32")
attempt("list", tensor.set_data_from_numpy, [1])
attempt("kind", tensor.set_data_from_numpy, np.zeros((2, 3), np.float32))
attempt("shape", tensor.set_data_from_numpy, np.zeros((2, 2), np.int32))
attempt("shape", tensor.set_data_from_numpy, np.zeros((2, 3, 1), np.int32))
output = grpcclient.InferRequestedOutput("Y", class_count=2)
attempt("classes", output.set_shared_memory, "r", 8)
attempt("plugin", client.unregister_plugin)
client.close()
try:
    client.is_server_live()
except ValueError as error:
    print("closed", error)

for url in ("127.0.0.1:1", "ipv4:127.0.0.1:1", "[::1]:1"):
    nobody = grpcclient.InferenceServerClient(url)
    for function in (nobody.is_server_live, lambda c=nobody: c.infer("simple", pair())):
        try:
            function()
        except InferenceServerException as error:
            print(error)
