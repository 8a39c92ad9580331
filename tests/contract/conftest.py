"""Runs each test over {HTTP, gRPC, grpcio} x {blocking, asyncio} x {embedded, real Triton}."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import generate_requests
from tests.support.canary import HEADERS, no_secrets
from tests.support.unchanged import Unchanged
from tritonclient import AsyncClient, AsyncModel, AsyncSharedMemory, Client, Grpcio


class Blocked:
    """An asynchronous object whose coroutines are run to their end on a loop in a thread."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        return self._wrap(attribute) if callable(attribute) else attribute

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wrap(self._target)(*args, **kwargs)

    def _wrap(self, function: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        def blocking(*args: Any, **kwargs: Any) -> Any:
            # What these objects wrap is what they stand for as arguments, too.
            kwargs = {n: v._target if isinstance(v, Blocked) else v for n, v in kwargs.items()}
            future = asyncio.run_coroutine_threadsafe(call(*args, **kwargs), self._loop)
            result = future.result(60)
            handle = isinstance(result, (AsyncModel, AsyncSharedMemory))
            return Blocked(result, self._loop) if handle else result

        return blocking


@pytest.fixture(autouse=True)
def secret(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Look for what the clients' headers hold in all that a test prints, logs, warns and raises.

    The embedded server logs as with `--log-verbose`.
    """
    with no_secrets(caplog, capfd, monkeypatch):
        yield


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session", params=["embedded", "triton"])
def server(request: pytest.FixtureRequest) -> Any:
    """A server with all of `models/`: the embedded one, then a real Triton."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["http", "grpc", "grpcio"])
def carrier(request: pytest.FixtureRequest) -> str:
    """The transport: HTTP, gRPC on our own engine, or gRPC through grpcio."""
    return str(request.param)


@pytest.fixture(scope="session")
def url(server: Any, carrier: str) -> str:
    """Where the server is, for what carries the calls."""
    return str(server.http_url if carrier == "http" else server.grpc_url)


@pytest.fixture(scope="session", params=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest, url: str, carrier: str, loop: Any) -> Iterator[Any]:
    """A client of the server, called the same way whatever its protocol and runtime."""
    grpcio = Grpcio() if carrier == "grpcio" else None
    if request.param == "blocking":
        with Client(url, timeout=30, headers=HEADERS, grpcio=grpcio) as blocking:
            yield Unchanged(blocking)
    else:
        awaited = Blocked(AsyncClient(url, timeout=30, headers=HEADERS, grpcio=grpcio), loop)
        yield Unchanged(awaited)
        awaited.close()


@pytest.fixture(scope="module")
def generate_models(server: Any) -> Iterator[None]:
    """The models that tests of the generate extension ask."""
    with generate_requests.loaded(server):
        yield
