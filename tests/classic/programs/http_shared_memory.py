"""Tensors in system shared memory."""

import sys

import numpy as np

import tritonclient.http as httpclient
import tritonclient.utils.shared_memory as shm

client = httpclient.InferenceServerClient(sys.argv[1])
client.unregister_system_shared_memory()
print(client.get_system_shared_memory_status())

a = np.arange(16, dtype=np.int32)
b = np.ones(16, dtype=np.int32)
inputs_handle = shm.create_shared_memory_region("inputs", "/classic_program_inputs", 128)
outputs_handle = shm.create_shared_memory_region("outputs", "/classic_program_outputs", 128)
print(sorted(shm.mapped_shared_memory_regions()))
shm.set_shared_memory_region(inputs_handle, [a, b])
client.register_system_shared_memory("inputs", "/classic_program_inputs", 128)
client.register_system_shared_memory("outputs", "/classic_program_outputs", 128, offset=0)
print(sorted(map(str, client.get_system_shared_memory_status())))
print(client.get_system_shared_memory_status("inputs"))

inputs = [httpclient.InferInput(f"INPUT{n}", [1, 16], "INT32") for n in range(2)]
inputs[0].set_shared_memory("inputs", 64)
inputs[1].set_shared_memory("inputs", 64, offset=64)
outputs = [httpclient.InferRequestedOutput(f"OUTPUT{n}", binary_data=True) for n in range(2)]
outputs[0].set_shared_memory("outputs", 64)
outputs[1].set_shared_memory("outputs", 64, offset=64)
result = client.infer("simple", inputs, outputs=outputs)
print(result.get_response())
output = result.get_output("OUTPUT0")
print(output)
datatype = httpclient.triton_to_np_dtype(output["datatype"])
print(shm.get_contents_as_numpy(outputs_handle, datatype, output["shape"]))
print(shm.get_contents_as_numpy(outputs_handle, np.int32, [1, 16], offset=64))

# One in the answer after all, and one input by value.
outputs[1].unset_shared_memory()
inputs[1].set_data_from_numpy(np.full((1, 16), 5, dtype=np.int32))
result = client.infer("simple", inputs, outputs=outputs)
print(result.as_numpy("OUTPUT1"))
print(shm.get_contents_as_numpy(outputs_handle, np.int32, [1, 16]))

client.unregister_system_shared_memory("inputs")
client.unregister_system_shared_memory(name="outputs")
print(client.get_system_shared_memory_status(), client.get_cuda_shared_memory_status())
shm.destroy_shared_memory_region(inputs_handle)
shm.destroy_shared_memory_region(outputs_handle)
print(shm.mapped_shared_memory_regions())
