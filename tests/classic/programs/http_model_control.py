"""Loading and unloading models, with other configurations and from files."""

import json
import sys
import time

import numpy as np

import tritonclient.http as httpclient

MODEL = b"""
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * 3)]))
        return answers
"""

client = httpclient.InferenceServerClient(sys.argv[1])


def wait_until_unloaded(name):
    while any(
        entry["name"] == name and entry.get("reason") != "unloaded"
        for entry in client.get_model_repository_index()
    ):
        time.sleep(0.01)


print(client.unload_model("simple_string"))
wait_until_unloaded("simple_string")
print(client.is_model_ready("simple_string"))
print(client.load_model("simple_string"), client.is_model_ready("simple_string"))

config = client.get_model_config("simple_string")
config["max_batch_size"] = 3
client.load_model("simple_string", config=json.dumps(config))
print(client.get_model_config("simple_string")["max_batch_size"])
client.unload_model("simple_string", unload_dependents=True)
wait_until_unloaded("simple_string")
client.load_model("simple_string")
print(client.get_model_config("simple_string")["max_batch_size"])

config = {
    "backend": "python",
    "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
}
client.load_model("from_files", config=json.dumps(config), files={"file:1/model.py": MODEL})
x = httpclient.InferInput("X", [2], "FP32").set_data_from_numpy(np.array([1, 2], dtype=np.float32))
print(client.infer("from_files", [x]).as_numpy("Y"))
client.unload_model("from_files")
while not client.is_server_ready():
    time.sleep(0.01)
