"""Streams of inferences over {native, grpcio} x {blocking, asyncio} x {embedded, real Triton}."""

from __future__ import annotations

import asyncio
import gc
import resource
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.contract.conftest import Blocked
from tritonclient import (
    AsyncClient,
    Cancelled,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    Grpcio,
    InferenceServerException,
    InvalidArgument,
)

A = np.arange(16, dtype=np.int32).reshape(1, 16)


class BlockedStream:
    """An `AsyncInferStream` as a blocking iterator."""

    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def __iter__(self) -> BlockedStream:
        return self

    def __next__(self) -> Any:
        async def step() -> Any:
            try:
                return await self._stream.__anext__()
            except StopAsyncIteration:
                return None

        if (result := self._run(step())) is None:
            raise StopIteration
        return result

    def __enter__(self) -> BlockedStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()

    def send(self, *args: Any, **kwargs: Any) -> None:
        self._run(self._stream.send(*args, **kwargs))

    def end(self) -> None:
        self._run(self._stream.end())

    def cancel(self) -> None:
        async def cancel() -> None:
            self._stream.cancel()

        self._run(cancel())


class BlockedClient(Blocked):
    """An `AsyncClient` whose streams are blocking iterators."""

    def stream(self, *args: Any, **kwargs: Any) -> BlockedStream:
        return BlockedStream(self._target.stream(*args, **kwargs), self._loop)

    def open_stream(self, **kwargs: Any) -> BlockedStream:
        return BlockedStream(self._target.open_stream(**kwargs), self._loop)


@pytest.fixture(scope="session", params=["native", "grpcio"])
def grpcio(request: pytest.FixtureRequest) -> Grpcio | None:
    return None if request.param == "native" else Grpcio()


@pytest.fixture(scope="session", params=["blocking", "asyncio"])
def client(
    request: pytest.FixtureRequest, server: Any, grpcio: Grpcio | None, loop: Any
) -> Iterator[Any]:
    if request.param == "blocking":
        with Client(server.grpc_url, timeout=30, grpcio=grpcio) as blocking:
            yield blocking
    else:
        awaited = BlockedClient(AsyncClient(server.grpc_url, timeout=30, grpcio=grpcio), loop)
        yield awaited
        awaited.close()


def repeat(count: int, delay: int = 0) -> dict[str, Any]:
    """Inputs that make `repeat_int32` answer 0, 1, ... with milliseconds between."""
    return {
        "IN": np.arange(count, dtype=np.int32),
        "DELAY": np.full(count, delay, np.uint32),
        "WAIT": np.zeros(1, np.uint32),
    }


def add(number: int, model: str = "simple", **options: Any) -> dict[str, Any]:
    """A request whose OUTPUT0 begins with a number, which is its id as well."""
    return {"model": model, "inputs": {"INPUT0": A + number, "INPUT1": A}, "id": str(number)}


# One request


def test_a_decoupled_model_answers_several_times(client):
    responses = list(client.stream("repeat_int32", repeat(10), id="seven"))
    assert [int(response["OUT"][0]) for response in responses] == list(range(10))
    assert {response.id for response in responses} == {"seven"}


def test_a_decoupled_model_may_not_answer_at_all(client):
    assert list(client.stream("repeat_int32", repeat(0))) == []


def test_the_final_response_is_told(client):
    responses = list(client.stream("repeat_int32", repeat(3), empty_final_response=True))
    assert [(len(response), response.final) for response in responses] == [
        (1, False), (1, False), (1, False), (0, True),
    ]  # fmt: skip


def test_other_models_answer_once(client):
    (response,) = client.stream("simple", {"INPUT0": A, "INPUT1": A}, outputs=["OUTPUT0"])
    assert list(response) == ["OUTPUT0"]
    assert response.final
    np.testing.assert_array_equal(response["OUTPUT0"], 2 * A)


def test_a_refused_request_raises(client):
    with pytest.raises(InferenceServerException, match="unknown model") as caught:
        list(client.stream("nope", {"INPUT0": A}, id="mine"))
    assert caught.value.request_id == "mine"
    assert caught.value.endpoint.startswith("grpc://")


def test_a_decoupled_model_needs_a_stream(client):
    with pytest.raises(InferenceServerException, match="decoupled"):
        client.infer("repeat_int32", repeat(2))


def test_bad_arguments_are_refused_before_anything_is_sent(client):
    with pytest.raises(TypeError, match="iterable of requests"):
        client.stream(7)
    with pytest.raises(TypeError, match="inputs is missing"):
        client.stream("simple")
    with pytest.raises(TypeError, match="given with the requests"):
        client.stream([add(1)], {"INPUT0": A})
    with pytest.raises(ValueError, match="response_timeout"):
        client.stream("repeat_int32", repeat(1), response_timeout=-1)
    with pytest.raises(TypeError, match=r"expected one made by tritonclient\.request"):
        client.stream([add(1), 7])
    with pytest.raises(TypeError, match="model is Infer, expected a model's name or an iterable"):
        client.stream(tritonclient.request(**add(1)))
    with pytest.raises(
        TypeError,
        match=r"'timout' is not an argument; did you mean 'timeout'\?; expected .*, version",
    ):
        client.stream("simple", {"INPUT0": A, "INPUT1": A}, timout=1)
    with pytest.raises(ValueError, match="no query"):
        list(client.stream("simple", {"INPUT0": A, "INPUT1": A}, query={"a": 1}))


# Many requests


def test_many_requests_are_answered_by_id(client):
    requests = [tritonclient.request(**add(number)) for number in range(50)]
    answers = {response.id: int(response["OUTPUT0"][0, 0]) for response in client.stream(requests)}
    assert answers == {str(number): number for number in range(50)}


