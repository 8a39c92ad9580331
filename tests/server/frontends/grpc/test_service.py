"""The gRPC front, end to end over grpcio's own channels."""

from __future__ import annotations

import threading
import zlib

import grpc
import grpc.aio
import numpy as np
import pytest
from scripts.record_vectors.rpc_inference import raw, simple, tensor
from scripts.record_vectors.rpc_recorder import encode

from tests.server.conftest import MODELS, RepositoryMaker
from tests.server.frontends.grpc.support import (
    Ask,
    asking,
    fp32,
    patient,
    procedure,
    refused,
    stream,
)
from tests.support.waiting import eventually
from tritonclient.codec import messages_pb, rpc
from tritonclient.server import GrpcOptions, Server

#: Adds 1 to its input, in its own memory.
IN_PLACE = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        (tensor,) = requests[0].inputs()
        array = tensor.as_numpy()
        array += 1
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])]
"""
#: Tells when it executes, and takes a while.
SLOW = """
import time
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        time.sleep(0.2)
        tensor = pb_utils.Tensor("OUT", requests[0].inputs()[0].as_numpy())
        return [pb_utils.InferenceResponse([tensor])]
"""
WORDY = """
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("\N{GREEK SMALL LETTER OMEGA}" * 99999)
"""


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


@pytest.mark.parametrize("wanted", [True, False])
def test_a_unary_call_may_ask_for_an_empty_final_response(
    either: grpc.Channel, wanted: bool
) -> None:
    parameters = {"triton_enable_empty_final_response": {"bool_param": wanted}}
    answer = asking(either)("ModelInfer", **simple(id="7", parameters=parameters))
    assert answer.id == "7"
    assert not answer.parameters
    assert len(answer.outputs) == 2


def test_every_procedure_has_a_handler(channel: grpc.Channel) -> None:
    service = messages_pb.file("grpc_service.proto").services_by_name["GRPCInferenceService"]
    assert len(service.methods) == 20
    for method in service.methods:
        with pytest.raises(grpc.RpcError) as caught:
            # No message has this form.
            channel.stream_stream(f"/{rpc.SERVICE}/{method.name}")(iter([b"\xff"])).result()
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert str(caught.value.details()).startswith("Unable to parse request")


def test_procedure_that_is_none(channel: grpc.Channel) -> None:
    with refused(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"):
        procedure(channel, "Nope")(b"")


def test_errors_have_the_code_of_their_kind(ask: Ask) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'nope' is not found"):
        ask("ModelInfer", **simple(model_name="nope"))
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference output 'X' for model 'simple'"
    ):
        ask("ModelInfer", **simple(outputs=[{"name": "X"}]))


def test_words_of_an_error_that_are_too_many_for_clients(repository: RepositoryMaker) -> None:
    repository.python("a", WORDY)
    with Server(repository.directory) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                asking(channel)("ModelInfer", **fp32("a", [1]))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = str(caught.value.details())
    assert "ValueError: \N{GREEK SMALL LETTER OMEGA}" in details
    assert details.endswith("\N{GREEK SMALL LETTER OMEGA}...")


def test_large_messages(ask: Ask) -> None:
    data = bytes(range(256)) * (1 << 17)  # 32 MiB, and clients and servers refuse 4 by default
    request = raw("identity_fp32", [tensor("INPUT0", "FP32", [len(data) // 4])], data)
    assert ask("ModelInfer", **request).raw_output_contents == [data]


def test_models_may_write_to_their_inputs(repository: RepositoryMaker) -> None:
    repository.python("a", IN_PLACE)
    with Server(repository.directory) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            (data,) = asking(channel)("ModelInfer", **fp32("a", [1, 2])).raw_output_contents
    assert np.frombuffer(data, "<f4").tolist() == [2, 3]


# Calls that end early


def test_a_client_that_cancels(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            message = encode("ModelInferRequest", fp32("patient", [1]))
            call = procedure(channel, "ModelInfer").future(message)
            eventually((place / "model.py.executing").exists)
            call.cancel()
            eventually((place / "model.py.cancelled").exists)


def test_a_deadline_ends_the_work(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                asking(channel)("ModelInfer", 0.5, **fp32("patient", [1]))
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            eventually((place / "model.py.cancelled").exists)


def test_stopping_cancels_what_takes_too_long(
    repository: RepositoryMaker, caplog: pytest.LogCaptureFixture
) -> None:
    with patient(repository, exit_timeout=0) as (server, place):
        channel = grpc.insecure_channel(server.grpc_address)
        message = encode("ModelInferRequest", fp32("patient", [1]))
        call = procedure(channel, "ModelInfer").future(message)
        eventually((place / "model.py.executing").exists)
    with channel, refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
        call.result()
    assert "cancelled 1 call(s) that took longer than the exit timeout of 0 s" in caplog.text
    assert (place / "model.py.cancelled").exists()


def test_stopping_does_not_wait_for_a_request_that_never_ends(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory, exit_timeout=0) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        forever = threading.Event()
        half = channel.stream_unary(f"/{rpc.SERVICE}/ModelInfer").future(iter(forever.wait, None))
        assert asking(channel)("ServerReady").ready
    with channel, pytest.raises(grpc.RpcError):
        half.result()
    forever.set()


def test_stopping_waits_for_what_is_in_work(repository: RepositoryMaker) -> None:
    executing = repository.python("slow", SLOW) / "1" / "model.py.executing"
    with Server(repository.directory) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        call = procedure(channel, "ModelInfer").future(
            encode("ModelInferRequest", fp32("slow", [7]))
        )
        eventually(executing.exists)
    with channel:
        answer = messages_pb.message("ModelInferResponse").FromString(call.result())
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [7]


def test_nobody_waits_for_a_model_to_learn_how_the_server_is(repository: RepositoryMaker) -> None:
    with patient(repository, exit_timeout=0) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            message = encode("ModelInferRequest", fp32("patient", [1]))
            calls = [procedure(channel, "ModelInfer").future(message) for _ in range(300)]
            eventually((place / "model.py.executing").exists)
            assert asking(channel)("ServerReady").ready
            for call in calls:
                call.cancel()


# Compression


@pytest.mark.parametrize(
    ("level", "magic"), [("none", b"\x0a\x06"), ("low", b"\x1f\x8b"), ("high", b"\x78\x01")]
)
def test_compressed_answers(level: str, magic: bytes) -> None:
    """Seen by a client that leaves them as they come."""
    as_they_come = [("grpc.per_message_decompression", 0)]
    options = GrpcOptions(compression_level=level)
    message = encode("ModelInferRequest", simple(id="x" * 99))
    with Server(MODELS, http_port=None, grpc=options) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            plain = procedure(channel, "ModelInfer")(message)
        with grpc.insecure_channel(server.grpc_address, as_they_come) as channel:
            found = procedure(channel, "ModelInfer")(message)
            streamed = next(stream(channel, message))
    assert found[:2] == magic
    assert (found if level == "none" else zlib.decompress(found, 47)) == plain
    assert (streamed[:2] == magic) == (level != "none")


def test_no_compressed_answers_for_those_who_do_not_take_them() -> None:
    none = [
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.per_message_decompression", 0),
    ]
    with Server(MODELS, http_port=None, grpc=GrpcOptions(compression_level="high")) as server:
        with grpc.insecure_channel(server.grpc_address, none) as channel:
            answer = procedure(channel, "ModelInfer")(
                encode("ModelInferRequest", simple(id="x" * 99))
            )
    assert answer.startswith(b"\x0a\x06simple")


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests(server: Server, coding: grpc.Compression) -> None:
    with grpc.insecure_channel(server.grpc_address, compression=coding) as channel:
        assert asking(channel)("ModelInfer", **simple(id="x" * 99)).id == "x" * 99
