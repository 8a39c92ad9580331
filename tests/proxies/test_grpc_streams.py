"""Streams of inferences, sequences and the classic client through real reverse proxies."""

from __future__ import annotations

import asyncio
import itertools
import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tritonclient.grpc
from tests.proxies.test_grpc import (
    LARGE,
    RUNTIMES,
    A,
    check_large,
    check_small,
    each_program,
    each_runtime,
)
from tests.support.peers.grpc_proxies import PROGRAMS, serve
from tests.support.peers.hostile_peers import PATIENCE, AsyncRunner, deadline_guard
from tritonclient import AsyncClient, Cancelled, Client

each_way = pytest.mark.parametrize(
    "way",
    [f"{program} {name}" for program in PROGRAMS for name in ("plain", "tls", "tight", "closing")],
)
_numbers = itertools.count(70_000)


def repeat(count, delay=0):
    """Inputs of a decoupled model that answers with numbers from 0 on."""
    return {
        "IN": np.arange(count, dtype=np.int32),
        "DELAY": np.full(count, delay, np.uint32),
        "WAIT": np.zeros(1, np.uint32),
    }


def collect(client, *arguments, **options):
    """All responses of a stream, whichever the client."""
    stream = client.client.stream(*arguments, **options)
    if not isinstance(client, AsyncRunner):
        return list(stream)

    async def take():
        return [response async for response in stream]

    return client.loop.run_until_complete(take())


async def acollect(client, *arguments, **options):
    return [response async for response in client.stream(*arguments, **options)]


def values(responses):
    return [int(response["OUT"][0]) for response in responses]


def request(model, **inputs):
    return {"model": model, "inputs": inputs}


@each_way
@each_runtime
def test_decoupled(runtime, way, grpc_proxy):
    url, options = grpc_proxy(way)
    with runtime(url, timeout=PATIENCE, **options) as client:
        for _ in range(10):
            assert values(collect(client, "repeat_int32", repeat(100))) == list(range(100))


@each_way
@each_runtime
def test_many_requests(runtime, way, grpc_proxy):
    url, options = grpc_proxy(way)
    requests = [request("simple", INPUT0=A + number, INPUT1=A) for number in range(200)]
    with runtime(url, timeout=PATIENCE, **options) as client:
        for _ in range(2):
            responses = collect(client, requests, request_compression="gzip")
            for number, response in enumerate(responses):
                assert (response["OUTPUT0"] == A + number + A).all()
            assert len(responses) == 200


@each_program
@each_runtime
@pytest.mark.parametrize("name", ["plain", "tls", "tight"])
def test_large_both_ways(runtime, program, name, grpc_proxy):
    """More than windows and buffers hold is on its way in both directions at once.

    Too much to be sent twice, so an nginx that refuses what comes too early gets a call first.
    """
    url, options = grpc_proxy(f"{program} {name}")
    tensor = LARGE[: 1 << 18]
    requests = [request("identity_fp32", INPUT0=tensor + number) for number in range(12)]
    with runtime(url, timeout=PATIENCE, **options) as client:
        check_small(client)
        for number, response in enumerate(collect(client, requests)):
            assert (response["OUTPUT0"] == tensor + number).all()


@each_way
def test_many_tasks(way, grpc_proxy):
    """Streams and calls share connections."""
    url, options = grpc_proxy(way)

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, **options) as client:
            for _ in range(4):
                streams = [acollect(client, "repeat_int32", repeat(20)) for _ in range(16)]
                calls = [client.infer("simple", {"INPUT0": A + n, "INPUT1": A}) for n in range(16)]
                results = await asyncio.gather(*itertools.chain(*zip(streams, calls, strict=True)))
                for number in range(16):
                    assert values(results[2 * number]) == list(range(20))
                    assert (results[2 * number + 1]["OUTPUT0"] == A + number + A).all()

    asyncio.run(main())


@each_way
def test_many_threads(way, grpc_proxy):
    url, options = grpc_proxy(way)
    with Client(url, timeout=PATIENCE, **options) as client, ThreadPoolExecutor(8) as pool:

        def work(number):
            check_small(client, number)
            assert values(client.stream("repeat_int32", repeat(20))) == list(range(20))

        list(pool.map(work, range(64)))


@each_program
@each_runtime
def test_sequences(runtime, program, grpc_proxy):
    """By calls of which each few have a connection of their own, and on a stream."""
    url, _ = grpc_proxy(f"{program} closing")
    steps = [5, 7, 0, 9, 2, 4, 6, 8, 1, 3]
    with runtime(url, timeout=PATIENCE) as client:
        for on_stream in (False, True):
            number = next(_numbers)
            requests = [
                {
                    "model": "simple_dyna_sequence",
                    "inputs": {"INPUT": np.array([[value]], np.int32)},
                    "sequence_id": number,
                    "sequence_start": place == 0,
                    "sequence_end": place == len(steps) - 1,
                }
                for place, value in enumerate(steps)
            ]
            if on_stream:
                results = collect(client, requests)
            else:
                results = [client.infer(**each) for each in requests]
            answers = [int(result["OUTPUT"][0, 0]) for result in results]
            assert answers == [steps[0] + 1, *steps[1:-1], steps[-1] + number]


