"""Connections of gRPC: what servers say on them unasked, forks, and keep-alive."""

from __future__ import annotations

import asyncio
import math
import os
import struct
import subprocess
import sys
import threading

import h2.events
import numpy as np
import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.grpc_peers import (
    GrpcServer,
    answer,
    answer_calls,
    greet,
    greet_with,
    raw,
    read_call,
    session,
    until_gone,
)
from tests.support.peers.h2peer import PING, frame, head, message, window_update
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    deadline_guard,
    ignore,
    signal_to,
)
from tests.support.waiting import eventually
from tests.transport.test_refused_streams import serve_streams
from tritonclient import (
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    KeepAlive,
)
from tritonclient.messages import IsServerReady


def _answer_and_chat(peer):
    while True:
        session(peer).receive()
        if list(session(peer).waiting()):
            answer()(peer)
            for _ in range(30):
                peer.sock.sendall(frame(PING, 0, 0, bytes(8)))


def test_what_comes_unasked_does_not_keep_others_waiting():
    """A connection is not used while something is unread that came when it was idle."""

    async def main():
        async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE) as client:

            async def some(number):
                for _ in range(100):
                    check(await infer(client, number), number)

            await asyncio.gather(*map(some, range(4)))

    with GrpcServer([greet_with({3: 1}), _answer_and_chat]) as server:
        asyncio.run(main())
    assert server.connections == 1


# Forks

FORK_UNDER_A_STREAM = """
import os, sys, warnings
import numpy as np
from tritonclient import Client, ConnectionFailed

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
client = Client(sys.argv[1], timeout=10)
stream = client.open_stream(timeout=10)
stream.send("echo", {"IN": np.arange(3)}, id="1")
child = os.fork()
if not child:
    try:
        next(stream)
    except ConnectionFailed:
        END
        os._exit(0)
    os._exit(1)
_, status = os.waitpid(child, 0)
stream.end()
print(status, [response.id for response in stream])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("end", ["client.close()", "stream.cancel()", "del client, stream"])
def test_a_fork_leaves_the_parents_streams_alone(end):
    with GrpcServer([greet, serve_streams]) as server:
        done = subprocess.run(
            [sys.executable, "-c", FORK_UNDER_A_STREAM.replace("END", end), server.url],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0 ['1']\n", "")


# Keep-alive


def pings(server):
    """Pings that the server received."""
    return sum(
        isinstance(event, h2.events.PingReceived)
        for peer in server.peers
        for event in session(peer).http2.events
    )


def until_pings(count):
    """Answer whatever HTTP/2 asks until so many pings have come."""

    def action(peer):
        while pings(peer.server) < count:
            session(peer).receive()

    return action


@both_runtimes
def test_a_peer_that_fell_silent_is_noticed(runtime):
    settings = KeepAlive(time=0.05, timeout=0.1)
    with GrpcServer([greet, read_call, ignore], [greet, answer_calls()]) as server:
        with runtime(server.url, timeout=None, keep_alive=settings) as client:
            with deadline_guard(), pytest.raises(ConnectionFailed, match="keepalive") as caught:
                infer(client)
            assert (caught.value.endpoint, caught.value.model) == (server.url, "echo")
            check(infer(client))


@both_runtimes
def test_pings_keep_a_long_call_alive(runtime):
    settings = KeepAlive(time=0.02, timeout=PATIENCE, max_pings=0)
    script = [greet, read_call, until_pings(5), answer(), answer_calls()]
    with GrpcServer(script) as server:
        with runtime(server.url, timeout=PATIENCE, keep_alive=settings) as client:
            check(infer(client))
            assert pings(server) >= 5
        assert server.connections == 1


def pings_in_a_row(server):
    """How many pings the server received in a row, between messages, each time."""
    counts = []
    for peer in server.peers:
        counts.append(0)
        for event in session(peer).http2.events:
            if isinstance(event, h2.events.PingReceived):
                counts[-1] += 1
            elif isinstance(event, h2.events.DataReceived):
                counts.append(0)
    return counts


def probes(server):
    """SETTINGS frames that the server received, the first of each connection included."""
    return sum(
        isinstance(event, h2.events.RemoteSettingsChanged)
        for peer in server.peers
        for event in session(peer).http2.events
    )


@both_runtimes
@pytest.mark.parametrize("most", [1, 2, 3])
def test_pings_without_messages_are_limited(runtime, most):
    """Servers hang up on clients that ping too often; a call after a pause pings as well."""
    settings = KeepAlive(time=0.01, timeout=PATIENCE, max_pings=most)
    script = [greet, read_call, answer_calls(at_once=2)]
    with GrpcServer(script) as server:
        with runtime(server.url, timeout=PATIENCE, keep_alive=settings) as client:
            calls = 0
            while pings_in_a_row(server).count(most) < 3:
                calls += 1
                assert calls < 20
                with pytest.raises(DeadlineExceeded):
                    infer(client, timeout=0.2 * calls)  # time for many pings
                client.settle()
                # Once the probe is answered the next call may use the same connection.
                eventually(lambda: probes(server) == server.connections + calls)  # noqa: B023
                assert max(pings_in_a_row(server)) <= most


def test_pings_without_calls():
    settings = KeepAlive(time=0.02, timeout=PATIENCE, without_calls=True, max_pings=0)
    reached = threading.Event()

    async def main(server):
        async with AsyncClient(server.url, keep_alive=settings) as client:
            check(await infer(client))
            assert await asyncio.to_thread(reached.wait, PATIENCE)

    script = [greet, read_call, answer(), until_pings(3), signal_to(reached), answer_calls()]
    with GrpcServer(script) as server:
        asyncio.run(main(server))


def test_a_silent_idle_connection_is_closed():
    settings = KeepAlive(time=0.02, timeout=0.05, without_calls=True)

    async def main(server):
        async with AsyncClient(server.url, keep_alive=settings) as client:
            check(await infer(client))
            await asyncio.to_thread(gone.wait, PATIENCE)
            check(await infer(client))

    gone = threading.Event()
    script = [greet, read_call, answer(), _until_closed(gone)]
    with GrpcServer(script, [greet, answer_calls()]) as server:
        asyncio.run(main(server))
        assert gone.is_set()


def _until_closed(event):
    def action(peer):
        peer.wait_until_gone()
        event.set()

    return action


def test_a_blocking_client_looks_at_what_was_idle_for_long():
    """A middlebox may have dropped the connection silently."""
    settings = KeepAlive(time=0.05, timeout=0.1)
    script = [greet, read_call, answer(), ignore]
    with GrpcServer(script, [greet, answer_calls()]) as server:
        with Client(server.url, timeout=None, keep_alive=settings) as client:
            check(infer(client))
            threading.Event().wait(0.1)
            with deadline_guard(), pytest.raises(ConnectionFailed, match="keepalive"):
                infer(client)
            assert client.ask(IsServerReady()) is True


@pytest.mark.parametrize("values", [{"time": 0}, {"timeout": -1}, {"time": math.nan}])
def test_seconds_that_are_none(values):
    with pytest.raises(ValueError, match="expected a positive number of seconds"):
        KeepAlive(**values)


@both_runtimes
def test_calls_that_cannot_send_end_as_well(runtime):
    """The server's system takes nothing any more, so that no ping would reach it."""
    settings = KeepAlive(time=0.1, timeout=0.2)
    script = [greet_with({4: 1 << 30}), raw(window_update(1 << 30)), ignore]
    with GrpcServer(script) as server:
        with runtime(server.url, timeout=None, keep_alive=settings) as client:
            with deadline_guard(), pytest.raises(ConnectionFailed, match="keepalive"):
                client.infer("echo", {"IN": np.zeros(16 << 20, np.uint8)})


