"""`async_infer` of the classic blocking client over gRPC."""

from __future__ import annotations

import gc
import logging
import queue
import subprocess
import sys
import threading
import warnings
from functools import partial

import numpy as np
import pytest

from tests.classic.grpc_server import GrpcServer, answer, array_of, failed, simple
from tests.classic.runtimes import Told, grpc_input, grpc_pair
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, free_port
from tests.support.waiting import eventually
from tritonclient.grpc import InferenceServerClient, InferenceServerException
from tritonclient.grpc._client import CallContext

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def server():
    with GrpcServer(ModelInfer=simple) as server:
        yield server


@pytest.fixture
def stuck():
    """A server that answers when the test ends."""

    def wait(request, context):
        server.ending.wait(PATIENCE)
        return answer(request, A)

    with GrpcServer(ModelInfer=wait) as server:
        yield server


@pytest.fixture
def client(server):
    with InferenceServerClient(server.address) as client:
        yield client


def infer(client, callback, **options):
    return client.async_infer("simple", grpc_pair(A, ONES), callback, **options)


def test_a_result(client, told):
    context = infer(client, told, request_id="7")
    assert isinstance(context, CallContext)
    result, error = told.get()
    assert error is None
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)
    assert result.get_response().id == "7"
    assert context.result(PATIENCE) is result
    assert context.done()
    context.cancel()  # too late, and harmless


def test_callbacks_are_called_by_name(client):
    called = queue.Queue()

    def callback(data, error, result):
        called.put((data, error, result))

    infer(client, partial(callback, "mine"))
    data, error, result = called.get(timeout=PATIENCE)
    assert (data, error) == ("mine", None)
    assert result is not None


def test_callbacks_come_one_after_the_other_on_a_thread_of_their_own(client, told):
    lock = threading.Lock()
    busy = []

    def callback(result, error):
        with lock:  # which the caller holds
            assert not busy
        busy.append(1)
        told(result, error)
        busy.pop()

    with lock:
        for _ in range(50):
            infer(client, callback)
    for _ in range(50):
        assert told.get()[1] is None
    (thread,) = told.threads
    assert thread is not threading.current_thread()


def test_any_number_may_be_on_their_way(told):
    barrier = threading.Barrier(30)

    def together(request, context):
        barrier.wait(PATIENCE)  # all of them, or none
        return simple(request, context)

    with GrpcServer(ModelInfer=together) as server:
        with InferenceServerClient(server.address) as client:
            for number in range(30):
                infer(client, told, request_id=str(number))
            results = [told.get() for _ in range(30)]
    assert {error for _, error in results} == {None}
    assert {result.get_response().id for result, _ in results} == set(map(str, range(30)))


def test_a_callback_may_call_again(client, told):
    def callback(result, error):
        array = client.infer("simple", grpc_pair(A, ONES)).as_numpy("OUTPUT0")
        np.testing.assert_array_equal(array, A + 1)
        infer(client, told)

    infer(client, callback)
    assert told.get()[1] is None


def test_a_callback_that_fails_is_logged(client, told, caplog):
    def callback(result, error):
        raise ValueError("oops")

    with caplog.at_level(logging.ERROR, "tritonclient"):
        infer(client, callback)
        eventually(lambda: caplog.records)
        infer(client, told)
        assert told.get()[1] is None
    (record,) = caplog.records
    assert "callback" in record.getMessage()
    assert str(record.exc_info[1]) == "oops"


def test_refusals(told):
    with GrpcServer(ModelInfer=failed("NOT_FOUND", "no model")) as server:
        with InferenceServerClient(server.address) as client:
            context = infer(client, told)
            result, error = told.get()
            with pytest.raises(InferenceServerException, match="no model"):
                context.result(PATIENCE)
    assert result is None
    assert type(error) is InferenceServerException  # programs ask for it with `==`
    assert str(error) == "[StatusCode.NOT_FOUND] no model"


def test_nobody_listens(told):
    with InferenceServerClient(f"127.0.0.1:{free_port()}") as client:
        infer(client, told)
        result, error = told.get()
    assert result is None
    assert error.status() == "StatusCode.UNAVAILABLE"
    assert error.message().startswith("failed to connect to all addresses")


def test_wrong_arguments_are_told_at_once(client, server, told):
    for options in ({"model_version": 1}, {"parameters": {"a": None}}):
        with pytest.raises(InferenceServerException):
            infer(client, told, **options)
    with pytest.raises(TypeError, match="callback"):
        client.async_infer("simple", grpc_pair(A, ONES))
    assert not server.calls


def test_cancelling(stuck, told):
    with InferenceServerClient(stuck.address) as client, deadline_guard():
        context = infer(client, told)
        stuck.wait_for_calls(1)
        assert not context.done()
        with pytest.raises(InferenceServerException, match="not there in time") as caught:
            context.result(timeout=0.01)
        assert isinstance(caught.value, TimeoutError)
        context.cancel()
        result, error = told.get()
        assert result is None
        assert str(error) == "[StatusCode.CANCELLED] Locally cancelled by application!"
        assert error.debug_details() is None
        assert stuck.cancelled.wait(PATIENCE)
        assert context.done()
        with pytest.raises(InferenceServerException, match="Locally cancelled"):
            context.result()
        (thread,) = told.threads
        assert thread is not threading.current_thread()


