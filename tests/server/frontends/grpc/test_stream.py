"""Streams of the gRPC front, end to end over grpcio's own channels."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from scripts.record_vectors.rpc_inference import (
    Json,
    failing,
    parameters,
    raw,
    simple,
    tensor,
    typed,
)
from scripts.record_vectors.rpc_recorder import encode

from tests.server.conftest import MODELS, RepositoryMaker
from tests.server.frontends.grpc.support import LIMITLESS, PATIENT, asking, fp32, patient, refused
from tests.support.waiting import eventually
from tritonclient.codec import messages_pb, rpc
from tritonclient.server import Server
from tritonclient.server.frontends.grpc import stream as grpc_stream

PATH = f"/{rpc.SERVICE}/ModelStreamInfer"
#: Each of its instances waits until all execute at the same time.
MEETING = """
import pathlib, time
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.own = pathlib.Path(__file__ + "." + args["model_instance_name"])
    def execute(self, requests):
        self.own.touch()
        while len(list(self.own.parent.glob("*.meeting_*"))) < 3:
            time.sleep(0.001)
        tensor = pb_utils.Tensor("OUT", requests[0].inputs()[0].as_numpy())
        return [pb_utils.InferenceResponse([tensor])]
"""
#: Answers with responses of as many elements as it is told until it is cancelled, and tells how
#: many it has sent.
FLOOD = """
import threading
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            size = int(request.inputs()[0].as_numpy()[0])
            sender = request.get_response_sender()
            threading.Thread(target=self.flood, args=(sender, size)).start()
    def flood(self, sender, size):
        sent = 0
        while not sender.is_cancelled():
            tensor = pb_utils.Tensor("OUT", np.full(size, sent, np.float32))
            sender.send(pb_utils.InferenceResponse([tensor]))
            sent += 1
            with open(__file__ + ".sent", "w") as file:
                file.write(str(sent))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        open(__file__ + ".cancelled", "w").close()
