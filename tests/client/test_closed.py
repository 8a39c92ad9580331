"""Use of what is closed: clients, streams and shared memory say so, and what to do instead."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import numpy as np
import pytest

from tests.client.test_mistakes import make
from tests.support.peers.hostile_peers import free_port
from tritonclient import (
    AsyncClient,
    Cancelled,
    Client,
    ConnectionFailed,
    InferenceServerException,
    ServerError,
)
from tritonclient.server import Server
from tritonclient.testing.local import LocalAsyncClient, LocalClient

A = np.ones((1, 16), np.int32)
PAIR = {"INPUT0": A, "INPUT1": A}
REPEAT = {
    "IN": np.arange(2, dtype=np.int32),
    "DELAY": np.zeros(2, np.uint32),
    "WAIT": np.zeros(1, np.uint32),
}

both = pytest.mark.parametrize("kind", [Client, AsyncClient], ids=["blocking", "asyncio"])
protocols = pytest.mark.parametrize("protocol", ["http", "grpc"])


async def settled(value: Any) -> Any:
    """Return what a value is awaited to, whichever kind of client it came from."""
    return await value if inspect.isawaitable(value) else value


async def first(results: Any) -> Any:
    """Return the first of an iterator's items."""
    return await settled(anext(results) if hasattr(results, "__anext__") else next(results))


async def enter(manager: Any) -> Any:
    kind = type(manager)
    method = getattr(kind, "__aenter__" if kind.__name__.startswith("Async") else "__enter__")
    return await settled(method(manager))


def act(kind: Any, url: str, action: Any) -> Any:
    """Let a coroutine function use a client of a kind; those of blocking clients never wait."""
    if kind is AsyncClient:
        return make(kind, url, action)
    with Client(url) as client, pytest.raises(StopIteration) as end:
        action(client).send(None)
    return end.value.value


@pytest.mark.server
@both
@protocols
def test_a_closed_client(embedded: Server, kind: Any, protocol: str) -> None:
    url = embedded.http_url if protocol == "http" else embedded.grpc_url

    async def use(client: Any) -> None:
        handle = await settled(client.model("simple"))
        call = client.prepare("simple", PAIR)
        memory = client.shared_memory()
        mapped = client.map("simple", [PAIR])
        await settled(client.close())
        assert repr(client) == f"<{kind.__name__} of {url}, closed>"
        for attempt in (
            lambda: client.infer("simple", PAIR),
            lambda: client.submit("simple", PAIR),
            lambda: client.infer_prepared(call),
            lambda: client.is_server_ready(),
            lambda: client.server_metadata(),
            lambda: client.wait_until_ready(timeout=5),
            lambda: client.model("simple"),
            lambda: client.infer("simple", PAIR, shared_memory=client.shared_memory()),
            lambda: handle(**PAIR),
            lambda: handle.submit(PAIR),
            lambda: first(handle.map([PAIR])),
            lambda: first(mapped),
            lambda: memory.put(A),
            lambda: enter(client),
        ):
            words = rf"the client is closed and sends nothing to {re.escape(url)}; make a new one"
            with pytest.raises(RuntimeError, match=words):
                await settled(attempt())
        await settled(memory.close())
        await settled(client.close())

    act(kind, url, use)


@pytest.mark.server
@both
def test_a_stream_of_a_closed_client(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        stream = client.open_stream()
        await settled(stream.send("simple", PAIR))
        await first(stream)
        await settled(client.close())
        with pytest.raises(Cancelled, match=r"the client was closed \(close it after the last"):
            await first(stream)
        with pytest.raises(RuntimeError, match="the client is closed"):
            await first(client.stream("simple", PAIR))

    act(kind, embedded.grpc_url, use)


@pytest.mark.server
@both
def test_a_stream_that_takes_no_more_requests(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        async def refuses(stream: Any, why: str) -> None:
            words = f"takes no more requests {re.escape(why)}.*client.open_stream()"
            with pytest.raises(RuntimeError, match=words):
                await settled(stream.send("simple", PAIR))

        ended = client.open_stream()
        await settled(ended.end())
        await refuses(ended, "after end()")
        await settled(ended.end())
        given = client.stream("repeat_int32", REPEAT)
        await refuses(given, "than those that stream() was given")
        assert list((await first(given))["OUT"]) == [0]
        for stream in (ended, given, client.open_stream()):
            stream.cancel()
            await refuses(stream, "after cancel(), which the end of its `with` block calls")
            await settled(stream.end())
        with pytest.raises(Cancelled, match=r"stream was cancelled.*inside of the stream's `with`"):
            await first(stream)

    act(kind, embedded.grpc_url, use)


@pytest.mark.server
@both
def test_errors_of_streams_say_what_to_do(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        requests = client.stream(
            [
                {"model": "simpel", "inputs": PAIR, "id": "1"},
                {"model": "simple", "inputs": {"INPUT0": A, "INPUT7": A}, "id": "2"},
                {"model": "simple", "inputs": {"INPUT0": np.ones((1, 16)), "INPUT1": A}},
                {"model": "simple", "inputs": PAIR, "id": "4"},
            ]
        )
        hints = []
        for _ in range(3):
            with pytest.raises(ServerError) as caught:
                await first(requests)
            hints.append(caught.value.hint)
        assert any("did you mean 'simple'" in hint for hint in hints)
        assert any("did you mean 'INPUT1'" in hint for hint in hints)
        assert any("array.astype(np.int32)" in hint for hint in hints)
        assert (await first(requests)).id == "4"
        with pytest.raises(ServerError, match="did you mean 'repeat_int32'"):
            await first(client.stream("repeat_int23", REPEAT))

    act(kind, embedded.grpc_url, use)


@both
def test_a_stream_to_a_server_that_is_not_there(kind: Any) -> None:
    async def use(client: Any) -> None:
        with pytest.raises(ConnectionFailed, match="is the server running there"):
            await first(client.stream("simple", PAIR))

    act(kind, f"grpc://127.0.0.1:{free_port()}", use)


@pytest.mark.parametrize("kind", [LocalClient, LocalAsyncClient])
def test_a_closed_local_client(kind: Any) -> None:
    def handle(request: object) -> object:
        raise InferenceServerException("asked")

    client = kind(handle)

    async def use(client: Any) -> None:
        await settled(client.close())
        with pytest.raises(RuntimeError, match="the client is closed"):
            await settled(client.infer("simple", PAIR))

    asyncio.run(use(client))


@pytest.mark.server
@both
def test_closed_shared_memory(embedded: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        memory = client.shared_memory()
        tensor = await settled(memory.put(A))
        await settled(memory.close())
        for attempt in (
            lambda: memory.put(A),
            lambda: memory.empty([1], "FP32"),
            lambda: client.infer("simple", PAIR, shared_memory=memory),
        ):
            words = "the shared memory is closed; make another with client.shared_memory()"
            with pytest.raises(ValueError, match=re.escape(words)):
                await settled(attempt())
        assert (tensor.read() == A).all()  # which stays valid
        with pytest.raises(ServerError) as caught:
            await settled(client.infer("simple", {"INPUT0": tensor, "INPUT1": A}))
        assert "the server knows no region of this name" in caught.value.hint

    act(kind, embedded.http_url, use)