def test_cancelling_one_leaves_the_others(told):
    def wait(request, context):
        if array_of(request, 0)[0, 0]:
            server.ending.wait(PATIENCE)
        return simple(request, context)

    with GrpcServer(ModelInfer=wait) as server:
        with InferenceServerClient(server.address) as client:
            context = client.async_infer("simple", grpc_pair(ONES, ONES), told)
            server.wait_for_calls(1)
            context.cancel()
            assert told.get()[1].status() == "StatusCode.CANCELLED"
            infer(client, told)
            assert told.get()[1] is None
    peers = {peer for call in server.calls for peer in [call.peer]}
    assert len(peers) == 1  # the connection went on


def test_time_limits(stuck, told):
    with InferenceServerClient(stuck.address) as client, deadline_guard():
        for seconds in (0.05, 0):
            infer(client, told, client_timeout=seconds)
            result, error = told.get()
            assert result is None
            assert str(error) == "[StatusCode.DEADLINE_EXCEEDED] Deadline Exceeded"


def test_closing_cancels(stuck, told):
    with deadline_guard():
        with InferenceServerClient(stuck.address) as client:
            infer(client, told)
            stuck.wait_for_calls(1)
        result, error = told.get()
    assert result is None
    assert str(error) == "[StatusCode.CANCELLED] Channel closed!"
    with pytest.raises(ValueError, match="Cannot invoke RPC: Channel closed!"):
        infer(client, told)


def test_every_callback_is_called_when_another_thread_closes_the_client(stuck):
    """Every accepted request gets a callback, also if the client closes at that moment."""
    for _ in range(20):
        told = Told()
        client = InferenceServerClient(stuck.address)
        accepted = 0
        closing = threading.Thread(target=client.close)
        for number in range(20):
            if number == 10:
                closing.start()
            try:
                infer(client, told)
            except ValueError:
                break
            accepted += 1
        closing.join(PATIENCE)
        for _ in range(accepted):
            assert told.get()[1].status() == "StatusCode.CANCELLED"


def test_closing_in_a_callback(client, told):
    def callback(result, error):
        client.close()
        told(result, error)

    infer(client, callback)
    assert told.get()[1] is None


def test_no_thread_stays_behind(server, told):
    before = set(threading.enumerate())
    for _ in range(3):
        with InferenceServerClient(server.address) as client:
            infer(client, told)
            told.get()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("tritonclient"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_the_client_outlives_what_it_has_sent(server, told):
    client = InferenceServerClient(server.address)
    infer(client, told)
    del client
    gc.collect()
    assert told.get()[1] is None


def test_a_client_that_is_dropped(server, told):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = InferenceServerClient(server.address)
        infer(client, told)
        told.get()
        thread = client._carrier._thread
        del client
        gc.collect()
        thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_program_that_does_not_wait_ends(stuck):
    code = f"""
import numpy as np, tritonclient.grpc as grpcclient
client = grpcclient.InferenceServerClient({stuck.address!r})
x = grpcclient.InferInput("X", [1], "INT32").set_data_from_numpy(np.int32([1]))
client.async_infer("m", [x], print)
"""
    with deadline_guard():
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_large_tensors(told):
    def first(request, context):
        return answer(request, array_of(request, 0))

    array = np.arange(3_000_000, dtype=np.int32)
    with GrpcServer(ModelInfer=first) as server, InferenceServerClient(server.address) as client:
        for _ in range(3):
            client.async_infer("m", [grpc_input("X", array, "INT32")], told)
        for _ in range(3):
            result, error = told.get()
            assert error is None
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array)


def test_verbose(server, told, capsys):
    with InferenceServerClient(server.address, verbose=True) as client:
        infer(client, told, request_id="7")
        told.get()
        infer(client, told)
        told.get()
    shown = capsys.readouterr().out
    assert shown.startswith("async_infer, metadata dict_items([])\n")
    assert "\nSent request '7'\n" in shown
    assert "\nSent request\n" in shown
    assert shown.count("raw_output_contents") == 2


@pytest.mark.parametrize("kind", ["embedded", "triton"])
def test_on_both_servers(request, kind, told):
    url = request.getfixturevalue(kind).grpc_url
    with InferenceServerClient(url.removeprefix("grpc://")) as client:
        slow = [
            grpc_input("INPUT0", np.int32([7]), "INT32"),
            grpc_input("DELAY_MS", np.int32([1000]), "INT32"),
        ]
        context = client.async_infer("slow_identity", slow, told)
        for number in range(20):
            client.async_infer("simple", grpc_pair(A + number, ONES), told, request_id=str(number))
        for _ in range(20):
            result, error = told.get()
            assert error is None
            number = int(result.get_response().id)
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + number + 1)
        assert not context.done()
        context.cancel()
        assert told.get()[1].status() == "StatusCode.CANCELLED"