@both_runtimes
def test_only_the_answer_to_a_ping_counts(runtime):
    """A frame that goes on and on keeps nobody waiting for ever."""

    def drip(peer):
        peer.sock.sendall(frame_head)
        while not peer.server.ending.wait(0.02):
            peer.sock.sendall(b"x")

    def until_pinged(peer):
        received = b""
        while bytes((0, 0, 8, PING, 0)) not in received:
            received += peer.sock.recv(1 << 16)

    frame_head = head() + struct.pack(">HBBBL", 1 << 4, 0, 0, 0, 1) + message(bytes(4000))[:5]
    settings = KeepAlive(time=0.5, timeout=0.5)
    with GrpcServer([greet, read_call, until_pinged, drip]) as server:
        with runtime(server.url, timeout=None, keep_alive=settings) as client:
            with deadline_guard(), pytest.raises(ConnectionFailed, match="keepalive"):
                infer(client)


def test_a_sender_that_is_cancelled_keeps_no_other_waiting():
    """It is cancelled in the moment when there is room for all."""

    async def main(server):
        async with AsyncClient(server.url) as client:
            transport = client._transport
            first, second = await transport.open(), await transport.open()
            message = [bytes(300_000)]
            sending = [asyncio.ensure_future(each.send(message)) for each in (first, second)]
            connection = first._connection
            while len(connection._draining) < 2:
                await asyncio.sleep(0.01)
            for stream in (first._stream, second._stream):
                stream.cut(stream.out_size)
            sending[0].cancel()  # its future is cancelled now, and its task goes on later
            connection._flush()
            await asyncio.wait_for(sending[1], PATIENCE)
            with pytest.raises(asyncio.CancelledError):
                await sending[0]
            first.cancel()
            second.cancel()

    with GrpcServer([greet_with({4: 0}), until_gone]) as server:
        asyncio.run(main(server))
