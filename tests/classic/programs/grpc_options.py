"""Everything that may go along with an inference request."""

import sys

import numpy as np

import tritonclient.grpc as grpcclient
from tritonclient.grpc.auth import BasicAuth

client = grpcclient.InferenceServerClient(
    sys.argv[1],
    keepalive_options=grpcclient.KeepAliveOptions(keepalive_time_ms=10000),
)
array = np.linspace(0, 1, 5000, dtype=np.float32)
tensor = grpcclient.InferInput("INPUT0", array.shape, "FP32").set_data_from_numpy(array)
for coding in (None, "gzip", "deflate", "GZIP", "br"):
    result = client.infer("identity_fp32", [tensor], compression_algorithm=coding)
    output = result.as_numpy("OUTPUT0")
    print(coding, output.shape, (output == array).all())

a = grpcclient.InferInput("INPUT0", [1, 16], "INT32")
b = grpcclient.InferInput("INPUT1", [1, 16], "INT32")
a.set_data_from_numpy(np.ones((1, 16), np.int32))
b.set_data_from_numpy(np.ones((1, 16), np.int32))
for options in (
    {"request_id": 'a "b" \u00fc'},
    {"model_version": "1"},
    {"model_version": "7"},
    {"sequence_id": 7, "sequence_start": True, "sequence_end": True},
    {"sequence_id": "seven", "sequence_end": True},
    {"sequence_start": True},
    {"priority": 1},
    {"timeout": 1_000_000},
    {"timeout": 0},
    {"client_timeout": 20.0},
    {"headers": {"x-test": "1", "data-bin": b"\0\1"}},
    {"parameters": {"text": "x", "number": 3, "flag": False}},
):
    try:
        result = client.infer("simple", [a, b], **options)
        print(list(options), repr(result.get_response().id), result.as_numpy("OUTPUT0").sum())
    except grpcclient.InferenceServerException as error:
        print(list(options), error)

# Plugins.
client.register_plugin(BasicAuth("ann", "secret"))
print(type(client.plugin()).__name__, client.is_server_live(headers={"a": "b"}))
client.unregister_plugin()
print(client.plugin())

# Channel arguments.
arguments = [
    ("grpc.max_receive_message_length", 100),
    ("grpc.primary_user_agent", "mine"),
]
with grpcclient.InferenceServerClient(sys.argv[1], channel_args=arguments) as small:
    print(small.is_server_live())
    try:
        small.infer("simple", [a, b])
    except grpcclient.InferenceServerException as error:
        print(error.status(), "Received message larger than max" in error.message())
print(grpcclient.MAX_GRPC_MESSAGE_SIZE, grpcclient.TRITON_RESERVED_REQUEST_PARAMS)
