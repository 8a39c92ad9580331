"""Messages and the stub, as programs use them that speak gRPC themselves."""

import sys

import grpc
import numpy as np
from google.protobuf import json_format, text_format

import tritonclient.grpc as grpcclient
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.grpc._utils import _get_inference_request, get_error_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

channel = grpc.insecure_channel(sys.argv[1])
stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
print(stub.ServerLive(service_pb2.ServerLiveRequest()).live)
print(stub.ModelMetadata(service_pb2.ModelMetadataRequest(name="simple", version="1")))
config = stub.ModelConfig(service_pb2.ModelConfigRequest(name="digits")).config
print(json_format.MessageToJson(config, preserving_proto_field_name=True))
again = model_config_pb2.ModelConfig()
text_format.Parse(text_format.MessageToString(config), again)
print(again == config)

request = service_pb2.ModelInferRequest()
request.model_name = "simple"
request.id = "mine"
for index in range(2):
    tensor = service_pb2.ModelInferRequest().InferInputTensor()
    tensor.name = f"INPUT{index}"
    tensor.datatype = "INT32"
    tensor.shape.extend([1, 16])
    tensor.contents.int_contents[:] = range(16)
    request.inputs.extend([tensor])
output = service_pb2.ModelInferRequest().InferRequestedOutputTensor()
output.name = "OUTPUT0"
request.outputs.extend([output])
response = stub.ModelInfer(request)
print(response)
print(grpcclient.InferResult(response).as_numpy("OUTPUT0"))

request = service_pb2.ModelInferRequest(model_name="identity_bytes")
words = np.array([b"a", b"bc"], dtype=np.object_)
request.inputs.add(name="INPUT0", datatype="BYTES", shape=[2])
request.raw_input_contents.append(serialize_byte_tensor(words).item())
response = stub.ModelInfer(request)
print(deserialize_bytes_tensor(response.raw_output_contents[0]))

inputs = [
    grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32").set_data_from_numpy(
        np.ones((1, 16), np.int32)
    )
    for i in range(2)
]
request = _get_inference_request(
    model_name="simple",
    inputs=inputs,
    model_version="1",
    request_id="7",
    outputs=[grpcclient.InferRequestedOutput("OUTPUT1")],
    sequence_id=0,
    sequence_start=False,
    sequence_end=False,
    priority=1,
    timeout=1000,
    parameters={"a": "b"},
)
print(request)
print([r.infer_response.id for r in stub.ModelStreamInfer(iter([request]))])

try:
    stub.ModelConfig(service_pb2.ModelConfigRequest(name="nope"))
except grpc.RpcError as rpc_error:
    error = get_error_grpc(rpc_error)
    print(error, error.status())
    try:
        grpcclient.raise_error_grpc(rpc_error)
    except grpcclient.InferenceServerException as error:
        print(error)
