"""Servers that can't be reached: what is said, how soon, and that life goes on; both protocols."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from tests.support.peers.echo import infer, located
from tests.support.peers.hostile_peers import both_runtimes, deadline_guard
from tests.support.peers.protocols import both_protocols
from tests.support.peers.silence import silent_listener
from tritonclient import AsyncClient, ConnectionFailed, ConnectionRefused, DeadlineExceeded

pytestmark = both_protocols


@pytest.fixture
def unused(protocol):
    # Bound and not listening: refuses, and nobody else can get the port.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield protocol.url(sock.getsockname()[1])


@pytest.fixture
def unreachable(protocol):
    """Where connecting takes for ever."""
    with silent_listener() as (_, port):
        yield protocol.url(port)


@both_runtimes
def test_nobody_listens(runtime, unused):
    with runtime(unused) as client:
        with pytest.raises(ConnectionRefused, match="can't connect") as caught:
            infer(client)
        assert isinstance(caught.value, ConnectionFailed)
        assert located(caught.value, unused)
        assert client.is_server_live() is False


@both_runtimes
def test_failed_connect_frees_its_place(runtime, unused):
    with runtime(unused, max_connections=1) as client:
        for _ in range(3):
            with deadline_guard(), pytest.raises(ConnectionRefused):
                infer(client)


@both_runtimes
def test_connecting_takes_too_long(runtime, unreachable):
    with runtime(unreachable, timeout=0.1) as client:
        with deadline_guard(), pytest.raises(DeadlineExceeded) as caught:
            infer(client)
        assert located(caught.value, unreachable)


@both_runtimes
@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".com", "nowhere.invalid"])
def test_name_that_is_no_host(protocol, runtime, host):
    with runtime(f"{protocol.name}://{host}:1") as client:
        with pytest.raises(ConnectionFailed, match="connect"):
            infer(client)


def test_timeout_of_the_network_is_no_deadline(protocol, monkeypatch):
    """When the system gives up connecting, before any deadline of ours, that is what is said."""

    async def main():
        async def give_up(*arguments, **options):
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", give_up)
        async with AsyncClient(protocol.url(1)) as client:
            with pytest.raises(ConnectionFailed, match=r"can't connect.*timed out"):
                await infer(client)

    asyncio.run(main())