"""
CONFIG = """
backend: "python"
input [ { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
DECOUPLED = CONFIG + "model_transaction_policy { decoupled: true }"
#: Responds to each value: below zero is an error, after which it goes on; nothing ends.
MIXED = """
import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for value in request.inputs()[0].as_numpy().tolist():
                error = pb_utils.TritonError(f"no {value}") if value < 0 else None
                tensor = pb_utils.Tensor("OUT", np.array([value], np.float32))
                sender.send(pb_utils.InferenceResponse([] if error else [tensor], error))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


#: Adds up the values of each sequence.
SUM = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    sums = {}
    def execute(self, requests):
        (request,) = requests
        if request.flags() & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            self.sums[request.correlation_id()] = 0
        self.sums[request.correlation_id()] += request.inputs()[0].as_numpy()
        tensor = pb_utils.Tensor("OUT", self.sums[request.correlation_id()])
        return [pb_utils.InferenceResponse([tensor])]
"""


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    with Server(MODELS) as server, connect(server) as channel:
        yield channel


def connect(server: Server) -> grpc.Channel:
    return grpc.insecure_channel(server.grpc_address, LIMITLESS)


def stream(channel: grpc.Channel, *requests: Json | bytes, **options: Any) -> list[Any]:
    """The responses to requests that are sent at once."""
    data = [encode("ModelInferRequest", request) for request in requests]
    return [parse(each) for each in channel.stream_stream(PATH)(iter(data), timeout=30, **options)]


def parse(data: bytes) -> Any:
    return messages_pb.message("ModelStreamInferResponse").FromString(data)


class Open:
    """A stream that stays open, to send and to receive by hand."""

    def __init__(self, channel: grpc.Channel, timeout: float = 30, **options: Any) -> None:
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.call = channel.stream_stream(PATH)(
            iter(self._requests.get, None), timeout=timeout, **options
        )

    def send(self, *requests: Json) -> None:
        for request in requests:
            self._requests.put(encode("ModelInferRequest", request))

    def receive(self) -> Any:
        return parse(next(self.call))

    def finish(self) -> None:
        self._requests.put(None)

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *error: object) -> None:
        self.finish()
        self.call.cancel()


def repeat(*values: int, **more: object) -> Json:
    """A request to the decoupled model `repeat_int32`, which responds to each value at once."""
    inputs = [
        tensor("IN", "INT32", [len(values)]),
        tensor("DELAY", "UINT32", [len(values)]),
        tensor("WAIT", "UINT32", [1]),
    ]
    data = np.array(values, "<i4").tobytes()
    return raw("repeat_int32", inputs, data, bytes(len(data)), bytes(4), **more)


def id_of(response: Any) -> str:
    return str(response.infer_response.id)


def final(response: Any) -> bool:
    return bool(response.infer_response.parameters["triton_final_response"].bool_param)


def values(responses: list[Any]) -> list[int]:
    return [
        int(np.frombuffer(data, "<i4")[0])
        for response in responses
        for data in response.infer_response.raw_output_contents
    ]


# Requests and responses


def test_many_requests_at_once(either: grpc.Channel) -> None:
    requests = [simple(id=str(n)) for n in range(2 * grpc_stream._REQUESTS)]
    responses = stream(either, *requests)
    assert sorted(map(id_of, responses), key=int) == [each["id"] for each in requests]
    assert all(map(final, responses))
    assert stream(either) == []


def test_a_stream_is_open_before_its_first_request(channel: grpc.Channel) -> None:
    with Open(channel) as opened:
        assert opened.call.initial_metadata() is not None  # waits for the headers
        opened.send(simple(id="1"))
        assert id_of(opened.receive()) == "1"


def test_requests_are_executed_at_the_same_time(repository: RepositoryMaker) -> None:
    config = CONFIG + "instance_group [ { count: 3 } ]"
    repository.python("meeting", MEETING, config)
    with Server(repository.directory) as server, connect(server) as channel:
        assert len(stream(channel, *[fp32("meeting", [1])] * 3)) == 3


def slow(milliseconds: int, id: str) -> Json:
    inputs = [tensor("INPUT0", "INT32", [1]), tensor("DELAY_MS", "INT32", [1])]
    return raw("slow_identity", inputs, bytes(4), milliseconds.to_bytes(4, "little"), id=id)


def test_responses_come_in_the_order_of_their_requests(either: grpc.Channel) -> None:
    """For every model, and also for rejected requests."""
    requests = [slow(300, "1"), slow(0, "2"), simple(id="3"), simple(id="4", model_name="nope")]
    requests += [simple(id=str(n)) for n in range(5, 200)]
    assert [id_of(each) for each in stream(either, *requests)] == [str(n) for n in range(1, 200)]


def test_decoupled_responses_wait_for_no_others(either: grpc.Channel) -> None:
    with Open(either) as opened:
        opened.send(slow(300, "slow"), repeat(1, id="decoupled"), simple(id="behind"))
        assert [id_of(opened.receive()) for _ in range(3)] == ["decoupled", "slow", "behind"]


def test_decoupled(either: grpc.Channel) -> None:
    responses = stream(either, repeat(1, 2, 3, id="7"))
    assert values(responses) == [1, 2, 3]
    assert [id_of(each) for each in responses] == ["7"] * 3
    assert not any(map(final, responses))
    asked = {"triton_enable_empty_final_response": {"bool_param": True}}
    responses = stream(either, repeat(4, 5, parameters=asked))
    assert list(map(final, responses)) == [False, False, True]
    assert not responses[-1].infer_response.outputs


def test_decoupled_requests_take_turns(either: grpc.Channel) -> None:
    """Both responses of the one come between those of the other, which its client sees at once."""
    with Open(either) as opened:
        slow = repeat(1, 2, id="slow")
        slow["raw_input_contents"][1] = np.array([0, 400], "<u4").tobytes()
        opened.send(slow)
        assert id_of(opened.receive()) == "slow"
        opened.send(repeat(3, 4, id="quick"))
        assert [id_of(opened.receive()) for _ in range(3)] == ["quick", "quick", "slow"]


def test_sequences(repository: RepositoryMaker) -> None:
    repository.python("sum", SUM)
    requests = [
        fp32("sum", [sequence * n])
        | {"id": str(sequence), "parameters": parameters(sequence_id=sequence, **flags)}
        for n in range(1, 100)
        for sequence in (1, 2, 3)
        for flags in [{"sequence_start": n == 1, "sequence_end": n == 99}]
    ]
    with Server(repository.directory) as server, connect(server) as channel:
        responses = stream(channel, *requests)
    for sequence in (1, 2, 3):
        sums = [
            float(np.frombuffer(each.infer_response.raw_output_contents[0], "<f4")[0])
            for each in responses
            if id_of(each) == str(sequence)
        ]
        assert sums == [sequence * n * (n + 1) / 2 for n in range(1, 100)]


def test_more_sequences_than_their_model_has_room_for(either: grpc.Channel) -> None:
    """The ninth begins when another has ended, which is later on the same stream."""
    requests = [
        raw("simple_sequence", [tensor("INPUT", "INT32", [1, 1])], n.to_bytes(4, "little"))
        | {"id": str(sequence), "parameters": parameters(sequence_id=sequence, **flags)}
        for n in range(100)
        for sequence in range(1, 10)
        for flags in [{"sequence_start": n == 0, "sequence_end": n == 99}]
    ]
    responses = stream(either, *requests)
    assert not any(each.error_message for each in responses)
    assert [id_of(each) for each in responses] == [each["id"] for each in requests]
    # The first response of each is one more than its request.
    assert values(responses)[:18] == [1] * 18


def test_a_stream_goes_on_after_an_answer(either: grpc.Channel) -> None:
    with Open(either) as opened:
        for n in range(3):
            opened.send(simple(id=str(n)))
            assert id_of(opened.receive()) == str(n)
        opened.finish()
        assert list(opened.call) == []
        assert opened.call.code() is grpc.StatusCode.OK


# Errors


def test_errors_in_between(either: grpc.Channel) -> None:
    both = typed(id="wrong") | {"raw_input_contents": [bytes(64)] * 2}
    requests = [simple(id="1"), failing("on purpose", id="failed"), both, simple(id="2")]
    requests.insert(2, simple(model_name="nope", id="unknown"))
    found = {id_of(each): each for each in stream(either, *requests)}
    assert set(found) == {"1", "2", "failed", "unknown", "wrong"}
    assert "TritonModelException: on purpose" in found["failed"].error_message
    assert found["unknown"].error_message == "Request for unknown model: 'nope' is not found"
    assert found["wrong"].error_message.startswith("contents field must not be specified")
    assert not found["1"].error_message
    # What Triton says of an error depends on where it came from.
    assert found["failed"].infer_response.model_name == "failing"
    assert final(found["failed"])
    assert not found["unknown"].infer_response.model_name
    assert not found["unknown"].infer_response.parameters


def test_errors_of_a_decoupled_model(repository: RepositoryMaker) -> None:
    repository.python("mixed", MIXED, DECOUPLED)
    with Server(repository.directory) as server, connect(server) as channel:
        responses = stream(channel, fp32("mixed", [1, -2, 3]) | {"id": "7"})
    assert [each.error_message for each in responses] == ["", "no -2.0", ""]
    assert [id_of(each) for each in responses] == ["7"] * 3
    assert not any(map(final, responses))


ERRORS_END_IT = (("triton_grpc_error", "true"),)


@pytest.mark.parametrize("wrong", [failing("on purpose"), simple(model_name="nope")])
def test_errors_that_are_to_end_the_stream(channel: grpc.Channel, wrong: Json) -> None:
    with Open(channel, metadata=ERRORS_END_IT) as opened:
        opened.send(simple(id="1"))
        assert id_of(opened.receive()) == "1"
        opened.send(wrong)
        with pytest.raises(grpc.RpcError) as caught:
            opened.receive()
    unknown = wrong["model_name"] == "nope"
    expected = grpc.StatusCode.NOT_FOUND if unknown else grpc.StatusCode.INTERNAL
    assert caught.value.code() is expected
    assert ("nope" if unknown else "on purpose") in str(caught.value.details())


def test_an_error_that_ends_the_stream_ends_what_is_in_work(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place), connect(server) as channel:
        with Open(channel, metadata=ERRORS_END_IT) as opened:
            opened.send(fp32("patient", [1]))
            eventually((place / "model.py.executing").exists)
            opened.send(fp32("nope", [1]))
            with refused(grpc.StatusCode.NOT_FOUND):
                opened.receive()
            eventually((place / "model.py.cancelled").exists)


def test_errors_are_messages_unless_told_otherwise(channel: grpc.Channel) -> None:
    (response,) = stream(
        channel, simple(model_name="nope"), metadata=(("triton_grpc_error", "false"),)
    )
    assert response.error_message


def test_what_is_no_message_ends_the_stream(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stream(channel, b"\xff\xff", simple())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert str(caught.value.details()).startswith("Unable to parse request: ")


# Ends


def test_a_client_that_cancels(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place), connect(server) as channel:
        with Open(channel) as opened:
            opened.send(fp32("patient", [1]))
            eventually((place / "model.py.executing").exists)
            opened.call.cancel()
            eventually((place / "model.py.cancelled").exists)


def test_a_deadline_ends_the_work(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place), connect(server) as channel:
        with Open(channel, timeout=0.5) as opened:
            opened.send(fp32("patient", [1]))
            with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
                opened.receive()
            eventually((place / "model.py.cancelled").exists)


def test_stopping_with_open_streams(repository: RepositoryMaker) -> None:
    """Those that wait for requests end at once, those that have some when these are answered."""
    repository.copy("repeat_int32")
    with Server(repository.directory, exit_timeout=60) as server:
        channel = connect(server)
        idle, never_used, busy = (Open(channel) for _ in range(3))
        idle.send(repeat(1))
        assert values([idle.receive()]) == [1]
        request = repeat(1, 2)
        request["raw_input_contents"][1] = np.array([0, 300], "<u4").tobytes()
        busy.send(request)
        assert values([busy.receive()]) == [1]
    with channel:
        assert values([busy.receive()]) == [2]
        for each in (idle, never_used, busy):
            with refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
                each.receive()
            each.finish()


def test_stopping_cancels_what_takes_too_long(repository: RepositoryMaker) -> None:
    with patient(repository, exit_timeout=0) as (server, place):
        channel = connect(server)
        opened = Open(channel)
        opened.send(fp32("patient", [1]))
        eventually((place / "model.py.executing").exists)
    with channel, opened, refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
        opened.receive()
    assert (place / "model.py.cancelled").exists()


# Back-pressure


def flooded(repository: RepositoryMaker) -> tuple[Path, Callable[[], int]]:
    """The model FLOOD; where it says that it was cancelled, and how many responses it has sent."""
    place = repository.python("flood", FLOOD, DECOUPLED) / "1"
    counter = place / "model.py.sent"

    def sent() -> int:
        return int((counter.exists() and counter.read_text()) or 0)

    return place / "model.py.cancelled", sent


def settled(count: Callable[[], int], channel: grpc.Channel) -> int:
    """A count, when it has not changed for as long as two hundred calls take."""
    ask = asking(channel)
    while True:
        before = count()
        for _ in range(200):
            ask("ServerLive")
        if before and count() == before:
            return before


def test_a_slow_reader_makes_the_model_wait(repository: RepositoryMaker) -> None:
    cancelled, sent = flooded(repository)
    with Server(repository.directory, exit_timeout=0) as server, connect(server) as other:
        channel = connect(server)
        with channel, Open(channel) as opened:
            opened.send(fp32("flood", [1 << 18]))
            before = settled(sent, other)
            assert before < 50  # of a mebibyte each
            for n in range(before + 10):
                (data,) = opened.receive().infer_response.raw_output_contents
                assert np.frombuffer(data, "<f4")[0] == n
            eventually(lambda: sent() >= before + 10)
            opened.call.cancel()
            eventually(cancelled.exists)


def test_an_error_ends_the_stream_of_a_slow_reader(
    repository: RepositoryMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first response is still on the way then."""
    cancelled, sent = flooded(repository)
    with Server(repository.directory, exit_timeout=0) as server:
        channel = connect(server)
        with channel, Open(channel, metadata=ERRORS_END_IT) as opened:
            opened.send(fp32("flood", [1 << 23]))
            eventually(lambda: sent() > 1)
            opened.send(simple(model_name="nope"))
            eventually(cancelled.exists)
            with refused(grpc.StatusCode.NOT_FOUND):
                while True:
                    opened.receive()
    assert not caplog.records


def test_a_slow_reader_makes_nobody_else_wait(repository: RepositoryMaker) -> None:
    _, sent = flooded(repository)
    repository.python("a")
    with Server(repository.directory, exit_timeout=0) as server, connect(server) as other:
        channel = connect(server)
        with channel, Open(channel) as opened:
            opened.send(*[fp32("flood", [1 << 18])] * 20)
            settled(sent, other)
            assert len(stream(other, *[fp32("a", [n]) for n in range(20)])) == 20


def test_a_slow_reader_does_not_keep_the_server(repository: RepositoryMaker) -> None:
    cancelled, sent = flooded(repository)
    with Server(repository.directory, exit_timeout=0) as server, connect(server) as other:
        channel = connect(server)
        opened = Open(channel)
        opened.send(*[fp32("flood", [1 << 18])] * 3)
        settled(sent, other)
    assert cancelled.exists()
    with channel, opened, refused(grpc.StatusCode.UNAVAILABLE):
        while True:
            opened.receive()


@pytest.fixture
def threads() -> Callable[[], int]:
    """Counts the threads that wait for responses, but those of other servers."""

    def found() -> set[threading.Thread]:
        return {
            each for each in threading.enumerate() if each.name.startswith("tritonclient-stream")
        }

    others = found()
    return lambda: len(found() - others)


def test_so_many_requests_are_in_work(
    repository: RepositoryMaker, threads: Callable[[], int]
) -> None:
    repository.python("patient", PATIENT)
    message = encode("ModelInferRequest", fp32("patient", [1]))
    with Server(repository.directory, exit_timeout=0) as server, connect(server) as other:
        with connect(server) as channel:
            call = channel.stream_stream(PATH)(iter([message] * 1000))
            eventually(lambda: threads() >= grpc_stream._REQUESTS)
            assert settled(threads, other) == grpc_stream._REQUESTS
            call.cancel()


def test_so_many_bytes_are_in_work(repository: RepositoryMaker, threads: Callable[[], int]) -> None:
    repository.python("patient", PATIENT)
    message = encode("ModelInferRequest", fp32("patient", np.zeros(1 << 22, "<f4")))
    taken = 0
    cancelled = threading.Event()

    def requests() -> Iterator[bytes]:
        nonlocal taken
        while not cancelled.is_set():
            taken += 1
            yield message

    with Server(repository.directory, exit_timeout=0) as server, connect(server) as other:
        with connect(server) as channel:
            call = channel.stream_stream(PATH)(requests())
            most = settled(lambda: taken, other)
            assert threads() == grpc_stream._BYTES // len(message) == 3
            assert most < 30  # with those that the connection holds
            cancelled.set()
            call.cancel()
