"""Idioms of public programs over gRPC: channels and stubs of their own, and inner attributes."""

from __future__ import annotations

import asyncio
import pickle
import queue
from typing import Any
from unittest import mock

import grpc
import numpy as np
import pytest

import tritonclient.grpc as grpcclient
from tests.classic.grpc_server import GrpcServer, answer, array_of, failed, simple, simple_stream
from tritonclient.grpc import aio, service_pb2, service_pb2_grpc
from tritonclient.http import InferInput as HttpInput

A = np.arange(4, dtype=np.int32)
SERVED = {"ModelInfer": simple, "ModelStreamInfer": simple_stream}


def live(request: Any, context: Any) -> Any:
    return service_pb2.ServerLiveResponse(live=True)


def inputs() -> list[Any]:
    tensors = [grpcclient.InferInput(f"INPUT{n}", [4], "INT32") for n in range(2)]
    for tensor in tensors:
        tensor.set_data_from_numpy(A)
    return tensors


class OwnChannel(grpcclient.InferenceServerClient):
    """A client that leaves out `__init__`, as programs with a balanced channel do."""

    def __init__(self, target: str) -> None:
        grpcclient._client.InferenceServerClientBase.__init__(self)
        self._channel = grpc.insecure_channel(target)
        self._client_stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._verbose = False
        self._stream = None


class OwnAsyncChannel(aio.InferenceServerClient):
    def __init__(self, target: str) -> None:
        aio.InferenceServerClientBase.__init__(self)
        self._channel = grpc.aio.insecure_channel(target)
        self._client_stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._verbose = False


def test_a_channel_of_its_own() -> None:
    with GrpcServer(**SERVED, ServerLive=live) as server, OwnChannel(server.address) as client:
        assert client.is_server_live(headers={"a": "b"})
        assert server.calls[-1].metadata["a"] == "b"
        result = client.infer("simple", inputs(), request_id="7", client_timeout=30)
        assert (result.as_numpy("OUTPUT0") == 2 * A).all()
        assert result.get_response().id == "7"
        with pytest.raises(grpcclient.InferenceServerException) as caught:
            client.get_server_metadata()
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_async_infer_on_a_channel_of_its_own() -> None:
    told: queue.Queue[Any] = queue.Queue()
    with GrpcServer(**SERVED) as server, OwnChannel(server.address) as client:
        context = client.async_infer(
            "simple", inputs(), lambda result, error: told.put((result, error))
        )
        result, error = told.get(timeout=30)
        assert error is None
        assert (result.as_numpy("OUTPUT0") == 2 * A).all()
        assert context.result(timeout=30) is result
    with (
        GrpcServer(ModelInfer=failed("NOT_FOUND", "no such model")) as server,
        OwnChannel(server.address) as client,
    ):
        client.async_infer("simple", inputs(), lambda result, error: told.put((result, error)))
        result, error = told.get(timeout=30)
        assert result is None
        assert error.status() == "StatusCode.NOT_FOUND"


def test_async_infer_on_a_channel_of_its_own_can_be_cancelled() -> None:
    told: queue.Queue[Any] = queue.Queue()

    def never(request: Any, context: Any) -> Any:
        server.ending.wait(60)
        return simple(request, context)

    with GrpcServer(ModelInfer=never) as server, OwnChannel(server.address) as client:
        context = client.async_infer(
            "simple", inputs(), lambda result, error: told.put((result, error))
        )
        server.wait_for_calls(1)
        context.cancel()
        result, error = told.get(timeout=30)
        assert result is None
        assert error.status() == "StatusCode.CANCELLED"


def test_a_stream_on_a_channel_of_its_own() -> None:
    told: queue.Queue[Any] = queue.Queue()
    with GrpcServer(**SERVED) as server, OwnChannel(server.address) as client:
        client.start_stream(lambda result, error: told.put((result, error)))
        for n in range(3):
            client.async_stream_infer("simple", inputs(), request_id=str(n))
        for n in range(3):
            result, error = told.get(timeout=30)
            assert error is None
            assert result.get_response().id == str(n)
        client.stop_stream()


def test_an_awaited_channel_of_its_own() -> None:
    async def run(target: str) -> None:
        client = OwnAsyncChannel(target)
        assert await client.is_server_live()
        result = await client.infer("simple", inputs())
        assert (result.as_numpy("OUTPUT0") == 2 * A).all()
        with pytest.raises(grpcclient.InferenceServerException, match="UNIMPLEMENTED"):
            await client.is_server_ready()

        async def requests() -> Any:
            for n in range(3):
                yield {"model_name": "simple", "inputs": inputs(), "request_id": str(n)}

        ids = [result.get_response().id async for result, _ in client.stream_infer(requests())]
        assert ids == ["0", "1", "2"]
        await client.close()

    with GrpcServer(**SERVED, ServerLive=live) as server:
        asyncio.run(run(server.address))


def test_a_stub_that_is_a_mock() -> None:
    with grpcclient.InferenceServerClient("localhost:1") as client:
        stub = client._client_stub = mock.Mock()
        stub.ServerReady.return_value = service_pb2.ServerReadyResponse(ready=True)
        assert client.is_server_ready()
        stub.ModelInfer.side_effect = lambda request, **options: answer(
            request, array_of(request, 0) - array_of(request, 1)
        )
        result = client.infer("simple", inputs(), client_timeout=1.5)
        assert (result.as_numpy("OUTPUT0") == 0).all()
        assert stub.ModelInfer.call_args.kwargs["timeout"] == 1.5


# Inner attributes that programs read


def test_results_have_their_message_under_its_old_name() -> None:
    with (
        GrpcServer(**SERVED) as server,
        grpcclient.InferenceServerClient(server.address) as client,
    ):
        result = client.infer("simple", inputs())
        assert [output.name for output in result._result.outputs] == ["OUTPUT0"]
        again = pickle.loads(pickle.dumps(result))
        assert (again.as_numpy("OUTPUT0") == 2 * A).all()
        assert again.get_response() == result.get_response()


def test_inputs_and_outputs_have_their_parts_under_old_names() -> None:
    tensor = inputs()[0]
    assert tensor._raw_content == A.tobytes()
    assert tensor._input.name == "INPUT0"
    tensor._raw_content = bytes(16)
    assert tensor._get_content() == bytes(16)
    assert grpcclient.InferRequestedOutput("OUT", 2)._output.name == "OUT"
    over_http = HttpInput("X", [4], "INT32")
    assert over_http._raw_data is None
    over_http.set_data_from_numpy(A)
    assert over_http._raw_data == A.tobytes()
    over_http.set_data_from_numpy(A, binary_data=False)
    assert over_http._raw_data is None


def test_an_empty_message_of_contents_beside_raw_contents() -> None:
    """MLServer answers so."""
    response = service_pb2.ModelInferResponse(model_name="m")
    output = response.outputs.add(name="x", datatype="FP32", shape=[2])
    output.contents.SetInParent()
    nothing = response.outputs.add(name="y", datatype="FP32", shape=[0])
    nothing.contents.SetInParent()
    response.raw_output_contents.append(np.array([1, 2], np.float32).tobytes())
    response.raw_output_contents.append(b"")
    result = grpcclient.InferResult(response)
    x, y = result.as_numpy("x"), result.as_numpy("y")
    assert x is not None
    assert y is not None
    assert x.tolist() == [1, 2]
    assert y.shape == (0,)
