"""Arguments of `map`, refused before anything is sent; and clients of other kinds."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.client.mapping.conftest import calls
from tritonclient import AsyncClient, Client, Grpcio, InferenceServerException, RequestTooLarge
from tritonclient.server import Server
from tritonclient.testing import LocalAsyncClient, LocalClient

ROWS = [np.full(2, number, np.float32) for number in range(20)]


class Frame:
    """A table as pandas and polars have it: iterating gives columns."""

    columns = ("a", "b")
    shape = (3, 2)

    def __iter__(self) -> Any:
        return iter(self.columns)


REFUSED = {
    "errors": ({"errors": "ignore"}, ValueError, ["errors", "'ignore'", "'raise' or 'keep'"]),
    "ordered": ({"ordered": "yes"}, TypeError, ["ordered", "'yes'", "True or False"]),
    "batch size 0": ({"batch_size": 0}, ValueError, ["batch_size", "0", "'max'"]),
    "batch size": ({"batch_size": "all"}, ValueError, ["batch_size", "'all'", "'max'"]),
    "batch size 1.5": ({"batch_size": 1.5}, TypeError, ["batch_size", "1.5", "'max'"]),
    "batch size True": ({"batch_size": True}, TypeError, ["batch_size", "True"]),
    "concurrency": ({"concurrency": "many"}, ValueError, ["concurrency", "'many'", "'auto'"]),
    "concurrency 0": ({"concurrency": 0}, ValueError, ["concurrency", "0", "'auto'"]),
    "timeout": ({"timeout": -1}, ValueError, ["timeout", "-1"]),
    "model": ({"model": ""}, ValueError, ["model", "''"]),
    "model's type": ({"model": 1}, TypeError, ["model", "1", "str"]),
    "outputs": ({"outputs": "Y"}, TypeError, ["outputs", "'Y'", "sequence"]),
    "priority": ({"priority": -1}, ValueError, ["priority", "-1"]),
    "id": ({"id": "a"}, TypeError, ["'id'", "one request"]),
    "sequence": ({"sequence_id": 1}, TypeError, ["'sequence_id'", "stream"]),
    "memory": ({"shared_memory": object()}, TypeError, ["'shared_memory'", "submit"]),
    "unknown": ({"batchsize": 8}, TypeError, ["'batchsize'", "did you mean 'batch_size'?"]),
    "mapping": ({"items": {"X": ROWS[0]}}, TypeError, ["items", "dict", "infer"]),
    "text": ({"items": "rows"}, TypeError, ["items", "str", "iterable"]),
    "number": ({"items": 5}, TypeError, ["items", "int", "iterable"]),
    "function": ({"items": lambda: ROWS}, TypeError, ["items is function", "call it, and give"]),
    "frame": ({"items": Frame()}, TypeError, ["items is Frame", "its columns", "frame.to_numpy("]),
    "executor's": ({"max_workers": 8}, TypeError, ["'max_workers'", "concurrency of map"]),
    "chunks": ({"chunksize": 8}, TypeError, ["'chunksize'", "here it is batch_size"]),
    "progress": ({"progress": True}, TypeError, ["'progress'", "tqdm(client.map(...))"]),
    "retries": ({"retries": 3}, TypeError, ["'retries'", "whether the model may run twice"]),
}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_argument_is_named(kind: Any, name: str) -> None:
    changes, error, words = REFUSED[name]
    arguments = {"model": "double", "items": ROWS, **changes}
    with pytest.raises(error) as caught:
        kind("http://127.0.0.1:9").map(**arguments)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_coroutine_is_to_be_awaited(kind: Any) -> None:
    async def items() -> Any:
        return ROWS

    coroutine = items()
    with pytest.raises(TypeError, match=r"items is coroutine, .*; await it first"):
        kind("http://127.0.0.1:9").map("double", coroutine)
    coroutine.close()


def test_a_blocking_client_takes_no_async_iterable() -> None:
    async def items() -> Any:
        yield ROWS[0]

    with pytest.raises(TypeError, match=r"async_generator.*AsyncClient"):
        Client("http://127.0.0.1:9").map("double", items())  # type: ignore[call-overload]


UNFIT = {
    "batch size": ("double", {"batch_size": 9}, ["batch_size is 9", "max_batch_size", "8"]),
    "no batches": ("alone", {"batch_size": 2}, ["batch_size is 2", "does not batch"]),
    "output": ("double", {"outputs": ["Z"]}, ["no output 'Z'", "Y FP32"]),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_argument_that_does_not_fit_the_model(server: Server, name: str) -> None:
    model, options, words = UNFIT[name]
    calls.clear()
    with Client(server.http_url) as client:
        with pytest.raises(ValueError, match=words[0]) as caught:
            list(client.map(model, ROWS, errors="keep", **options))
        # A handle knows at once.
        with pytest.raises(ValueError, match=words[0]) as again:
            client.model(model).map(ROWS, **options)
    assert str(caught.value) == str(again.value)
    for word in words:
        assert word in str(caught.value)
    assert calls == []


def test_an_unknown_model(server: Server) -> None:
    with Client(server.http_url) as client:
        results = client.map("nowhere", ROWS, errors="keep")
        with pytest.raises(InferenceServerException, match="nowhere"):
            next(results)


def test_nobody_listens() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ConnectionError):
        list(client.map("double", ROWS))


def test_a_handle_casts(server: Server) -> None:
    with Client(server.http_url) as client:
        rows = [row.astype("f8") for row in ROWS]
        results = list(client.model("double", cast=True).map(rows))
    assert [float(result["Y"][0]) for result in results] == [2.0 * n for n in range(20)]


def test_grpcio(server: Server) -> None:
    with Client(server.grpc_url, grpcio=Grpcio()) as client:
        results = list(client.map("double", ROWS))
    assert [float(result["Y"][0]) for result in results] == [2.0 * n for n in range(20)]


def test_clients_without_sockets(server: Server) -> None:
    with LocalClient(server.handle) as client:
        results = list(client.map("double", ROWS))
    assert [float(result["Y"][0]) for result in results] == [2.0 * n for n in range(20)]

    async def collect() -> list[Any]:
        async with LocalAsyncClient(server.handle) as client:
            return [result async for result in client.map("double", ROWS)]

    assert [float(r["Y"][0]) for r in asyncio.run(collect())] == [2.0 * n for n in range(20)]


def test_an_item_that_fails_to_be_read(server: Server) -> None:
    class Broken:
        def __array__(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("the file is gone")

    with Client(server.http_url) as client:
        kept = list(client.map("double", [ROWS[0], Broken(), ROWS[1]], errors="keep"))
        assert [isinstance(each, InferenceServerException) for each in kept] == [False, True, False]
        with pytest.raises(ValueError, match=r"item 1: .*the file is gone"):
            list(client.map("double", [ROWS[0], Broken()]))


def test_options_go_with_every_request(server: Server) -> None:
    with Client(server.http_url, headers={"x-one": "1"}) as client:
        results = list(
            client.map(
                "double",
                ROWS,
                priority=1,
                parameters={"a": 1},
                headers={"x-two": "2"},
                request_compression="gzip",
                timeout=30,
            )
        )
    assert len(results) == 20


def test_a_request_too_large_is_halved(server: Server) -> None:
    # The eight rows of a request don't fit, four do.
    with Client(server.grpc_url, max_request_size=100) as client:
        results = list(client.map("double", ROWS))
    assert [result.index for result in results] == list(range(20))
    with Client(server.grpc_url, max_request_size=20) as client:
        kept = list(client.map("double", ROWS[:3], errors="keep"))
        assert [str(each)[:8] for each in kept] == ["item 0: ", "item 1: ", "item 2: "]
        with pytest.raises(RequestTooLarge, match=r"item 0: .*max_request_size 20"):
            list(client.map("double", ROWS[:3]))
