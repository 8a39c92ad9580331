"""Runs tests that take `client` over {blocking, asyncio} x {embedded, real Triton}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.classic.grpc_server import GrpcServer
from tests.classic.runtimes import AsyncRunner, Blocking, GrpcAsyncRunner, GrpcBlocking
from tests.support.peers.hostile_peers import PATIENCE


@pytest.fixture(scope="session", params=["embedded", "triton"])
def server(request: pytest.FixtureRequest) -> Any:
    """A server with all of `models/`: the embedded one, then a real Triton."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=[Blocking, AsyncRunner], ids=lambda r: r.kind)
def client(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    """A classic client of the server over HTTP, called the same way whatever its runtime."""
    with request.param(server.http_url) as client:
        yield client


@pytest.fixture(scope="module", params=[GrpcBlocking, GrpcAsyncRunner], ids=lambda r: r.kind)
def grpc_client(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    """A classic client of the server over gRPC, called the same way whatever its runtime."""
    with request.param(server.grpc_url) as client:
        yield client


@pytest.fixture
def stuck() -> Iterator[GrpcServer]:
    """A server that reads what comes on a stream and never answers."""

    def procedure(requests: Any, context: Any) -> Iterator[Any]:
        for _ in requests:
            pass
        server.ending.wait(PATIENCE)
        yield from ()

    with GrpcServer(ModelStreamInfer=procedure) as server:
        yield server
