"""The gRPC front, end to end over grpcio's own channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.record_vectors.rpc_inference import failing, simple
from tests.record_vectors.rpc_recorder import Message, encode
from tests.server.conftest import MODELS
from tritonclient.codec import messages_pb, rpc
from tritonclient.server import Server

LIMITLESS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


def connect(server: Server) -> grpc.Channel:
    return grpc.insecure_channel(server.grpc_address, LIMITLESS)


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with connect(server) as channel:
        yield channel


Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(channel: grpc.Channel) -> Ask:
    """Makes unary calls; the answer's message, or the error."""

    def call(method: str, timeout: float = 30, /, **fields: Any) -> Any:
        callable = channel.unary_unary(f"/{rpc.SERVICE}/{method}")
        data = callable(encode(f"{method}Request", fields), timeout=timeout)
        return messages_pb.message(f"{method}Response").FromString(data)

    return call


def stream(
    channel: grpc.Channel, *messages: Message, metadata: Any = None, timeout: float = 30
) -> Any:
    """A stream with all requests sent at once; the call, which gives bytes."""
    data = [encode("ModelInferRequest", message) for message in messages]
    callable = channel.stream_stream(f"/{rpc.SERVICE}/ModelStreamInfer")
    return callable(iter(data), metadata=metadata, timeout=timeout)


def answers(call: Any) -> list[Any]:
    return [messages_pb.message("ModelStreamInferResponse").FromString(data) for data in call]


def test_every_procedure(ask: Ask) -> None:
    assert ask("ServerLive").live
    assert ask("ServerReady").ready
    assert ask("ModelReady", name="simple").ready
    assert not ask("ModelReady", name="nope").ready
    assert ask("ServerMetadata").name == "triton"
    assert ask("ModelMetadata", name="versioned").versions == ["1", "2"]
    assert ask("ModelConfig", name="simple").config.max_batch_size == 8
    assert ask("ModelInfer", **simple(id="7")).id == "7"
    assert ask("ModelStatistics", name="simple").model_stats[0].inference_count > 0
    assert "simple" in {model.name for model in ask("RepositoryIndex", ready=True).models}
    ask("RepositoryModelUnload", model_name="versioned")
    assert not ask("ModelReady", name="versioned").ready
    ask("RepositoryModelLoad", model_name="versioned")
    assert ask("ModelReady", name="versioned").ready
    assert not ask("SystemSharedMemoryStatus").regions
    ask("SystemSharedMemoryUnregister")
    assert not ask("CudaSharedMemoryStatus").regions
    ask("CudaSharedMemoryUnregister")
    assert ask("TraceSetting").settings["trace_count"].value == ["-1"]
    assert ask("LogSettings").settings["log_info"].bool_param


def test_stream(channel: grpc.Channel) -> None:
    requests = [simple(id=str(n)) for n in range(9)] + [failing("on purpose", id="bad")]
    found = {each.infer_response.id: each for each in answers(stream(channel, *requests))}
    assert set(found) == {*map(str, range(9)), "bad"}
    assert "on purpose" in found["bad"].error_message
    assert not any(found[str(n)].error_message for n in range(9))
