"""`stream_infer` of the classic awaiting client over gRPC."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys

import grpc
import numpy as np
import pytest

from tests.classic.grpc_server import GrpcServer, answer, failed, simple_stream, streamed
from tests.classic.runtimes import CLOSED, grpc_input, grpc_pair
from tests.support.peers.hostile_peers import PATIENCE, free_port
from tritonclient.grpc import InferenceServerException, service_pb2
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.grpc.aio._errors import with_grpcio_type

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


def request(number=1, **more):
    return {"model_name": "simple", "inputs": grpc_pair(A, ONES * number), **more}


async def each(*requests):
    for one in requests:
        yield one


async def endless():
    """One request, and then none for as long as the test goes."""
    yield request()
    await asyncio.Event().wait()


@pytest.fixture
def server():
    with GrpcServer(ModelStreamInfer=simple_stream) as server:
        yield server


def run(server_or_address, main):
    """Run a coroutine with a client."""

    async def go():
        address = getattr(server_or_address, "address", server_or_address)
        async with InferenceServerClient(address) as client:
            await asyncio.wait_for(main(client), PATIENCE)

    asyncio.run(go())


def test_responses_come_in_order(server):
    async def main(client):
        requests = [request(number, request_id=str(number)) for number in range(10)]
        number = 0
        async for result, error in client.stream_infer(each(*requests)):
            assert error is None
            assert result.get_response().id == str(number)
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + number)
            number += 1
        assert number == 10

    run(server, main)


def test_requests_and_responses_by_turns(server):
    async def main(client):
        results: asyncio.Queue[object] = asyncio.Queue()

        async def requests():
            for number in range(5):
                yield request(number)
                np.testing.assert_array_equal(await results.get(), A + number)

        async for result, error in client.stream_infer(requests()):
            assert error is None
            await results.put(result.as_numpy("OUTPUT0"))

    run(server, main)


def test_what_is_sent(server):
    async def main(client):
        client.register_plugin(lambda request: request.headers.update(mine="2"))
        stream = client.stream_infer(
            each(request(), request()), headers={"Other": 1}, compression_algorithm="gzip"
        )
        assert len([pair async for pair in stream]) == 2

    run(server, main)
    (call,) = server.calls
    assert (call.metadata["mine"], call.metadata["other"]) == ("2", "1")


def test_dictionaries_are_left_as_they_are(server):
    given = request()
    before = dict(given)

    async def main(client):
        async for _, error in client.stream_infer(each(given, given)):
            assert error is None

    run(server, main)
    assert given == before


def test_arguments_of_requests():
    seen = []

    def procedure(requests, context):
        for one in requests:
            seen.append(one)
            yield streamed(one, A)

    given = request(
        model_version="1",
        request_id="7",
        sequence_id=3,
        sequence_start=True,
        priority=2,
        timeout=9,
        parameters={"a": "b"},
        enable_empty_final_response=True,
        unknown="ignored",
    )

    async def main(client):
        async for _, error in client.stream_infer(each(given)):
            assert error is None

    with GrpcServer(ModelStreamInfer=procedure) as server:
        run(server, main)
    (one,) = seen
    assert (one.model_name, one.model_version, one.id) == ("simple", "1", "7")
    sent = dict(one.parameters.items())
    assert sent.pop("triton_enable_empty_final_response").bool_param is True
    assert sent.pop("sequence_id").int64_param == 3
    assert sent.pop("a").string_param == "b"
    assert set(sent) == {"sequence_start", "sequence_end", "priority", "timeout"}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("kind", ["embedded", "triton"])
def test_decoupled_models(request, kind, empty):
    url = request.getfixturevalue(kind).grpc_url
    inputs = [
        grpc_input("IN", np.int32([4, 5]), "INT32"),
        grpc_input("DELAY", np.uint32([1, 1]), "UINT32"),
        grpc_input("WAIT", np.uint32([1]), "UINT32"),
    ]
    given = {
        "model_name": "repeat_int32",
        "inputs": inputs,
        "enable_empty_final_response": empty,
    }

    async def main(client):
        pairs = [pair async for pair in client.stream_infer(each(given))]
        outputs = [result.as_numpy("OUT") for result, _ in pairs]
        assert [out.tolist() for out in outputs[:2]] == [[4], [5]]
        assert outputs[2:] == [None] * empty

    run(url.removeprefix("grpc://"), main)


def test_an_error_of_one_request():
    def procedure(requests, context):
        next(requests)
        yield service_pb2.ModelStreamInferResponse(error_message="no")
        yield streamed(next(requests), A)

    async def main(client):
        (_, error), (result, none) = [
            pair async for pair in client.stream_infer(each(request(), request()))
        ]
        assert (str(error), error.status(), none) == ("no", None, None)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A)

    with GrpcServer(ModelStreamInfer=procedure) as server:
        run(server, main)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (1, "inputs_iterator is not yielding a dict"),
        (
            {"model_name": "m"},
            "model_name and/or inputs is missing from inputs_iterator's yielded dict",
        ),
        ({"model_name": "m", "inputs": [], "model_version": 1}, "model version must be a string"),
        (
            {"model_name": "m", "inputs": [], "parameters": {"triton_x": 1}},
            'Parameter "triton_x" is a reserved parameter and cannot be specified.',
        ),
    ],
)
def test_requests_that_can_not_be_sent(server, bad, text):
    async def main(client):
        stream = client.stream_infer(each(bad))
        for _ in range(2):
            with pytest.raises(InferenceServerException) as caught:
                await stream.__anext__()
            assert str(caught.value) == text
        assert stream.cancel() is False

    run(server, main)


def test_requests_that_fail_themselves(server):
    async def requests():
        yield request()
        raise KeyError("oops")

    async def main(client):
        with pytest.raises(KeyError, match="oops"):
            async for _, error in client.stream_infer(requests()):
                assert error is None

    run(server, main)


def test_headers_that_can_not_be_sent(server):
    async def main(client):
        with pytest.raises(InferenceServerException):
            client.stream_infer(each(), headers={"a b": "x"})

    run(server, main)
    assert not server.calls


def test_errors_of_the_server():
    async def main(client):
        stream = client.stream_infer(endless())
        with pytest.raises(InferenceServerException) as caught:
            await stream.__anext__()
        assert str(caught.value) == "[StatusCode.INTERNAL] oops"
        # Programs know grpcio's own error here.
        assert isinstance(caught.value, grpc.aio.AioRpcError)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "oops")
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (type(copy), str(copy)) == (InferenceServerException, str(caught.value))
        assert stream.cancel() is False

    with GrpcServer(ModelStreamInfer=failed("INTERNAL", "oops")) as server:
        run(server, main)


def test_errors_where_grpcio_is_not_imported(monkeypatch):
    error = InferenceServerException("oops", "StatusCode.INTERNAL")
    assert with_grpcio_type(error) is not error
    monkeypatch.delitem(sys.modules, "grpc")
    assert with_grpcio_type(error) is error


def test_nobody_listens():
    async def main(client):
        stream = client.stream_infer(each(request()))
        with pytest.raises(InferenceServerException) as caught:
            await stream.__anext__()
        assert caught.value.status() == "StatusCode.UNAVAILABLE"
        assert stream.cancel() is False

    run(f"127.0.0.1:{free_port()}", main)


def test_a_time_limit(stuck):
    async def main(client):
        with pytest.raises(InferenceServerException) as caught:
            async for _ in client.stream_infer(endless(), stream_timeout=0.1):
                pass
        assert str(caught.value) == "[StatusCode.DEADLINE_EXCEEDED] Deadline Exceeded"

    run(stuck, main)
    assert stuck.cancelled.wait(PATIENCE)


def test_cancelling(stuck):
    async def main(client):
        stream = client.stream_infer(endless())  # it is on its way without being asked for more
        await asyncio.to_thread(stuck.wait_for_calls, 1)
        assert stream.cancel() is True
        assert stream.cancel() is False
        for _ in range(2):
            with pytest.raises(asyncio.CancelledError) as caught:
                await stream.__anext__()
            assert isinstance(caught.value, InferenceServerException)
            text = "[StatusCode.CANCELLED] Locally cancelled by application!"
            assert str(caught.value) == text
        assert await asyncio.to_thread(stuck.cancelled.wait, PATIENCE)

    run(stuck, main)


def test_cancelling_while_another_task_waits(stuck):
    async def main(client):
        stream = client.stream_infer(endless())
        waiting = asyncio.ensure_future(stream.__anext__())
        await asyncio.to_thread(stuck.wait_for_calls, 1)
        stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(stuck, main)


def test_cancelling_before_it_is_open(stuck):
    async def main(client):
        stream = client.stream_infer(endless())
        waiting = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        assert stream.cancel() is True
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(stuck, main)


def test_a_task_that_gives_up_leaves_the_stream(server):
    async def main(client):
        go_on = asyncio.Event()

        async def requests():
            await go_on.wait()
            yield request()

        stream = client.stream_infer(requests())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.05)
        go_on.set()
        _, error = await stream.__anext__()
        assert error is None

    run(server, main)


def test_after_the_end(server):
    async def main(client):
        stream = client.stream_infer(each(request()))
        assert len([pair async for pair in stream]) == 1
        assert [pair async for pair in stream] == []
        assert stream.cancel() is False

    run(server, main)


def test_a_stream_that_is_dropped(stuck):
    async def main(client):
        stream = client.stream_infer(endless())
        await asyncio.to_thread(stuck.wait_for_calls, 1)
        del stream
        gc.collect()
        assert await asyncio.to_thread(stuck.cancelled.wait, PATIENCE)

    run(stuck, main)


def test_closing_the_client(stuck):
    async def main(client):
        stream = client.stream_infer(endless())
        await asyncio.to_thread(stuck.wait_for_calls, 1)
        await client.close()
        with pytest.raises(InferenceServerException) as caught:
            await stream.__anext__()
        assert str(caught.value) == "[StatusCode.CANCELLED] Channel closed!"
        assert isinstance(caught.value, asyncio.CancelledError)
        with pytest.raises(ValueError, match=CLOSED):
            client.stream_infer(endless())

    run(stuck, main)


def test_what_can_not_be_read():
    def procedure(requests, context):
        response = streamed(next(requests), A)
        response.infer_response.raw_output_contents[0] = b"short"
        yield response

    async def main(client):
        with pytest.raises(InferenceServerException) as caught:
            async for _ in client.stream_infer(each(request())):
                pass
        assert caught.value.status() == "StatusCode.INTERNAL"

    with GrpcServer(ModelStreamInfer=procedure) as server:
        run(server, main)


def test_much_at_once(server):
    async def main(client):
        array = np.zeros((1, 500_000), np.int32)
        given = {"model_name": "m", "inputs": grpc_pair(array, array)}
        count = 0
        async for result, error in client.stream_infer(each(*[given] * 20)):
            assert error is None
            assert result.as_numpy("OUTPUT0").shape == array.shape
            count += 1
        assert count == 20

    run(server, main)


def test_verbose(server, capsys):
    async def main(client):
        client._verbose = True
        async for _ in client.stream_infer(each(request(request_id="7"))):
            pass

    run(server, main)
    shown = capsys.readouterr().out
    assert shown.startswith("infer_response {\n")  # the official client does not show requests


def test_many_streams(server):
    async def main(client):
        async def one(number):
            async for result, error in client.stream_infer(each(*[request(number)] * 3)):
                assert error is None
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + number)

        await asyncio.gather(*[one(number) for number in range(10)])

    run(server, main)


def test_unary_calls_beside_streams(stuck):
    def infer(one, context):
        return answer(one, A)

    def procedure(requests, context):
        for one in requests:
            yield streamed(one, A)

    async def main(client):
        stream = client.stream_infer(endless())
        result = await client.infer("simple", grpc_pair(A, ONES))
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A)
        assert (await stream.__anext__())[1] is None
        stream.cancel()

    with GrpcServer(ModelStreamInfer=procedure, ModelInfer=infer) as server:
        run(server, main)
