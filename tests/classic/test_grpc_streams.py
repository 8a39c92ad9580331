"""Streams of the classic blocking client over gRPC."""

from __future__ import annotations

import gc
import logging
import queue
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from tests.classic.grpc_server import GrpcServer, array_of, failed, simple_stream, streamed
from tests.classic.runtimes import Told, grpc_input, grpc_pair
from tests.conftest import MODELS
from tests.support.peers import hostile_peers
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, free_port
from tests.support.servers import triton as real_triton
from tests.support.waiting import eventually
from tritonclient.codec.rpc import SERVICE
from tritonclient.grpc import (
    InferenceServerClient,
    InferenceServerException,
    service_pb2,
    service_pb2_grpc,
)
from tritonclient.grpc._infer_stream import _InferStream, _RequestIterator
from tritonclient.grpc._utils import _get_inference_request

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)
ENDED = (
    "The stream is no longer in valid state, the error detail is reported through provided "
    "callback. A new stream should be started after stopping the current stream."
)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def server():
    with GrpcServer(ModelStreamInfer=simple_stream) as server:
        yield server


@pytest.fixture
def client(server):
    with InferenceServerClient(server.address) as client:
        yield client


def send(client, number=1, **options):
    client.async_stream_infer("simple", grpc_pair(A, ONES * number), **options)


def no_threads_stay():
    """Wait until all threads of clients have ended."""
    for thread in threading.enumerate():
        if thread.name == "tritonclient-stream":
            thread.join(PATIENCE)
            assert not thread.is_alive()


# Requests and responses


def test_responses_come_in_order(client, told):
    client.start_stream(told)
    for number in range(10):
        send(client, number, request_id=str(number))
    for number in range(10):
        result, error = told.get()
        assert error is None
        assert result.get_response().id == str(number)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + number)
        assert result.get_output("OUTPUT0", as_json=True)["shape"] == ["1", "16"]
    client.stop_stream()
    assert len(told.threads) == 1
    assert threading.current_thread() not in told.threads


def test_callbacks_are_called_by_name(client):
    called = queue.Queue()

    def callback(data, error, result):
        called.put((data, error, result is not None))

    client.start_stream(callback=partial(callback, "mine"))
    send(client)
    assert called.get(timeout=PATIENCE) == ("mine", None, True)
    client.stop_stream()


def test_what_is_sent(server, client, told):
    seen = []
    client.register_plugin(lambda request: seen.append(request.headers.update(mine="2")))
    client.start_stream(told, headers={"Other": 1}, compression_algorithm="GZIP")
    for empty in (False, True):
        send(
            client,
            model_version="1",
            sequence_id="s",
            sequence_end=True,
            priority=1,
            timeout=5,
            parameters={"a": 1.5},
            enable_empty_final_response=empty,
        )
        assert told.get()[1] is None
    client.stop_stream()
    assert len(seen) == 1  # once for the stream
    (call,) = server.calls
    assert (call.metadata["mine"], call.metadata["other"]) == ("2", "1")


@pytest.mark.parametrize("empty", [False, True])
def test_parameters_of_a_request(told, empty):
    requests = queue.Queue()

    def procedure(stream, context):
        for request in stream:
            requests.put(request)
            yield streamed(request, A)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client, request_id="7", sequence_id=3, enable_empty_final_response=empty)
            told.get()
    request = requests.get()
    expected = _get_inference_request(
        "simple", grpc_pair(A, ONES), "", "7", None, 3, False, False, 0, None, None
    )
    if empty:
        expected.parameters["triton_enable_empty_final_response"].bool_param = True
    assert request == expected


def test_wrong_arguments_are_told_at_once(client, told):
    client.start_stream(told)
    for options in ({"model_version": 1}, {"parameters": {"triton_x": 1}}):
        with pytest.raises(InferenceServerException):
            send(client, **options)
    with pytest.raises(InferenceServerException, match="expected a name"):
        client.async_stream_infer("", [])
    send(client)
    assert told.get()[1] is None


