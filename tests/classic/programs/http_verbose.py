"""Output of the blocking client with `verbose`."""

import sys

import numpy as np

import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

client = httpclient.InferenceServerClient(sys.argv[1], verbose=True)
client.is_server_live()
client.is_server_ready(headers={"x-mine": 1}, query_params={"a b": ["c", 2]})
client.is_model_ready("nope", "1")
client.get_server_metadata()
client.get_model_metadata("simple")
client.get_model_repository_index()
client.load_model("simple_string")
client.update_trace_settings(settings={"trace_rate": "1000"})
client.get_log_settings()
client.get_system_shared_memory_status()
client.unregister_system_shared_memory("region")
client.unregister_system_shared_memory()
client.unregister_cuda_shared_memory("region")
client.unregister_cuda_shared_memory()

for binary in (True, False):
    inputs = [httpclient.InferInput(f"INPUT{n}", (1, 16), "INT32") for n in range(2)]
    for tensor in inputs:
        tensor.set_data_from_numpy(np.ones((1, 16), np.int32), binary_data=binary)
    outputs = [httpclient.InferRequestedOutput("OUTPUT1", binary_data=binary)]
    client.infer("simple", inputs, request_id="7", headers={"x-mine": "1"})
    client.infer("simple", inputs, "1", outputs, response_compression_algorithm="gzip")
    print(*client.generate_request_body(inputs, outputs, sequence_id=3, parameters={"a": "b"}))
print(client.generate_request_body(inputs, sequence_id=3, timeout=4, parameters={"a": "b"}))
client.async_infer("simple", inputs, outputs=outputs).get_result()
for call in (
    lambda: client.infer("nope", inputs),
    lambda: client.register_system_shared_memory("region", "/nope", 64),
):
    try:
        call()
    except InferenceServerException as error:
        print(type(error).__name__, error)
