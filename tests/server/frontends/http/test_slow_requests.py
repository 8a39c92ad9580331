"""Requests that come slowly, on a clock that the tests move on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tritonclient.server.frontends.http.listener import _Protocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
Talk = Callable[["Peer"], Awaitable[None]]


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes faster than it does."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Peer:
    """The client's end of a connection to the protocol."""

    def __init__(self, protocol: _Protocol, end: socket.socket, loop: Clock) -> None:
        self._protocol = protocol
        self._end = end
        self._loop = loop

    async def send(self, data: bytes) -> None:
        """Send data, and wait until the protocol got it, or has closed the connection."""
        received = asyncio.Event()
        take = self._protocol.data_received

        def notify(data: bytes) -> None:
            take(data)
            received.set()

        self._protocol.data_received = notify  # type: ignore[method-assign]
        await self._loop.sock_sendall(self._end, data)
        while not received.is_set() and not self._protocol.transport.is_closing():
            await asyncio.sleep(0)
        self._protocol.data_received = take  # type: ignore[method-assign]

    async def drip(self, data: bytes, seconds: int) -> int:
        """Send the data each second until the connection is closed; return how often."""
        for count in range(seconds):
            if self._protocol.transport.is_closing():
                return count
            await self.send(data)
            self._loop.ahead += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return seconds

    async def answer(self) -> tuple[int, Any]:
        """Return status and JSON of the next response."""
        received = b""
        while not received.endswith(b"}"):
            part = await self._loop.sock_recv(self._end, 1 << 16)
            assert part, received
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer to the whole body with its size."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    body = json.dumps({"size": size}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def run() -> Iterator[Callable[[Talk], None]]:
    """Let a coroutine talk to the protocol."""
    loop = Clock()

    async def connect(talk: Talk) -> None:
        config = uvicorn.Config(application, lifespan="off", log_config=None)
        config.load()
        protocol = _Protocol(config, ServerState(), {})
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours)
            try:
                await talk(Peer(protocol, theirs, loop))
            finally:
                transport.abort()
                await asyncio.gather(*protocol.tasks)

    yield lambda talk: loop.run_until_complete(connect(talk))
    loop.close()


@pytest.mark.parametrize("begin", [HEAD + b"X-Long: ", HEAD + b"\r\n"], ids=["head", "body"])
def test_a_byte_each_second_is_too_slow(run: Callable[[Talk], None], begin: bytes) -> None:
    async def talk(peer: Peer) -> None:
        await peer.send(begin)
        assert 250 < await peer.drip(b"a", 1000) < 310
        status, answer = await peer.answer()
        assert status == 408
        text = answer["error"]
        assert text.startswith("the request came too slowly: ")
        assert text.endswith(" s; send it again, with 240 bytes per second or more")

    run(talk)


def test_a_slow_network_is_fast_enough(run: Callable[[Talk], None]) -> None:
    async def talk(peer: Peer) -> None:
        await peer.send(HEAD + b"\r\n")
        assert await peer.drip(bytes(1000), 999) == 999
        await peer.send(bytes(1000))
        assert await peer.answer() == (200, {"size": 1_000_000})

    run(talk)


def test_each_request_of_a_connection_has_its_own_time(run: Callable[[Talk], None]) -> None:
    async def talk(peer: Peer) -> None:
        for _ in range(10):
            await peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\n")
            assert await peer.drip(b"a", 70) == 70
            assert await peer.answer() == (200, {"size": 70})

    run(talk)