def test_an_error_of_one_request(told):
    def procedure(requests, context):
        for request in requests:
            if request.id == "bad":
                response = service_pb2.ModelStreamInferResponse(error_message="no")
                response.infer_response.id = "bad"
                yield response
            else:
                yield streamed(request, A)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client, request_id="bad")
            result, error = told.get()
            assert result is None
            assert (str(error), error.status(), error.debug_details()) == ("no", None, None)
            assert (error.request_id, type(error)) == ("bad", InferenceServerException)
            send(client)  # the stream goes on
            assert told.get()[1] is None


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("kind", ["embedded", "triton"])
def test_decoupled_models(request, kind, told, empty):
    url = request.getfixturevalue(kind).grpc_url
    with InferenceServerClient(url.removeprefix("grpc://")) as client:
        client.start_stream(told)
        inputs = [
            grpc_input("IN", np.int32([4, 5]), "INT32"),
            grpc_input("DELAY", np.uint32([1, 1]), "UINT32"),
            grpc_input("WAIT", np.uint32([1]), "UINT32"),
        ]
        client.async_stream_infer(
            "repeat_int32", inputs, request_id="7", enable_empty_final_response=empty
        )
        for number in (4, 5):
            result, error = told.get()
            assert error is None
            assert result.as_numpy("OUT").tolist() == [number]
            assert result.get_response().id == "7"
            assert result.get_response().parameters["triton_final_response"].bool_param is False
        client.stop_stream()
        if empty:
            result, error = told.get()
            assert result.as_numpy("OUT") is None
            assert result.get_response().parameters["triton_final_response"].bool_param is True
        assert told.queue.empty()


def fail(url, told, headers=None):
    """Ask a model that fails, and return the error."""
    with InferenceServerClient(url.removeprefix("grpc://")) as client:
        client.start_stream(told, headers=headers)
        client.async_stream_infer("failing", [grpc_input("MESSAGE", np.array(["oops"]), "BYTES")])
        result, error = told.get()
        assert result is None
        client.stop_stream()
    return error


@pytest.mark.parametrize("kind", ["embedded", "triton"])
def test_errors_do_not_end_the_stream(request, kind, told):
    error = fail(request.getfixturevalue(kind).grpc_url, told)
    assert "oops" in error.message()
    assert error.status() is None


ERRORS_END_IT = {"triton_grpc_error": "true"}


def test_errors_that_end_the_stream_when_asked_for(embedded, told):
    error = fail(embedded.grpc_url, told, ERRORS_END_IT)
    assert "oops" in error.message()
    assert error.status() == "StatusCode.INTERNAL"


@pytest.mark.usefixtures("triton")  # which says what to do where there is none
def test_errors_that_end_the_stream_of_triton_when_asked_for(tmp_path, told):
    """It ends itself now and then, some time after it was asked for that; so not the shared one."""
    shutil.copytree(MODELS / "failing", tmp_path / "models" / "failing")
    with real_triton.KeptServer(tmp_path / "models") as kept:
        for _ in range(10):
            error = fail(kept.server.grpc_url, told, ERRORS_END_IT)
            if error.status() != "StatusCode.UNAVAILABLE":
                break
            eventually(lambda: not kept.is_running)
            kept.restart_if_ended()
        assert "oops" in error.message()
        assert error.status() == "StatusCode.INTERNAL"


# Beginnings


def test_there_is_one_stream(client, told):
    with pytest.raises(InferenceServerException) as caught:
        send(client)
    assert str(caught.value) == "stream not available, use start_stream() to make one available."
    client.stop_stream()  # harmless
    client.start_stream(told)
    with pytest.raises(InferenceServerException) as caught:
        client.start_stream(told)
    assert str(caught.value) == (
        "cannot start another stream with one already running. 'InferenceServerClient' supports "
        "only a single active stream at a given time."
    )
    client.stop_stream()
    client.start_stream(told)
    send(client)
    assert told.get()[1] is None


def test_a_stream_that_can_not_be_opened(told):
    with InferenceServerClient(f"127.0.0.1:{free_port()}") as client:
        client.start_stream(told)
        result, error = told.get()
        assert result is None
        assert error.status() == "StatusCode.UNAVAILABLE"
        assert error.message().startswith("failed to connect to all addresses")
        with pytest.raises(InferenceServerException) as caught:
            send(client)
        assert str(caught.value) == ENDED
    assert len(told.threads) == 1
    assert threading.current_thread() not in told.threads


