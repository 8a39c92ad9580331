"""Sharing one client: threads, tasks, limits, loops and forks, over both protocols."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, signal_to, stall, wait_for
from tests.support.peers.protocols import both_protocols
from tritonclient import AsyncClient, Client, ConnectionFailed, DeadlineExceeded

pytestmark = both_protocols
LIMITS = pytest.mark.parametrize("limit", [1, 4, 100])


@pytest.fixture
def server(protocol):
    with protocol.serve([protocol.answer_all]) as server:
        yield server


# Threads and tasks


@LIMITS
def test_threads_share_a_client(server, limit):
    def work(thread):
        for call in range(25):
            number = 1000 * thread + call
            check(infer(client, number), number)

    with Client(server.url, max_connections=limit, timeout=PATIENCE) as client:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(work, range(16)))
    assert server.connections <= min(limit, 16)
    assert len(server.requests) == 16 * 25


@LIMITS
def test_submit(server, limit):
    with Client(server.url, max_connections=limit, timeout=PATIENCE) as client:
        futures = [client.submit("echo", {"IN": np.full(3, n)}, id=str(n)) for n in range(50)]
        for number, future in enumerate(futures):
            check(future.result(PATIENCE), number)
    assert server.connections <= min(limit, 16)


@LIMITS
def test_tasks_share_a_client(server, protocol, limit):
    async def main():
        async with AsyncClient(server.url, max_connections=limit, timeout=PATIENCE) as client:

            async def one(number):
                check(await infer(client, number), number)

            await asyncio.gather(*map(one, range(200)))

    asyncio.run(main())
    assert server.connections == min(limit, math.ceil(200 / protocol.at_once))


def test_prepared_call_is_shared(server):
    with Client(server.url, timeout=PATIENCE) as client, ThreadPoolExecutor(8) as threads:
        call = client.prepare("echo", {"IN": np.full(3, 5)}, id="5")
        for result in threads.map(lambda _: client.infer_prepared(call), range(40)):
            check(result, 5)


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_limit_below_one(protocol, kind, limit):
    with pytest.raises(ValueError, match=f"max_connections is {limit}, expected at least 1"):
        kind(protocol.url(1), max_connections=limit)


# Waiting for a connection


def test_deadline_while_waiting_in_a_thread(protocol):
    begun = threading.Event()
    with protocol.serve([protocol.read, signal_to(begun), stall]) as server:
        with Client(server.url, max_connections=1, timeout=PATIENCE) as client:
            with ThreadPoolExecutor(1) as threads:
                busy = threads.submit(infer, client)
                assert begun.wait(PATIENCE)
                with (
                    deadline_guard(),
                    pytest.raises(DeadlineExceeded, match="all 1 connections were busy") as caught,
                ):
                    client.infer("waiting", {"IN": [1]}, timeout=0.05)
                assert (caught.value.endpoint, caught.value.model) == (server.url, "waiting")
                server.peers[0].sock.shutdown(2)
                assert isinstance(busy.exception(PATIENCE), ConnectionFailed)


def test_deadline_while_waiting_in_a_task(protocol):
    begun = threading.Event()

    async def main(server):
        async with AsyncClient(server.url, max_connections=1) as client:
            busy = asyncio.create_task(infer(client))
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            with pytest.raises(DeadlineExceeded, match="all 1 connections were busy") as caught:
                await client.infer("waiting", {"IN": [1]}, timeout=0.05)
            assert (caught.value.endpoint, caught.value.model) == (server.url, "waiting")
            with pytest.raises(DeadlineExceeded, match="all 1 connections were busy"):
                await client.server_metadata(timeout=0.05)
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)

    with deadline_guard():
        with protocol.serve([protocol.read, signal_to(begun), stall], at_once=1) as server:
            asyncio.run(main(server))


def test_cancelled_waiter_hands_its_turn_on(protocol):
    """One connection, three calls: the second is cancelled as it is woken, the third goes on."""
    go = threading.Event()

    async def main(server):
        async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE) as client:

            async def call_and_cancel():
                result = await infer(client, 1)
                second.cancel()  # by now it has been given the connection
                return result

            first = asyncio.create_task(call_and_cancel())
            second, third = (asyncio.create_task(infer(client, n)) for n in (2, 3))
            while not server.requests:  # until the first is on its way
                await asyncio.sleep(0)
            go.set()
            check(await first, 1)
            with pytest.raises(asyncio.CancelledError):
                await second
            check(await third, 3)

    script = [protocol.read, wait_for(go), protocol.answer, protocol.answer_all]
    with protocol.serve(script, at_once=1) as server:
        with deadline_guard():
            asyncio.run(main(server))
        assert server.connections == 1


def test_any_task_can_be_cancelled(protocol):
    """Of many that wait for one connection, each hands its turn on."""

    async def main(index, steps):
        async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE) as client:
            tasks = [asyncio.create_task(infer(client, n)) for n in range(6)]
            for _ in range(steps):
                await asyncio.sleep(0)
            cancelled = tasks[index].cancel()
            for number, task in enumerate(tasks):
                if number != index or not cancelled:
                    check(await task, number)
                else:
                    with pytest.raises(asyncio.CancelledError):
                        await task

    with protocol.serve([protocol.answer_all], at_once=1) as server, deadline_guard():
        for index in range(6):
            for steps in range(30):
                asyncio.run(main(index, steps))


# Event loops


def test_several_runs(server):
    client = AsyncClient(server.url, timeout=PATIENCE)  # made outside any loop
    for number in range(3):

        async def main(number=number):
            check(await infer(client, number), number)
            check(await infer(client, number), number)

        asyncio.run(main())
        assert server.peers[number].gone.wait(PATIENCE)  # not left open by an ended loop
    assert server.connections == 3
    asyncio.run(client.close())
    gc.collect()


def test_two_loops_at_once(server):
    client = AsyncClient(server.url, timeout=PATIENCE, max_connections=2)
    together = threading.Barrier(2, timeout=PATIENCE)

    async def main(thread):
        await asyncio.get_running_loop().run_in_executor(None, together.wait)
        for call in range(50):
            number = thread * 1000 + call
            check(await infer(client, number), number)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda thread: asyncio.run(main(thread)), range(2)))
    assert server.connections == 2


def test_close_ends_only_its_own_loop(server):
    async def main(close):
        check(await infer(client))
        if close:
            await client.close()

    client = AsyncClient(server.url, timeout=PATIENCE)
    asyncio.run(main(False))
    asyncio.run(main(True))
    for peer in server.peers:
        assert peer.gone.wait(PATIENCE)
    gc.collect()


# Forks

FORK = """
import os, sys, threading, warnings
import numpy as np
from tritonclient import Client

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
who = "parent"

