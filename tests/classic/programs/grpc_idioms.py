"""Idioms of programs: handling of errors, unusual arguments, and imports."""

import asyncio
import queue
import sys
from functools import partial

import grpc
import numpy as np

import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aioclient
from tritonclient._auth import BasicAuth
from tritonclient._client import InferenceServerClientBase
from tritonclient._plugin import InferenceServerClientPlugin
from tritonclient._request import Request
from tritonclient.grpc._client import INT32_MAX, MAX_GRPC_MESSAGE_SIZE, KeepAliveOptions
from tritonclient.grpc._infer_input import InferInput
from tritonclient.grpc._infer_result import InferResult
from tritonclient.grpc._requested_output import InferRequestedOutput
from tritonclient.grpc._utils import _grpc_compression_type, get_cancelled_error
from tritonclient.utils import InferenceServerException

url = sys.argv[1]
print(INT32_MAX, MAX_GRPC_MESSAGE_SIZE, KeepAliveOptions().keepalive_time_ms == INT32_MAX)
for kind in (InferInput, InferRequestedOutput, InferResult):
    print(kind.__module__, kind.__name__, getattr(grpcclient, kind.__name__) is kind)
for kind in (grpcclient.InferenceServerClient, aioclient.InferenceServerClient):
    print(issubclass(kind, InferenceServerClientBase), kind.__name__)
print(_grpc_compression_type("GZIP"), _grpc_compression_type(None), _grpc_compression_type("x"))
print(get_cancelled_error(), get_cancelled_error("by hand").status())


class Told(InferenceServerClientPlugin):
    def __call__(self, request):
        print(type(request) is Request, request.headers)


base = InferenceServerClientBase()
base.register_plugin(Told())
base._call_plugin(Request(None))
basic = Request({"a": "b"})
BasicAuth("ann", "secret")(basic)
print(basic.headers)

# Errors are of one class, which many programs compare with.
client = grpcclient.InferenceServerClient(url)
answers = queue.Queue()


def callback(answers, result, error):
    answers.put(error if error else result)


def pair(n=1):
    inputs = [grpcclient.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
    return [tensor.set_data_from_numpy(np.full((1, 16), n, dtype=np.int32)) for tensor in inputs]


def slow(milliseconds):
    for name, n in (("INPUT0", 7), ("DELAY_MS", milliseconds)):
        tensor = grpcclient.InferInput(name, [1], "INT32")
        yield tensor.set_data_from_numpy(np.array([n], np.int32))


def show(error):
    print(type(error) == InferenceServerException)  # noqa: E721
    print(type(error).__module__, type(error).__name__, error)


client.async_infer("nope", pair(), partial(callback, answers))
show(answers.get())
client.async_infer("slow_identity", slow(500), partial(callback, answers), client_timeout=0.1)
show(answers.get())
client.start_stream(partial(callback, answers))
client.async_stream_infer("nope", pair())
show(answers.get())
client.stop_stream()
client.start_stream(partial(callback, answers), stream_timeout=0.1)
client.async_stream_infer("slow_identity", slow(500))
show(answers.get())
client.stop_stream()
try:
    grpcclient.InferenceServerClient("127.0.0.1:1").is_server_live()
except InferenceServerException as error:
    print(type(error) == InferenceServerException, error.status())  # noqa: E721
print(InferenceServerException("a").args, repr(InferenceServerException("a", "b")))
print([str(InferenceServerException(*each)) for each in (("a",), ("a", "b"), ("", "b"))])

# The client's own stub.
call = partial(
    client._client_stub.ModelReady, grpcclient.service_pb2.ModelReadyRequest(name="nope")
)
print(call(timeout=5).ready, call.args)

# Arguments.
for options in (
    {"sequence_id": -1},
    {"sequence_id": np.int64(5)},
    {"sequence_id": 2**63 - 1, "sequence_start": True},
    {"timeout": -1},
    {"request_id": ""},
    {"outputs": iter([grpcclient.InferRequestedOutput("OUTPUT1")])},
    {"compression_algorithm": ""},
):
    result = client.infer("simple", iter(pair(3)), **options)
    print(list(options), result.as_numpy("OUTPUT1").sum(), len(result.get_response().outputs))
for options in (
    {"sequence_id": 1.5},
    {"priority": "1"},
    {"timeout": "1"},
    {"timeout": 1.5},
    {"request_id": 5},
    {"inputs": None},
    {"inputs": pair()[0]},
):
    try:
        client.infer("simple", **{"inputs": pair(), **options})
    except TypeError as error:
        print(list(options), error if "request_id" not in options else "TypeError")


async def main():
    async def one(model, inputs):
        yield {"model_name": model, "inputs": list(inputs)}

    client = aioclient.InferenceServerClient(url)
    print(await client._client_stub.ServerLive(aioclient.service_pb2.ServerLiveRequest()))
    for requests, options in (
        (one("slow_identity", slow(500)), {"stream_timeout": 0.1}),
        (one("nope", pair()), {"headers": {"triton_grpc_error": "true"}}),
    ):
        try:
            async for result, error in client.stream_infer(requests, **options):
                print(result, error)
        except grpc.aio.AioRpcError as error:
            print(error.code(), error.details(), isinstance(error, grpc.RpcError))
    await client.close()
    try:
        await client.is_server_live()
    except Exception as error:
        print(error)


asyncio.run(main())