def test_headers_that_can_not_be_sent(client, told):
    for _ in range(2):  # there still is no stream
        with pytest.raises(InferenceServerException):
            client.start_stream(told, headers={"a b": "x"})
    client.start_stream(told)
    assert told.queue.empty()


def test_a_closed_client(client, told):
    client.close()
    with pytest.raises(ValueError, match="Cannot invoke RPC: Channel closed!"):
        client.start_stream(told)


# Ends


def test_stopping_waits_for_all_responses(told):
    def procedure(requests, context):
        for request in [*requests]:  # only when no more will come
            yield streamed(request, A)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            for _ in range(5):
                send(client)
            client.stop_stream()
            assert told.queue.qsize() == 5
            client.start_stream(told)
            send(client)
    assert told.queue.qsize() == 6  # closing does the same


def test_cancelling(stuck, told):
    with InferenceServerClient(stuck.address) as client, deadline_guard():
        for _ in range(5):
            client.start_stream(told)
            send(client)
            client.stop_stream(cancel_requests=True)
            result, error = told.get()
            assert result is None
            assert str(error) == "[StatusCode.CANCELLED] Locally cancelled by application!"
        no_threads_stay()
    assert stuck.cancelled.wait(PATIENCE)


def test_a_server_that_never_answers_is_not_waited_for_for_ever(stuck, told, monkeypatch):
    monkeypatch.setattr(_InferStream.close, "__defaults__", (False, 0.1))
    with InferenceServerClient(stuck.address) as client, deadline_guard():
        client.start_stream(told)
        send(client)
        client.stop_stream()
        assert told.get()[1].status() == "StatusCode.CANCELLED"
        client.start_stream(told)
    assert told.get()[1].status() == "StatusCode.CANCELLED"


def test_a_server_that_answers_slowly_is_waited_for(told, monkeypatch):
    def procedure(requests, context):
        for request in [*requests]:
            for number in range(8):
                server.ending.wait(0.1)
                yield streamed(request, A + number)

    monkeypatch.setattr(_InferStream.close, "__defaults__", (False, 0.4))
    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client)
            client.stop_stream()
    assert told.queue.qsize() == 8


@pytest.mark.parametrize("cancel", [False, True])
def test_stopping_in_the_callback(told, cancel):
    def procedure(requests, context):
        for request in requests:
            yield streamed(request, A + 1)
            last = request
        yield streamed(last, A)

    def callback(result, error):
        if told.queue.empty():
            client.stop_stream(cancel_requests=cancel)
            client.start_stream(told)  # there is room for another
            send(client)
        told(result, error)

    with GrpcServer(ModelStreamInfer=procedure) as server, deadline_guard():
        with InferenceServerClient(server.address) as client:
            client.start_stream(callback)
            send(client)
            eventually(lambda: told.queue.qsize() == 3)
        told_of = [error or result.as_numpy("OUTPUT0")[0, 0] for result, error in told.queue.queue]
        # The first of each stream, and what then came of the first one; at the end of the second.
        cancelled = [error.status() for error in told_of if isinstance(error, Exception)]
        assert cancelled == ["StatusCode.CANCELLED"] * cancel
        assert told_of.count(1) == 2
        assert told_of.count(0) == 2 - cancel
    no_threads_stay()


def test_sending_in_the_callback(client, told):
    def callback(result, error):
        if told.queue.qsize() < 9:
            send(client)
        told(result, error)

    client.start_stream(callback)
    send(client)
    eventually(lambda: told.queue.qsize() == 10)
    client.stop_stream()
    assert {error for _, error in told.queue.queue} == {None}


def test_a_callback_that_fails_is_logged(client, told, caplog):
    def callback(result, error):
        told(result, error)
        raise ValueError("oops")

    with caplog.at_level(logging.ERROR, "tritonclient"):
        client.start_stream(callback)
        for _ in range(3):
            send(client)
            assert told.get()[1] is None
        client.stop_stream()
    assert [str(record.exc_info[1]) for record in caplog.records] == ["oops"] * 3


