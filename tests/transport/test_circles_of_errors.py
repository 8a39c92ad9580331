"""Errors leave no circles, in which the arrays of failed calls would wait for the collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.http
from tritonclient import AsyncClient, Client, InferenceServerException, Unavailable
from tritonclient.testing import FaultServer

X = np.ones(4, np.float32)
#: Where the server is, which is in this process too.
SERVED = "/tritonclient/server/"

Before = Callable[[FaultServer], object]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(models={"m": lambda X: {"Y": X}}) as server:
        yield server


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def nothing(server: FaultServer) -> None:
    """Let the server answer."""


#: What goes wrong, the options of the client, and those of the call.
FAULTS: dict[str, tuple[Before, dict[str, Any], dict[str, Any]]] = {
    "refused": (lambda s: s.fail_next("m", Unavailable("busy")), {}, {}),
    "late": (lambda s: s.delay_next("m", 0.2), {}, {"timeout": 0.05}),
    "closed": (lambda s: s.drop_next("m"), {}, {}),
    "reset": (lambda s: s.reset_next("m"), {}, {}),
    "cut off": (lambda s: s.truncate_next("m", size=5), {}, {}),
    "large": (nothing, {"max_response_size": 5}, {}),
    "unreachable": (nothing, {}, {}),
}

each_fault = pytest.mark.parametrize("fault", FAULTS)
each_protocol = pytest.mark.parametrize("protocol", ["http", "grpc"])


@contextlib.contextmanager
def uncollected() -> Iterator[list[str]]:
    """Give the frames that only the collector frees after the block; they hold arrays."""
    found: list[str] = []
    gc.disable()
    try:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        yield found
        gc.collect()
        codes = [each.f_code for each in gc.garbage if isinstance(each, types.FrameType)]
        files = ((code, code.co_filename.replace(os.sep, "/")) for code in codes)
        found += [
            code.co_name for code, file in files if "/tritonclient/" in file and SERVED not in file
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def url_of(server: FaultServer, nobody: str, protocol: str, fault: str) -> str:
    if fault == "unreachable":
        return f"{protocol}://{nobody}"
    return server.http_url if protocol == "http" else server.grpc_url


def leaves_nothing(server: FaultServer, before: Before, call: Callable[[], object]) -> None:
    """Assert that a call fails and leaves no frames; the first time it may set up the client."""

    def fail() -> None:
        before(server)
        with pytest.raises(InferenceServerException):
            call()
        server.clear()

    fail()
    with uncollected() as found:
        fail()
    assert found == []


async def leaves_nothing_awaited(
    server: FaultServer, before: Before, call: Callable[[], Awaitable[object]]
) -> None:
    """Assert the same of a call on asyncio."""

    async def fail() -> None:
        before(server)
        with pytest.raises(InferenceServerException):
            await call()
        server.clear()

    await fail()
    with uncollected() as found:
        await fail()
    assert found == []


@each_fault
@each_protocol
def test_blocking(server: FaultServer, nobody: str, protocol: str, fault: str) -> None:
    before, options, call = FAULTS[fault]
    with Client(url_of(server, nobody, protocol, fault), **options) as client:
        leaves_nothing(server, before, lambda: client.infer("m", {"X": X}, **call))


@each_fault
@each_protocol
def test_asyncio(server: FaultServer, nobody: str, protocol: str, fault: str) -> None:
    before, options, call = FAULTS[fault]

    async def main() -> None:
        async with AsyncClient(url_of(server, nobody, protocol, fault), **options) as client:
            await leaves_nothing_awaited(
                server, before, lambda: client.infer("m", {"X": X}, **call)
            )

    asyncio.run(main())


@each_fault
def test_streams(server: FaultServer, nobody: str, fault: str) -> None:
    before, options, call = FAULTS[fault]
    with Client(url_of(server, nobody, "grpc", fault), **options) as client:
        leaves_nothing(server, before, lambda: next(client.stream("m", {"X": X}, **call)))


@each_fault
def test_streams_on_asyncio(server: FaultServer, nobody: str, fault: str) -> None:
    before, options, call = FAULTS[fault]

    async def main() -> None:
        async with AsyncClient(url_of(server, nobody, "grpc", fault), **options) as client:
            await leaves_nothing_awaited(
                server, before, lambda: anext(client.stream("m", {"X": X}, **call))
            )

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["refused", "closed", "reset", "unreachable"])
@each_protocol
def test_classic(server: FaultServer, nobody: str, protocol: str, fault: str) -> None:
    module: Any = tritonclient.http if protocol == "http" else tritonclient.grpc
    url = url_of(server, nobody, protocol, fault).partition("://")[2]
    tensor = module.InferInput("X", X.shape, "FP32")
    tensor.set_data_from_numpy(X)
    with module.InferenceServerClient(url) as client:
        leaves_nothing(server, FAULTS[fault][0], lambda: client.infer("m", [tensor]))