def test_requests_may_come_from_a_generator(client):
    answers = {response.id for response in client.stream(add(number) for number in range(5))}
    assert answers == {"0", "1", "2", "3", "4"}


def test_an_error_concerns_its_request_only(client):
    stream = client.stream([add(0), add(1, "nope"), add(2)])
    seen = set()
    while True:
        try:
            seen.add(next(stream).id)
        except StopIteration:
            break
        except InferenceServerException as error:
            assert "nope" in str(error.message())
            seen.add(f"error {error.request_id}")
    assert seen == {"0", "error 1", "2"}


def test_what_a_generator_raises_ends_the_stream(client):
    def requests() -> Iterator[Any]:
        yield add(0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        for _ in client.stream(requests()):
            pass


def test_requests_are_sent_while_answers_are_read(client):
    with client.open_stream() as stream:
        for number in range(5):
            stream.send(**add(number))
            assert next(stream).id == str(number)
        stream.end()
        assert list(stream) == []


def test_large_tensors_travel(client):
    array = np.random.default_rng(0).random(1 << 20, dtype=np.float32)
    requests = [tritonclient.request("identity_fp32", {"INPUT0": array}) for _ in range(4)]
    responses = list(client.stream(requests))
    assert len(responses) == 4
    for response in responses:
        np.testing.assert_array_equal(response["OUTPUT0"], array)
        assert response["OUTPUT0"].flags.writeable


def test_several_streams_at_once(client):
    streams = [client.stream("repeat_int32", repeat(5, 5)) for _ in range(4)]
    for responses in zip(*streams, strict=True):
        assert len({int(response["OUT"][0]) for response in responses}) == 1


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_messages_may_be_compressed(client, compression):
    inputs = {"INPUT0": np.zeros(100_000, np.float32)}
    (response,) = client.stream("identity_fp32", inputs, request_compression=compression)
    assert not response["OUTPUT0"].any()


# Ends before the end


def test_cancelling_wakes_the_reader(client):
    stream = client.stream("repeat_int32", repeat(1000, 20))
    next(stream)
    timer = threading.Timer(0.1, stream.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        for _ in stream:
            pass
    timer.join()
    assert client.is_server_live()


def test_leaving_the_block_cancels(client):
    with client.stream("repeat_int32", repeat(1000, 20)) as stream:
        next(stream)
    with pytest.raises(Cancelled):
        next(stream)


def test_a_response_may_take_too_long(client):
    stream = client.stream("repeat_int32", repeat(3, 5000), response_timeout=0.1)
    with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
        next(stream)


def test_the_whole_stream_may_take_too_long(client):
    with pytest.raises(DeadlineExceeded):
        for _ in client.stream("repeat_int32", repeat(1000, 20), timeout=0.2):
            pass


def test_dropped_streams_leave_nothing_behind(client):
    def drop() -> None:
        for _ in range(5):
            next(client.stream("repeat_int32", repeat(1000, 20)))
        gc.collect()

    drop()  # starts idle workers of the embedded server, which runs in this process
    before = threading.active_count()
    drop()
    deadline = time.monotonic() + 10
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    # One that the event loop or grpcio may have started for itself.
    assert threading.active_count() <= before + 1


def test_a_stream_dropped_in_a_reference_cycle(client):
    """Python warns of sockets that are collected while they are open; warnings are errors here."""
    for _ in range(3):
        stream = client.stream("repeat_int32", repeat(1000, 20))
        next(stream)
        cycle = [stream]
        cycle.append(cycle)
        del stream, cycle
        gc.collect()


@pytest.mark.parametrize("runtime", ["blocking", "asyncio"])
def test_closing_the_client_cancels_streams(server, grpcio, runtime):
    if runtime == "blocking":
        with Client(server.grpc_url, grpcio=grpcio) as client:
            stream = client.stream("repeat_int32", repeat(1000, 20))
            next(stream)
        with pytest.raises((Cancelled, ValueError)):
            list(stream)
        return

    async def run() -> None:
        async with AsyncClient(server.grpc_url, grpcio=grpcio) as client:
            stream = client.stream("repeat_int32", repeat(1000, 20))
            await anext(stream)
        with pytest.raises((Cancelled, asyncio.CancelledError)):
            async for _ in stream:
                pass

    asyncio.run(run())


# Flow control


def test_a_slow_reader_keeps_memory_flat(client, server):
    """The server can't push 400 MiB at a reader that takes none of it."""
    # The embedded server lives in this process, and reads ahead as well.
    limit = 100 if hasattr(server, "pid") else 350
    array = np.zeros(1 << 18, np.float32)
    stream = client.stream(
        tritonclient.request("identity_fp32", {"INPUT0": array}, id=str(number))
        for number in range(400)
    )
    next(stream)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in stream) == 399
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < limit * 1024  # kB


# Where there are no streams


def test_http_has_no_streams(server):
    with Client(server.http_url) as client:
        with pytest.raises(ValueError, match="streams need gRPC"):
            client.stream("simple", {"INPUT0": A, "INPUT1": A})


def test_a_dead_port_is_told(grpcio):
    with Client("grpc://127.0.0.1:1", grpcio=grpcio) as client:
        with pytest.raises(ConnectionFailed):
            list(client.stream("simple", {"INPUT0": A, "INPUT1": A}))


def test_only_grpc_goes_through_grpcio():
    with pytest.raises(ValueError, match="not gRPC"):
        Client("http://localhost", grpcio=Grpcio())


def test_the_error_of_bad_input_is_the_request_s(client):
    with pytest.raises(InferenceServerException) as caught:
        list(client.stream("simple", {"INPUT0": A}, id="x"))
    assert not isinstance(caught.value, InvalidArgument)  # a stream tells no status of requests
    assert caught.value.request_id == "x"