def test_a_callback_that_is_stuck_does_not_hold_up_the_end(client, monkeypatch):
    monkeypatch.setattr("tritonclient.grpc._infer_stream._ENDING", 0.1)
    monkeypatch.setattr(_InferStream.close, "__defaults__", (False, 0.1))
    called, over = threading.Event(), threading.Event()

    def callback(result, error):
        called.set()
        over.wait(PATIENCE)

    with deadline_guard():
        client.start_stream(callback)
        send(client)
        assert called.wait(PATIENCE)
        client.stop_stream()
    over.set()
    no_threads_stay()


def test_an_end_by_the_server(told):
    def procedure(requests, context):
        yield streamed(next(requests), A)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client)
            assert told.get()[1] is None
            client._stream._reader.join(PATIENCE)
            with pytest.raises(InferenceServerException) as caught:
                send(client)
            assert str(caught.value) == ENDED
            client.stop_stream()
    assert told.queue.empty()


def test_an_error_of_the_server(told):
    refuse = failed("INTERNAL", "oops")

    def procedure(requests, context):
        yield streamed(next(requests), A)
        refuse(requests, context)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client)
            assert told.get()[1] is None
            result, error = told.get()
            assert (result, str(error)) == (None, "[StatusCode.INTERNAL] oops")
            assert error.debug_details() == "INTERNAL:oops"
            with pytest.raises(InferenceServerException) as caught:
                send(client)
            assert str(caught.value) == ENDED
            with pytest.raises(InferenceServerException, match="cannot start another"):
                client.start_stream(told)
            client.stop_stream()
            client.start_stream(told)
            send(client)
            assert told.get()[1] is None


def test_a_time_limit(stuck, told):
    with InferenceServerClient(stuck.address) as client, deadline_guard():
        client.start_stream(told, stream_timeout=0.1)
        send(client)
        result, error = told.get()
        assert result is None
        assert str(error) == "[StatusCode.DEADLINE_EXCEEDED] Deadline Exceeded"
        client.stop_stream()
    assert stuck.cancelled.wait(PATIENCE)


def test_a_connection_that_is_lost(told):
    script = [hostile_peers.reset]
    with hostile_peers.Server(script) as server, deadline_guard():
        with InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            client.start_stream(told)
            result, error = told.get()
            assert result is None
            assert error.status() == "StatusCode.UNAVAILABLE"


def test_what_can_not_be_read_ends_the_stream(told):
    def procedure(requests, context):
        response = streamed(next(requests), A)
        response.infer_response.raw_output_contents[0] = b"short"
        yield response
        server.ending.wait(PATIENCE)

    with GrpcServer(ModelStreamInfer=procedure) as server, deadline_guard():
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            send(client)
            result, error = told.get()
            assert result is None
            assert error.status() == "StatusCode.INTERNAL"
            assert error.status() == "StatusCode.INTERNAL"
            client.stop_stream()
        assert server.cancelled.wait(PATIENCE)


