"""Loading and unloading of models."""

import sys
import time

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(sys.argv[1])


def index():
    models = client.get_model_repository_index().models
    return [(m.name, m.version, m.state, m.reason) for m in models if m.name == "simple_string"]


print(index())
print(client.unload_model("simple_string"))
while index()[0][3] != "unloaded":
    time.sleep(0.01)
print(index(), client.is_model_ready("simple_string"))
print(client.load_model("simple_string"), index())
config = """{"backend": "python", "max_batch_size": 4,
 "input": [{"name": "X", "data_type": "TYPE_INT32", "dims": [1]}],
 "output": [{"name": "Y", "data_type": "TYPE_INT32", "dims": [1]}]}"""
source = b"""
class TritonPythonModel:
    def execute(self, requests):
        return []
"""
print(client.load_model("mine_grpc", config=config, files={"file:1/model.py": source}))
print(client.get_model_config("mine_grpc").config.max_batch_size)
print(client.unload_model("mine_grpc", unload_dependents=True))
for options in ({"config": "{"}, {"files": {"file:1/x": b"y"}}, {}):
    try:
        print(client.load_model("nope", **options))
    except InferenceServerException as error:
        print(list(options), error.status())
while not client.is_server_ready():
    time.sleep(0.01)
