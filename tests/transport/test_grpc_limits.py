"""Limits of calls over gRPC, in time, size and number: each is kept, and life goes on."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from tests.support.peers.echo import check, infer, located
from tests.support.peers.grpc_peers import (
    GrpcServer,
    answer,
    answer_calls,
    greet,
    greet_with,
    read_call,
    read_calls,
    serve,
    session,
    until_gone,
)
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    deadline_guard,
    ignore,
    signal_to,
    stall,
    wait_for,
)
from tritonclient import (
    AsyncClient,
    DeadlineExceeded,
    ResourceExhausted,
)

THREE = np.full(3, 7)
BIG = {"IN": np.zeros(32 << 20, np.uint8)}


pytestmark = pytest.mark.usefixtures("little_patience")


# Deadlines and cancelling


@pytest.mark.filterwarnings("ignore:timeout is 1e.06 s")  # more than a day
@both_runtimes
@pytest.mark.parametrize(
    ("timeout", "sent"),
    [(0.5, "500000u"), (99.9999, "99999900u"), (100, "100000m"), (1e6, "1000000S")],
)
def test_the_server_is_told_the_deadline(runtime, timeout, sent):
    with serve() as server, runtime(server.url) as client:
        check(infer(client, timeout=timeout))
        check(infer(client, timeout=None))
        assert [headers.get("grpc-timeout") for _, headers, _ in server.requests] == [sent, None]


def _until_reset(event):
    """Wait until a call was given up, and whatever else came with that is answered."""

    def action(peer):
        here = session(peer)
        while not any(call.reset is not None for call in here.http2.calls.values()):
            here.receive()
        event.set()

    return action


@both_runtimes
def test_a_deadline_resets_the_stream(runtime):
    told = threading.Event()
    script = [greet, read_call, _until_reset(told), answer_calls()]
    with GrpcServer(script) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(DeadlineExceeded) as caught:
            infer(client, timeout=0.05)
        assert located(caught.value, server.url)
        client.settle()
        assert told.wait(PATIENCE)
        check(infer(client))
        assert session(server.peers[0]).http2.calls[1].reset == 8
        assert server.connections == 1


def test_cancelling_a_task_resets_the_stream():
    begun, told = threading.Event(), threading.Event()

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            task = asyncio.create_task(infer(client))
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(told.wait, PATIENCE)
            check(await infer(client))

    script = [greet, read_call, signal_to(begun), _until_reset(told), answer_calls()]
    with GrpcServer(script) as server:
        asyncio.run(main(server))
        assert server.connections == 1


def test_deadlines_of_some_are_no_trouble_for_others():
    """Calls that end in quick succession say nothing about a server that works on another."""
    go = threading.Event()

    def work(peer):
        read_calls(5)(peer)
        wait_for(go)(peer)  # deaf to the signs of life that are asked for
        answer_calls()(peer)

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            long = asyncio.create_task(infer(client))
            short = [
                asyncio.create_task(infer(client, timeout=0.05 + 0.01 * number))
                for number in range(4)
            ]
            for each in await asyncio.gather(*short, return_exceptions=True):
                assert isinstance(each, DeadlineExceeded)
            go.set()
            check(await long)
            check(await infer(client))

    with GrpcServer([greet, work]) as server:
        asyncio.run(main(server))
        assert server.connections == 1


def test_a_silent_connection_gets_no_more_calls():
    """It fell silent with a call in work, which keeps its time; others go elsewhere."""

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            check(await infer(client))
            long = asyncio.create_task(infer(client, timeout=1))
            with pytest.raises(DeadlineExceeded):
                await infer(client, timeout=0.05)
            check(await infer(client))
            check(await infer(client))
            with pytest.raises(DeadlineExceeded):
                await long

    with GrpcServer([greet, read_call, answer(), ignore], [greet, answer_calls()]) as server:
        with deadline_guard():
            asyncio.run(main(server))
        assert server.asked_on == [0, 1, 1]


# Much to send


@both_runtimes
def test_refused_while_it_is_sent(runtime):
    """The server answers before it has all; the rest is not sent."""

    def refuse(peer):
        here = session(peer)
        while 1 not in here.http2.calls:
            here.receive()
        here.reply(1, (8, "too large"))
        here.flush()

    script = [greet, refuse, answer_calls()]
    with GrpcServer(script, [greet, answer_calls()]) as server:
        with runtime(server.url, timeout=PATIENCE) as client:
            with deadline_guard(), pytest.raises(ResourceExhausted, match="too large"):
                client.infer("echo", BIG)
            check(infer(client))
        assert server.connections <= 2


@both_runtimes
def test_a_server_that_opens_no_window(runtime):
    with GrpcServer([greet, stall], [greet, answer_calls()]) as server:
        with runtime(server.url) as client:
            with deadline_guard(), pytest.raises(DeadlineExceeded):
                client.infer("echo", BIG, timeout=0.1)
            check(infer(client))


# Reaching the server


@both_runtimes
def test_connecting_in_vain(runtime):
    with GrpcServer([stall], [greet, answer_calls()]) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(DeadlineExceeded):
            infer(client, timeout=0.05)
        check(infer(client))
        assert server.peers[0].gone.wait(PATIENCE)


def test_many_calls_of_a_server_that_says_nothing():
    """One connection at a time is tried, and what waits for it ends in time."""
    over = threading.Event()

    def say_nothing(peer):
        if not over.is_set():
            stall(peer)

    async def main(server):
        async with AsyncClient(server.url) as client:
            calls = [infer(client, timeout=0.1 + 0.01 * (number % 5)) for number in range(50)]
            for each in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(each, DeadlineExceeded)
                assert located(each, server.url)
            over.set()
            check(await infer(client, timeout=PATIENCE))

    with GrpcServer([say_nothing, greet, answer_calls()]) as server:
        with deadline_guard():
            asyncio.run(main(server))
        assert server.connections <= 25


# How many calls at once


@pytest.mark.parametrize("connections", [1, 2, 100])
def test_no_more_calls_at_once_than_the_server_allows(connections):
    """h2 itself refuses those beyond."""
    limit, calls = 3, 100

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE, max_connections=connections) as client:
            results = await asyncio.gather(*[infer(client, number) for number in range(calls)])
            for number, result in enumerate(results):
                check(result, number)

    with GrpcServer([greet_with({3: limit}), answer_calls()]) as server:
        asyncio.run(main(server))
        assert len(server.requests) == calls
        assert server.connections <= min(connections, -(-calls // limit))


async def waiters(client, count):
    """Come back when so many calls wait for a connection."""
    pool = client._transport._pool(asyncio.get_running_loop())
    with deadline_guard():
        while len(pool._waiters) < count:
            await asyncio.sleep(0.001)


def test_calls_wait_until_the_server_allows_more():
    """A limit that rises lets all in that wait."""
    waiting = threading.Event()

    def open_up(peer):
        read_call(peer)
        assert waiting.wait(PATIENCE)
        session(peer).http2.change_settings({3: 100})
        session(peer).flush()
        read_calls(10)(peer)

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE, max_connections=1) as client:
            calls = [asyncio.create_task(infer(client, number)) for number in range(10)]
            await waiters(client, 9)
            waiting.set()
            for number, each in enumerate(calls):
                check(await each, number)

    with (
        GrpcServer([greet_with({3: 1}), open_up, answer(), until_gone]) as server,
        deadline_guard(),
    ):
        asyncio.run(main(server))
        assert server.connections == 1


def test_a_stream_that_ends_lets_another_call_in():
    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE, max_connections=1) as client:
            check(await infer(client))
            async with client.open_stream() as stream:
                await stream.send("echo", {"IN": THREE})
                waiting = asyncio.create_task(infer(client))
                await waiters(client, 1)
            check(await waiting)

    with GrpcServer([greet_with({3: 1}), answer_calls()]) as server, deadline_guard():
        asyncio.run(main(server))
        assert server.connections == 1
