"""The modules of messages, and the stub and servicer for programs that use grpcio."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import warnings

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format, message

from tests.classic.grpc_server import GrpcServer, simple_stream
from tests.support.servers import official
from tritonclient.codec import messages_pb
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc


def test_modules():
    assert service_pb2.DESCRIPTOR.name == "grpc_service.proto"
    assert service_pb2.model__config__pb2 is model_config_pb2
    assert model_config_pb2.TYPE_BF16 == model_config_pb2.DataType.Value("TYPE_BF16") == 14
    assert model_config_pb2.ModelInput.FORMAT_NCHW == 2
    names: dict[str, object] = {}
    exec("from tritonclient.grpc.service_pb2 import *", names)
    assert names["InferParameter"] is service_pb2.InferParameter
    assert "InferParameter" in dir(service_pb2)


def test_messages():
    request = service_pb2.ModelInferRequest(model_name="m")
    assert isinstance(request, message.Message)
    tensor = request.inputs.add(name="X", shape=[1])
    assert isinstance(tensor, service_pb2.ModelInferRequest.InferInputTensor)
    assert type(request) is messages_pb.message("ModelInferRequest")
    assert copy.deepcopy(request) == request
    assert pickle.loads(pickle.dumps(request)) == request
    assert type(request).__module__ == "tritonclient.grpc.service_pb2"
    as_json = json_format.MessageToJson(request, preserving_proto_field_name=True)
    assert json_format.Parse(as_json, service_pb2.ModelInferRequest()) == request


def test_configurations():
    config = model_config_pb2.ModelConfig()
    json_format.Parse('{"name":"m","input":[{"name":"X","data_type":"TYPE_FP32"}]}', config)
    assert config.input[0].data_type == model_config_pb2.TYPE_FP32
    assert pickle.loads(pickle.dumps(config)) == config
    response = service_pb2.ModelConfigResponse(config=config)
    assert response.config.name == "m"


def test_other_modules_of_the_same_messages_do_no_harm():
    """As programs have them that made their own, in protobuf's pool of all messages."""
    code = """
from google.protobuf import descriptor_pb2, descriptor_pool
from tritonclient.codec.messages_pb import file
for name in ("model_config.proto", "grpc_service.proto"):
    proto = descriptor_pb2.FileDescriptorProto()
    file(name).CopyToProto(proto)
    proto.message_type[0].field.add(name="other", number=999, type=9, label=1)
    descriptor_pool.Default().Add(proto)
from google.protobuf.message_factory import GetMessageClass
find = descriptor_pool.Default().FindMessageTypeByName
theirs = GetMessageClass(find("inference.ModelInferResponse"))
from tritonclient.grpc import InferResult, service_pb2
assert service_pb2.ModelInferResponse is not theirs
assert InferResult(theirs(model_name="m")).get_response().model_name == "m"
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


# The stub and the servicer


@pytest.fixture
def server():
    def ready(request, context):
        return service_pb2.ModelReadyResponse(ready=request.name == "m")

    with GrpcServer(ModelReady=ready, ModelStreamInfer=simple_stream) as server:
        yield server


def test_a_stub(server):
    with grpc.insecure_channel(server.address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelReadyRequest(name="m")
        response = stub.ModelReady(request, timeout=10)
        assert isinstance(response, service_pb2.ModelReadyResponse)
        assert response.ready
        assert stub.ModelReady.future(request).result(10).ready
        assert list(stub.ModelStreamInfer(iter(()), timeout=10)) == []
        with pytest.raises(grpc.RpcError) as caught:
            stub.ServerLive(service_pb2.ServerLiveRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert caught.value.details() == "Method not implemented!"
        with pytest.raises(AttributeError):
            stub.Nothing  # noqa: B018


def test_a_stub_awaited(server):
    async def main():
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert (await stub.ModelReady(service_pb2.ModelReadyRequest(name="m"))).ready

    asyncio.run(main())


def test_procedures_without_a_channel(server):
    service = service_pb2_grpc.GRPCInferenceService
    request = service_pb2.ModelReadyRequest(name="m")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that grpcio's part in it is experimental
        assert service.ModelReady(request, server.address, insecure=True, timeout=10).ready
        responses = service.ModelStreamInfer(iter(()), server.address, insecure=True, timeout=10)
        assert list(responses) == []
    assert service.ModelReady.__name__ == "ModelReady"


def test_an_awaited_server():
    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
        async def ServerLive(self, request, context):
            return service_pb2.ServerLiveResponse(live=True)

        async def ModelStreamInfer(self, request_iterator, context):
            async for request in request_iterator:
                response = service_pb2.ModelStreamInferResponse()
                response.infer_response.id = request.id
                yield response

    async def main():
        server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live
            requests = [service_pb2.ModelInferRequest(id=str(number)) for number in range(3)]
            ids = [r.infer_response.id async for r in stub.ModelStreamInfer(iter(requests))]
            assert ids == ["0", "1", "2"]
        await server.stop(None)

    asyncio.run(main())


def test_a_servicer_says_what_it_does_not_have():
    servicer = service_pb2_grpc.GRPCInferenceServiceServicer()
    assert type(servicer).ModelInfer.__qualname__ == "GRPCInferenceServiceServicer.ModelInfer"

    class Context:
        def set_code(self, code):
            self.code = code

        def set_details(self, details):
            self.details = details

    context = Context()
    for method in (servicer.ModelInfer, servicer.ModelStreamInfer):
        with pytest.raises(NotImplementedError, match="Method not implemented!"):
            method(None, context)
    assert context.code == grpc.StatusCode.UNIMPLEMENTED
    assert context.details == "Method not implemented!"


def test_the_official_stub_calls_our_servicer(server):
    if reason := official.unavailable_reason():
        pytest.skip(reason)
    code = """
import sys, grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
channel = grpc.insecure_channel(sys.argv[1])
stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
print(stub.ModelReady(service_pb2.ModelReadyRequest(name="m")).ready)
"""
    command = [str(official.ensure_official()), "-I", "-c", code, server.address]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
