"""Tensors in system shared memory."""

import sys

import numpy as np

import tritonclient.grpc as grpcclient
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(sys.argv[1])
client.unregister_system_shared_memory()
a = np.arange(16, dtype=np.int32)
handle = shm.create_shared_memory_region("grpc_program", "/grpc_program", 256)
shm.set_shared_memory_region(handle, [a, np.ones(16, np.int32)])
client.register_system_shared_memory("grpc_program", "/grpc_program", 256)
print(client.get_system_shared_memory_status("grpc_program"))
print(client.get_system_shared_memory_status(as_json=True))

inputs = [grpcclient.InferInput(f"INPUT{n}", [1, 16], "INT32") for n in range(2)]
print(inputs[0].set_shared_memory("grpc_program", 64) is inputs[0])
inputs[1].set_shared_memory("grpc_program", 64, offset=64)
outputs = [grpcclient.InferRequestedOutput(f"OUTPUT{n}") for n in range(2)]
print(outputs[0].set_shared_memory("grpc_program", 64, offset=128))
result = client.infer("simple", inputs, outputs=outputs)
print(shm.get_contents_as_numpy(handle, np.int32, [1, 16], 128).tolist())
print(result.as_numpy("OUTPUT1").tolist())
print(result.get_output("OUTPUT0"))
print([len(content) for content in result.get_response().raw_output_contents])
outputs[0].unset_shared_memory()
print(client.infer("simple", inputs, outputs=outputs).as_numpy("OUTPUT0").tolist())
try:
    client.register_system_shared_memory("grpc_program", "/grpc_program", 256)
except InferenceServerException as error:
    print(error)
client.unregister_system_shared_memory("grpc_program")
try:
    client.infer("simple", inputs)
except InferenceServerException as error:
    print(error)
shm.destroy_shared_memory_region(handle)