@pytest.mark.parametrize("verbose", [False, True])
def test_what_is_no_message_ends_the_stream(told, verbose):
    import grpc

    method = grpc.stream_stream_rpc_method_handler(lambda requests, context: iter([b"\xff"]))
    handler = grpc.method_handlers_generic_handler(SERVICE, {"ModelStreamInfer": method})
    with ThreadPoolExecutor() as threads, deadline_guard():
        server = grpc.server(threads, handlers=[handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with InferenceServerClient(f"127.0.0.1:{port}", verbose=verbose) as client:
            client.start_stream(told)
            result, error = told.get()
            assert (result, error.status()) == (None, "StatusCode.INTERNAL")
        server.stop(None).wait(PATIENCE)


# Clients that go


def test_leaving_by_an_exception_cancels(stuck, told):
    with deadline_guard():
        with pytest.raises(KeyError):
            with InferenceServerClient(stuck.address) as client:
                client.start_stream(told)
                send(client)
                raise KeyError
        assert told.get()[1].status() == "StatusCode.CANCELLED"


def test_a_client_that_is_dropped_cancels(stuck, told):
    with warnings.catch_warnings(), deadline_guard():
        warnings.simplefilter("error")
        client = InferenceServerClient(stuck.address)
        client.start_stream(told)
        send(client)
        del client
        gc.collect()
        result, error = told.get()
        assert (result, error.status()) == (None, "StatusCode.CANCELLED")
        no_threads_stay()


# Much to send


ENDLESS = """
import os, sys, threading
import numpy as np, tritonclient.grpc as grpcclient
begun = threading.Event()
def callback(result, error):
    print(result.get_response().id, error, flush=True)
    begun.set()
client = grpcclient.InferenceServerClient({address!r})
client.start_stream(callback)
x = grpcclient.InferInput("X", [1], "INT32").set_data_from_numpy(np.int32([1]))
client.async_stream_infer("m", [x], request_id="7")
begun.wait()
"""
FORKS = """
client._stream._callback = lambda result, error: begun.set()  # nothing may print while it forks
begun.clear()
begun.wait()
if not os.fork():
    sys.exit()
os.wait()
begun.clear()
print(begun.wait(20))
"""


@pytest.mark.parametrize("end", ["", "sys.exit()", FORKS])
def test_a_program_that_ends_while_responses_come(end):
    def procedure(requests, context):
        first = next(requests)
        while context.is_active():
            yield streamed(first, A)

    with GrpcServer(ModelStreamInfer=procedure) as server, deadline_guard():
        code = ENDLESS.format(address=server.address) + end
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    # It aborts when a thread prints while the interpreter ends.
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == ("True" if end == FORKS else "7 None")


def test_a_sender_never_waits(told):
    go_on = threading.Event()

    def procedure(requests, context):
        go_on.wait(PATIENCE)
        for request in requests:
            yield streamed(request, array_of(request, 0)[:1])

    with GrpcServer(ModelStreamInfer=procedure) as server, deadline_guard():
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            for number in range(30):
                array = np.full(1_000_000, number, np.int32)
                client.async_stream_infer("m", [grpc_input("X", array, "INT32")])
            go_on.set()
            for number in range(30):
                result, error = told.get()
                assert error is None
                assert result.as_numpy("OUTPUT0").tolist() == [number]
    no_threads_stay()


def test_a_callback_that_waits_for_the_sender(client):
    """A callback that waits for room in a bounded queue."""
    room = queue.Queue(2)
    client.start_stream(lambda result, error: room.put((result, error)))
    array = np.zeros((1, 200_000), np.int32)
    with deadline_guard():
        for _ in range(60):
            client.async_stream_infer("simple", grpc_pair(array, array))
        for _ in range(60):
            assert room.get(timeout=PATIENCE)[1] is None
        client.stop_stream()


def test_cancelling_while_much_is_to_be_sent(told):
    def procedure(requests, context):
        server.ending.wait(PATIENCE)
        yield from ()

    array = np.zeros(10_000_000, np.int32)
    with GrpcServer(ModelStreamInfer=procedure) as server, deadline_guard():
        with InferenceServerClient(server.address) as client:
            client.start_stream(told)
            for _ in range(3):
                client.async_stream_infer("m", [grpc_input("X", array, "INT32")])
            client.stop_stream(cancel_requests=True)
            assert told.get()[1].status() == "StatusCode.CANCELLED"
    no_threads_stay()


# Verbose clients, and what others' tests use


def test_verbose(server, told, capsys):
    with InferenceServerClient(server.address, verbose=True) as client:
        client.start_stream(told)
        send(client, request_id="7")
        told.get()
        client.stop_stream()
    shown = capsys.readouterr().out
    assert shown.startswith('stream started...\nasync_stream_infer\nmodel_name: "simple"\n')
    assert "\nenqueued request 7 to stream...\n" in shown
    assert "infer_response {" in shown
    assert shown.endswith("stream stopped...\n")


def test_a_stream_on_a_stub(server, told):
    import grpc

    request = _get_inference_request(
        "simple", grpc_pair(A, ONES), "", "7", None, 0, False, False, 0, None, None
    )
    with grpc.insecure_channel(server.address) as channel, deadline_guard():
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for cancel in (False, True):
            stream = _InferStream(told, False)
            stream._init_handler(stub.ModelStreamInfer(_RequestIterator(stream)))
            stream._enqueue_request(request)
            result, error = told.get()
            assert error is None
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)
            assert result.get_response().id == "7"
            stream.close(cancel_requests=cancel)
        result, error = told.get()
        assert (result, error.status()) == (None, "StatusCode.CANCELLED")
    assert told.queue.empty()
