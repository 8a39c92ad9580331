"""Health, metadata, configuration, index and statistics, as messages and as dictionaries."""

import json
import sys

import tritonclient.grpc as grpcclient
from tritonclient.grpc import model_config_pb2, service_pb2

client = grpcclient.InferenceServerClient(url=sys.argv[1], verbose=False)
print(client.is_server_live(), client.is_server_ready(headers={"a": "b"}, client_timeout=10.0))
for model, version in (("simple", ""), ("versioned", "2"), ("versioned", "9"), ("nope", "")):
    print(model, version, client.is_model_ready(model_name=model, model_version=version))


def show(value):
    print(type(value).__name__)
    print(json.dumps(value, indent=1, sort_keys=True) if isinstance(value, dict) else value)


for as_json in (False, True):
    show(client.get_server_metadata(as_json=as_json))
    show(client.get_model_metadata("digits", as_json=as_json))
    show(client.get_model_metadata("versioned", "1", as_json=as_json))
    for model in ("digits", "repeat_int32", "versioned"):
        show(client.get_model_config(model, as_json=as_json))
    show(client.get_model_repository_index(as_json=as_json))
    show(client.get_cuda_shared_memory_status(as_json=as_json))

config = client.get_model_config("digits").config
print(config.max_batch_size, [list(tensor.dims) for tensor in config.input])
print(config.input[0].data_type == model_config_pb2.TYPE_FP32)
print(model_config_pb2.DataType.Name(config.input[0].data_type))
print(config.HasField("ensemble_scheduling"), config.WhichOneof("scheduling_choice"))
metadata = client.get_model_metadata("simple")
print(isinstance(metadata, service_pb2.ModelMetadataResponse))
print([(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs])

statistics = client.get_inference_statistics("simple", as_json=True)["model_stats"][0]
print(statistics["name"], statistics["version"], sorted(statistics["inference_stats"]))
names = [entry.name for entry in client.get_inference_statistics().model_stats]
print(len(names) == len(client.get_inference_statistics(model_version="1").model_stats))
client.close()
client.close()