def ask(client, number):
    result = client.infer("echo", {"IN": np.full(3, number)}, id=f"{who} {number}", timeout=10)
    assert result["OUT"].tolist() == [number] * 3 and result.id == f"{who} {number}"

def submit(client, number):
    future = client.submit("echo", {"IN": np.full(3, number)}, id=f"{who} {number}", timeout=10)
    assert future.result(20)["OUT"].tolist() == [number] * 3

with Client(sys.argv[1], max_connections=2, workers=1) as client:
    ask(client, 1)
    submit(client, 2)
    FIRST
    child = os.fork()
    if not child:
        who = "child"
        submit(client, 110)
        for number in range(100, 120):
            ask(client, number)
        client.close()
        os._exit(0)
    for number in range(200, 220):
        ask(client, number)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.name.startswith("tritonclient"):
            thread.join()
    ask(client, 3)
    submit(client, 4)
print("fine")
"""
BUSY = """
    threading.Thread(target=lambda: [ask(client, n) for n in range(300, 400)]).start()
    threading.Thread(target=lambda: [ask(client, n) for n in range(400, 500)]).start()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("first", ["", BUSY], ids=["idle", "busy"])
def test_fork(server, first):
    script = FORK.replace("    FIRST\n", first)
    done = subprocess.run(
        [sys.executable, "-c", script, server.url], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    # Parent and child never share a connection.
    askers = {}
    for index, _, body in server.requests:
        assert (b"parent" in body) != (b"child" in body)
        askers.setdefault(index, set()).add(b"child" in body)
    assert sorted(map(len, askers.values())) == [1] * server.connections
    assert {True} in askers.values()
