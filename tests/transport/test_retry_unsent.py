"""Calls sent to a server that had closed the idle connection, which can't have seen them."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import threading

import numpy as np
import pytest

from tests.support.peers.grpc_peers import (
    GrpcServer,
    answer,
    answer_calls,
    greet,
    read_call,
    session,
)
from tests.support.peers.hostile_peers import (
    PATIENCE,
    Blocking,
    both_runtimes,
    close,
    deadline_guard,
    reset,
    signal_to,
    stall,
    wait_for,
)
from tests.support.peers.protocols import GRPC, both_protocols
from tritonclient import AsyncClient, ConnectionFailed, InferenceServerException
from tritonclient.messages import IsServerReady
from tritonclient.transport import polling
from tritonclient.transport.aio import connection as aio_connection
from tritonclient.transport.aio.grpc_connection import GrpcConnection
from tritonclient.transport.blocking import sockets

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux counts acknowledgements"
)

SMALL, LARGE = np.arange(4), np.zeros(2 << 20)


def _infer(client, array=SMALL):
    return client.infer("echo", {"IN": array}, outputs=["OUT"])["OUT"]


def _serve(protocol, *ends):
    """A server that answers a call, then does `ends`, and answers all on further connections."""
    return protocol.serve([protocol.read, protocol.answer, *ends], [protocol.answer_all])


def _until_a_call_is_there(peer):
    # Ten bytes are more than the acknowledgement of settings, which comes when it likes.
    peer.sock.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL)


@pytest.fixture
def unseen(monkeypatch):
    """The end of an idle connection is not seen, as when it comes in the very moment."""
    for module in (sockets, aio_connection):
        monkeypatch.setattr(module, "readable_check", lambda sock: lambda: False)


@both_protocols
@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize("array", [SMALL, LARGE], ids=["small", "large"])
def test_it_is_sent_again(unseen, protocol, runtime, end, array):
    with protocol.hung_up(runtime, end) as (client, server):
        with deadline_guard():
            assert len(_infer(client, array))
        assert (server.connections, len(server.requests)) == (2, 2)


def test_several_idle_connections():
    """However many have ended, one call finds a living one."""
    begun, go, done = threading.Barrier(7), threading.Event(), threading.Semaphore(0)
    script = [
        *(greet, read_call, lambda peer: begun.wait(PATIENCE), answer(), wait_for(go), close),
        lambda peer: done.release(),
    ]
    with (
        GrpcServer(*[script] * 6, [greet, answer_calls()]) as server,
        Blocking(server.url) as client,
    ):
        threads = [threading.Thread(target=_infer, args=(client,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        begun.wait(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
        go.set()
        for _ in range(6):
            assert done.acquire(timeout=PATIENCE)
        _infer(client)
        assert len(server.requests) == 7


def _ping(peer):
    session(peer).http2.h2.ping(b"12345678")
    session(peer).flush()


@both_runtimes
def test_pinged_before_the_end(runtime):
    with GRPC.hung_up(runtime, _ping, close) as (client, server):
        _infer(client)
        assert (server.connections, len(server.requests)) == (2, 2)


@both_protocols
@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
def test_what_was_taken_is_not_sent_again(protocol, runtime, end):
    """Also when the program behind the connection has not read it: nobody can tell."""
    with _serve(protocol, _until_a_call_is_there, end) as server, runtime(server.url) as client:
        _infer(client)
        with deadline_guard(), pytest.raises(ConnectionFailed):
            _infer(client)
        assert (server.connections, len(server.requests)) == (1, 1)
        _infer(client)
        assert (server.connections, len(server.requests)) == (2, 2)


@both_protocols
@both_runtimes
def test_a_new_connection_is_not_tried_again(protocol, runtime):
    with protocol.server([close]) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(InferenceServerException):
            _infer(client)
        assert server.connections == 1


@both_protocols
def test_the_end_comes_before_the_call(monkeypatch, protocol):
    """A loop reads the end of a connection a turn before it reports the connection lost."""
    kind = {"http": aio_connection.Connection, "grpc": GrpcConnection}[protocol.name]
    eof_received = kind.eof_received
    calls, ended = [], asyncio.Event()

    def begin_a_call(connection):
        calls.append(asyncio.create_task(connection.exchange(request, None, math.inf)))
        ended.set()
        return eof_received(connection)

    monkeypatch.setattr(kind, "eof_received", begin_a_call)

    async def main():
        nonlocal request
        async with AsyncClient(server.url) as client:
            request = client._transport.prepare(IsServerReady())
            await client._transport._pool(asyncio.get_running_loop()).open(math.inf)
            await ended.wait()
            with pytest.raises(ConnectionFailed):
                await calls[0]

    request = None
    with protocol.server([close]) as server:
        asyncio.run(main())


def test_a_closed_client_does_not_begin_again(unseen):
    """A call that is cut off by `abort` ends, and is not sent on a new connection."""
    held = threading.Event()
    failures = []
    with _serve(GRPC, read_call, signal_to(held), stall) as server:
        with Blocking(server.url) as client:
            _infer(client)

            def call():
                try:
                    _infer(client)
                except (InferenceServerException, RuntimeError) as error:
                    failures.append(error)

            thread = threading.Thread(target=call)
            thread.start()
            assert held.wait(PATIENCE)
            client.client._transport.abort()
            thread.join(PATIENCE)
        assert len(failures) == 1
        assert server.connections == 1


@both_protocols
@both_runtimes
def test_a_system_that_does_not_count(unseen, monkeypatch, protocol, runtime):
    for module in (sockets, aio_connection):
        monkeypatch.setattr(module, "unacknowledged_bytes", lambda sock: None)
    with protocol.hung_up(runtime, close) as (client, _):
        with deadline_guard(), pytest.raises(ConnectionFailed):
            _infer(client)
        _infer(client)


def test_only_tcp_is_counted():
    """For a unix socket the system's number includes its own bookkeeping."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(b"1234")
        assert polling.unacknowledged_bytes(ours) is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as sock:
            assert polling.unacknowledged_bytes(sock) == 0
        assert polling.unacknowledged_bytes(sock) is None  # closed