@each_program
def test_cancelled(program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} plain")
    with Client(url, timeout=PATIENCE, max_connections=2) as client, deadline_guard():
        for _ in range(5):
            with client.stream("repeat_int32", repeat(1000, delay=20)) as stream:
                assert values(itertools.islice(stream, 3)) == [0, 1, 2]
            with pytest.raises(Cancelled):
                next(stream)
            check_small(client)


@each_program
def test_cancelled_tasks(program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} plain")

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, max_connections=1) as client:
            for _ in range(5):
                async with client.stream("repeat_int32", repeat(1000, delay=20)) as stream:
                    assert int((await anext(stream))["OUT"][0]) == 0
                assert values(await acollect(client, "repeat_int32", repeat(3))) == [0, 1, 2]

    with deadline_guard():
        asyncio.run(main())


@each_program
@pytest.mark.parametrize("name", ["plain", "tight"])
def test_slow_reader(program, name, grpc_proxy):
    """An unread stream is held back, and other streams of the connection continue."""
    url, _ = grpc_proxy(f"{program} {name}")
    tensor = LARGE[: 1 << 18]
    # Haproxy before 3.1 lets one stream hold up all of its connection, to the server as well.
    calls = 0 if program == "haproxy" else 20

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, max_connections=1) as client:
            await client.server_metadata()
            async with client.open_stream() as stream:
                sent = 0

                async def send():
                    nonlocal sent
                    for number in range(40):
                        await stream.send("identity_fp32", {"INPUT0": tensor + number})
                        sent += 1
                    await stream.end()

                sending = asyncio.create_task(send())
                for number in range(calls):
                    result = await client.infer("simple", {"INPUT0": A + number, "INPUT1": A})
                    assert (result["OUTPUT0"] == A + number + A).all()
                assert sent < 40
                results = [result["OUTPUT0"] async for result in stream]
                await sending
                assert len(results) == 40
                for number, result in enumerate(results):
                    assert (result == tensor + number).all()

    asyncio.run(main())


@pytest.mark.parametrize("program", ["nginx", "nghttpx"])
@each_runtime
def test_proxy_that_is_reloaded(runtime, program, embedded, authority, tmp_path):
    """A stream goes on through the workers of old, and others begin with the new ones."""
    with serve(tmp_path, program, "plain", embedded.grpc_address, authority) as proxy:
        with runtime(proxy.url, timeout=PATIENCE) as client, ThreadPoolExecutor(1) as pool:
            stream = pool.submit(collect, client, "repeat_int32", repeat(100, delay=5))
            for _ in range(3):
                with runtime(proxy.url, timeout=PATIENCE) as other:
                    assert values(collect(other, "repeat_int32", repeat(10))) == list(range(10))
                proxy.reload()
            assert values(stream.result(PATIENCE)) == list(range(100))


# The classic client


def classic_inputs(number=0):
    inputs = []
    for name, array in (("INPUT0", A + number), ("INPUT1", A)):
        inputs.append(tritonclient.grpc.InferInput(name, [1, 16], "INT32"))
        inputs[-1].set_data_from_numpy(array)
    return inputs


@each_program
@pytest.mark.parametrize("name", ["plain", "tls", "tight", "closing"])
def test_classic_client(program, name, grpc_proxy, ca_file):
    url, _ = grpc_proxy(f"{program} {name}")
    secure = {"ssl": True, "root_certificates": ca_file} if name == "tls" else {}
    answers = queue.Queue()

    def callback(result, error):
        answers.put(error or int(result.as_numpy("OUTPUT0")[0, 0]))

    address = url.partition("//")[2]
    with tritonclient.grpc.InferenceServerClient(address, **secure) as client:
        assert client.is_server_ready()
        for number in range(20):
            result = client.infer("simple", classic_inputs(number), request_id=str(number))
            assert result.as_numpy("OUTPUT0")[0, 0] == number
            assert result.get_response().id == str(number)
        for number in range(100):
            client.async_infer("simple", classic_inputs(number), callback)
        assert sorted(answers.get(timeout=PATIENCE) for _ in range(100)) == list(range(100))
        for _ in range(3):
            client.start_stream(callback)
            for number in range(50):
                client.async_stream_infer("simple", classic_inputs(number))
            client.stop_stream()
            assert [answers.get(timeout=PATIENCE) for _ in range(50)] == list(range(50))
        with pytest.raises(tritonclient.grpc.InferenceServerException) as caught:
            client.infer("nonesuch", classic_inputs())
        assert caught.value.status() == "StatusCode.NOT_FOUND"


@each_program
@pytest.mark.parametrize("name", ["plain", "closing"])
def test_real_triton(program, name, triton, authority, tmp_path):
    address = triton.grpc_url.partition("//")[2]
    with serve(tmp_path, program, name, address, authority) as proxy:
        for runtime in RUNTIMES.values():
            with runtime(proxy.url, timeout=PATIENCE) as client:
                for number in range(20):
                    check_small(client, number)
                check_large(client)
                assert values(collect(client, "repeat_int32", repeat(50))) == list(range(50))
                requests = [request("simple", INPUT0=A + n, INPUT1=A) for n in range(50)]
                for number, response in enumerate(collect(client, requests)):
                    assert (response["OUTPUT0"] == A + number + A).all()
