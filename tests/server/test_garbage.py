"""Requests leave no circles of objects, in which tensors would wait for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tests.support.waiting import eventually
from tritonclient import Client
from tritonclient.server import Server

#: Types that hold tensors of requests and responses.
HOLDERS = {"ndarray", "memoryview", "InferTensor", "Infer", "Job", "Inference", "InferResponse"}


@pytest.fixture(scope="module", params=[True, False], ids=["in-process", "processes"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    repository = RepositoryMaker(tmp_path_factory.mktemp("models"))
    repository.python("a")
    with Server(repository.directory, in_process=request.param) as server:
        yield server


def unary(client: Client, size: int) -> None:
    array = np.ones(size, np.float32)
    assert client.infer("a", {"IN": array})["OUT"].shape == (size,)


def streamed(client: Client, size: int) -> None:
    (result,) = client.stream("a", {"IN": np.ones(size, np.float32)})
    assert result["OUT"].shape == (size,)


@pytest.mark.parametrize("size", [16, 1 << 20], ids=["small", "large"])
@pytest.mark.parametrize(
    ("protocol", "deed"),
    [("http", unary), ("grpc", unary), ("grpc", streamed)],
)
def test_requests_leave_no_circles(
    server: Server, protocol: str, deed: Callable[[Client, int], None], size: int
) -> None:
    url = server.http_url if protocol == "http" else server.grpc_url

    def circles() -> list[str]:
        """Return the types of what only the collector frees, of those that hold tensors."""
        gc.collect()
        deed(client, size)
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return [type(each).__name__ for each in gc.garbage if type(each).__name__ in HOLDERS]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    gc.disable()
    try:
        with Client(url) as client:
            deed(client, size)
            # The server may still be at work on the end of the last request.
            eventually(lambda: circles() == [])
            assert circles() == []
    finally:
        gc.enable()
