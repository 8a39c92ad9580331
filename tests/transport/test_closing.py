"""Closing a client over both protocols: what becomes of calls, and that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    deadline_guard,
    signal_to,
    stall,
)
from tests.support.peers.protocols import both_protocols
from tests.support.waiting import eventually
from tritonclient import AsyncClient, Client, ConnectionFailed

pytestmark = both_protocols


@pytest.fixture
def server(protocol):
    with protocol.serve([protocol.answer_all]) as server:
        yield server


@pytest.fixture
def begun():
    return threading.Event()


@pytest.fixture
def busy_server(protocol, begun):
    """A server that takes one call, tells of it, and never answers."""
    with protocol.serve([protocol.read, signal_to(begun), stall], at_once=1) as server:
        yield server


# While others use it


def test_close_while_others_wait(busy_server, begun):
    client = Client(busy_server.url, max_connections=1, timeout=PATIENCE)
    with ThreadPoolExecutor(4) as threads:
        busy = threads.submit(infer, client, 1)
        assert begun.wait(PATIENCE)
        waiting = [threads.submit(infer, client, n) for n in (2, 3, 4)]
        eventually(lambda: len(client._transport._pool._waiters) == 3)
        client.close()
        for each in waiting:
            with pytest.raises(RuntimeError, match="closed"):
                each.result(PATIENCE)
        assert not busy.done()
        busy_server.peers[0].sock.shutdown(2)
        assert isinstance(busy.exception(PATIENCE), ConnectionFailed)
    assert len(client._transport._pool._places) == 0


def test_close_while_other_tasks_wait(busy_server, begun):
    async def main():
        client = AsyncClient(busy_server.url, max_connections=1, timeout=PATIENCE)
        tasks = [asyncio.create_task(infer(client, n)) for n in range(4)]
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        await client.close()
        results = await asyncio.wait_for(asyncio.gather(*tasks[1:], return_exceptions=True), 10)
        assert all(isinstance(result, RuntimeError) for result in results)
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)

    asyncio.run(main())


def test_close_waits_for_all_that_was_submitted(server):
    with Client(server.url, workers=2, timeout=PATIENCE) as client:
        futures = [client.submit("echo", {"IN": np.full(3, n)}, id=str(n)) for n in range(20)]
    for number, future in enumerate(futures):
        check(future.result(0), number)


def test_an_exception_does_not_wait(busy_server, begun):
    with deadline_guard(), pytest.raises(KeyboardInterrupt):
        with Client(busy_server.url, workers=1, timeout=None) as client:
            busy = client.submit("m", {"IN": np.zeros(3)})
            waiting = client.submit("m", {"IN": np.zeros(3)})
            assert begun.wait(PATIENCE)
            raise KeyboardInterrupt
    assert waiting.cancelled()
    with deadline_guard(), pytest.raises(ConnectionFailed):
        busy.result(PATIENCE)


# Afterwards


@both_runtimes
def test_closed_client(server, runtime):
    with runtime(server.url) as client:
        check(infer(client))
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            infer(client)
        assert server.peers[0].gone.wait(PATIENCE)


def test_a_closed_client_says_so(server):
    client = Client(server.url)
    client.close()
    client.close()
    assert "closed" in repr(client)
    for attempt in (
        lambda: infer(client),
        lambda: client.submit("m", {"IN": np.zeros(3)}),
        client.__enter__,
    ):
        with pytest.raises(RuntimeError, match="the client is closed"):
            attempt()


def test_connections_are_logged(server, caplog):
    with caplog.at_level("DEBUG", "tritonclient"), Client(server.url, timeout=PATIENCE) as client:
        check(infer(client))
    messages = [record.getMessage() for record in caplog.records]
    assert messages.pop(1).startswith(f"{server.url} Infer model")
    assert messages == [f"{server.url}: connected", f"{server.url}: connection closed"]


# Nothing is left


def sockets():
    """The sockets that this process has open."""
    gc.collect()
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one by which the directory was read
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {each for each in found if each.startswith("socket")}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_no_descriptors_are_left(server):
    async def main():
        async with AsyncClient(server.url) as client:
            await asyncio.gather(*(infer(client, n) for n in range(20)))

    before = sockets()
    with Client(server.url) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: infer(client, n), range(50)))
    asyncio.run(main())
    for peer in server.peers:
        assert peer.gone.wait(PATIENCE)
    eventually(lambda: sockets() <= before)


LEFTOVERS = """
import asyncio, gc, os, resource, sys, threading
import numpy as np
from tritonclient import AsyncClient, Client

IN = {"IN": np.arange(3)}

def used():
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return (
        pages * resource.getpagesize() >> 10,
        len(gc.get_objects()),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
    )

def blocking(client, calls):
    for _ in range(calls):
        assert client.infer("echo", IN)["OUT"][2] == 2

async def awaiting(client, calls, at_once):
    async def work(count):
        for _ in range(count):
            assert (await client.infer("echo", IN))["OUT"][2] == 2
    await asyncio.gather(*[work(calls // at_once) for _ in range(at_once)])

async def main():
    async with AsyncClient(sys.argv[1]) as client:
        await measure(lambda calls: awaiting(client, calls, calls))

async def measure(run):
    await run(10_000)
    for _ in range(3):  # what is made once, such as a cache that grows, does not come again
        before = used()
        gc.disable()
        await run(10_000)
        garbage = gc.collect()
        gc.enable()
        left = [b - a for a, b in zip(before, used())]
        if left[1] < 100:
            break
    print(garbage, *left)

with Client(sys.argv[1]) as client:
    async def run(calls):
        blocking(client, calls)
    asyncio.run(measure(run))
asyncio.run(main())
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_ten_thousand_calls_leave_nothing(protocol):
    """One after the other, and all at once."""
    with protocol.server([protocol.quick]) as server:
        done = subprocess.run(
            [sys.executable, "-c", LEFTOVERS, server.url], capture_output=True, text=True
        )
    assert done.stderr == ""
    for line in done.stdout.splitlines():
        garbage, kibibytes, objects, descriptors, threads = map(int, line.split())
        assert garbage < 100  # nothing refers to itself, which would be left to the collector
        # Ten thousand tasks at once leave holes in the heap, which later ones fill.
        assert kibibytes < 16_000
        assert objects < 100
        assert (descriptors, threads) == (0, 0)
    assert len(done.stdout.splitlines()) == 2
