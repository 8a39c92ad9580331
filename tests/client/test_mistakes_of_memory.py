"""Mistakes with shared memory, streams, handles and specs."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.client.test_closed import act, both, settled
from tests.client.test_mistakes import PAIR, A
from tritonclient.server import Server

pytestmark = pytest.mark.server

WRONG = {
    "shape 5": (lambda m: m.empty(5, "FP32"), "shape is 5, expected a sequence of sizes, such as"),
    "shape '2'": (lambda m: m.empty("2", "FP32"), "shape is '2', expected a sequence of sizes"),
    "shape 2.5": (lambda m: m.empty([2.5], "FP32"), "shape is [2.5], expected whole numbers"),
    "shape -1": (lambda m: m.empty([-1], "FP32"), "shape is [-1], expected numbers from 0"),
    "swapped": (lambda m: m.empty("FP32", [2]), "shape is 'FP32', expected a sequence of sizes"),
    "FP33": (lambda m: m.empty([2], "FP33"), "such as 'FP32', or a numpy dtype; did you mean 'FP3"),
    "no datatype": (lambda m: m.empty([2], None), "datatype is None, expected one of the protocol"),
    "byte_size": (lambda m: m.empty([2], "BYTES", "64"), "byte_size is '64', expected a number"),
    "no byte_size": (lambda m: m.empty([2], "BYTES"), "give a number of bytes"),
    "size '64'": (lambda m: m.output("O", "64"), "size is '64', expected a number of bytes, or a"),
    "size 64.0": (lambda m: m.output("O", 64.0), "size is 64.0, expected a number of bytes, or a"),
    "shape alone": (lambda m: m.output("O", [1, 16]), "datatype is missing, which a shape needs"),
    "name 5": (lambda m: m.output(5, 64), "name is 5, expected str"),
}


@both
@pytest.mark.parametrize(("action", "words"), WRONG.values(), ids=WRONG)
def test_shared_memory(embedded: Server, kind: Any, action: Any, words: str) -> None:
    async def use(client: Any) -> None:
        memory = client.shared_memory()
        with pytest.raises((TypeError, ValueError)) as caught:
            await settled(action(memory))
        assert words in str(caught.value)
        await settled(memory.close())

    act(kind, embedded.http_url, use)


@both
def test_numbers_of_numpy(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        memory = client.shared_memory(np.int64(1 << 16))
        tensor = await settled(memory.empty(np.array([1, 16]), np.int32))
        tensor.write(A)
        assert np.array(tensor).tolist() == A.tolist()
        assert np.asarray(tensor, np.float32).dtype == np.float32
        assert memory.output("OUTPUT0", np.int32(64)).byte_size == 64
        await settled(memory.close())

    act(kind, embedded.http_url, use)


@both
@pytest.mark.parametrize(("mode", "words"), [("666", "'666', expected"), (0o7777, "below 2")])
def test_modes(embedded: Server, kind: Any, mode: Any, words: str) -> None:
    async def use(client: Any) -> None:
        with pytest.raises((TypeError, ValueError), match=f"mode is .*{words}"):
            client.shared_memory(mode=mode)

    act(kind, embedded.http_url, use)


@both
def test_names(embedded: Server, kind: Any) -> None:
    """A name that is not there gets what is meant."""

    async def use(client: Any) -> None:
        memory, stream = client.shared_memory(), client.open_stream()
        tensor = await settled(memory.put(A))
        handle = await settled(client.model("simple"))
        for owner, name, words in (
            (memory, "free", "here it is close"),
            (memory, "register", "here it is put"),
            (memory, "region", "here it is regions"),
            (tensor, "numpy", "here it is read()"),
            (tensor, "array", "here it is read()"),
            (tensor, "wirte", "did you mean 'write'?"),
            (stream, "close", "here it is cancel, or end after the last request"),
            (stream, "receive", "here it is iteration: for response in stream"),
            (stream, "send_request", "here it is send"),
            (handle, "prepare", "here it is a method of the client"),
            (handle.spec, "input", "did you mean 'inputs'?"),
            (handle.spec, "shape", "here it is inputs[name].shape"),
        ):
            with pytest.raises(AttributeError) as caught:
                getattr(owner, name)
            assert words in str(caught.value)
        stream.cancel()
        await settled(memory.close())

    act(kind, embedded.grpc_url, use)


@both
def test_requests_of_streams(embedded: Server, kind: Any) -> None:
    request = tritonclient.request("simple", PAIR)

    async def use(client: Any) -> None:
        stream = client.open_stream()
        for action, words in (
            (lambda: stream.send(request), "stream([request]) sends requests"),
            (lambda: stream.send(lambda: 1, PAIR), "it is the name of a model"),
            (lambda: client.stream(request), "an iterable of requests; [request] is one"),
        ):
            with pytest.raises(TypeError) as caught:
                await settled(action())
            assert words in str(caught.value)
        stream.cancel()

    act(kind, embedded.grpc_url, use)


@both
def test_batches_of_numpy(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        found = client.map("simple", [PAIR] * 2, batch_size=np.int64(2), concurrency=np.uint8(1))
        result = await settled(anext(found) if hasattr(found, "__anext__") else next(found))
        assert result["OUTPUT0"].tolist() == (2 * A).tolist()
        await settled(found.aclose() if hasattr(found, "aclose") else found.close())

    act(kind, embedded.http_url, use)


def test_what_is_not_awaited() -> None:
    """Functions that await what can be awaited, such as those of test suites, leave these alone."""

    async def use() -> None:
        async with tritonclient.AsyncClient("grpc://127.0.0.1:9") as client:
            for each in (client.shared_memory(), client.stream("simple", PAIR)):
                assert not inspect.isawaitable(each)

    asyncio.run(use())


def test_awaited_and_iterated_wrongly() -> None:
    """Python's own error would name a type, and not what to do."""

    async def use(action: Any) -> None:
        async with tritonclient.AsyncClient("grpc://127.0.0.1:9") as client:
            await action(client)

    async def iterate(client: Any) -> None:
        list(client.stream("simple", PAIR))

    async def take(client: Any) -> None:
        next(client.open_stream())

    async def forgotten(client: Any) -> None:
        put = client.shared_memory().put(A)
        try:
            await client.infer("simple", {"INPUT0": put, "INPUT1": A})
        finally:
            put.close()

    for action, words in (
        (iterate, "this stream is on asyncio: use `async for`, or Client"),
        (take, "this stream is on asyncio: use `async for`, or Client"),
        (forgotten, "is not an array; await it first"),
    ):
        with pytest.raises(TypeError) as caught:
            asyncio.run(use(action))
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verify": "no"}, "verify of TLS is 'no', expected True or False; ca_file is the file"),
        ({"verify": "/ca.pem"}, "verify of TLS is '/ca.pem', expected True or False"),
        ({"ca_file": b"/ca.pem"}, "ca_file of TLS is bytes, expected str"),
        ({"server_name": 5}, "server_name of TLS is int, expected str"),
    ],
)
def test_tls(options: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        tritonclient.TLS(**options)
    assert words in str(caught.value)
