"""What is left when an iteration ends early: nothing."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.client.mapping.fake import LARGEST, SPEC, FakeClient, item, plan
from tests.support.waiting import eventually
from tritonclient import Client
from tritonclient.client.mapping import aio, blocking
from tritonclient.server import Server


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "tritonclient-map"]


def iterate(client: FakeClient, count: int = 100, **options: Any) -> Any:
    """Return the iterator of a blocking client over a number of rows."""
    items = [item(number) for number in range(count)]
    sending = blocking.Sending(client, plan(**options))
    return blocking.iterate(lambda _: sending, plan(**options), items, lambda: SPEC)


async def describe() -> Any:
    return SPEC


def test_closing_leaves_no_thread() -> None:
    client = FakeClient(Random(1))
    results = iterate(client)
    assert next(results).index == 0
    assert len(threads()) == 1
    results.close()
    assert threads() == []
    assert client.in_flight == 0
    assert client.closed
    assert list(results) == []


def test_breaking_leaves_no_thread() -> None:
    client = FakeClient(Random(1))
    for _ in iterate(client):
        break
    gc.collect()  # needed where objects are not counted
    eventually(lambda: not threads())
    assert client.in_flight == 0


def test_an_error_of_the_consumer_leaves_no_thread() -> None:
    client = FakeClient(Random(1))
    with pytest.raises(ZeroDivisionError):
        for result in iterate(client):
            result.index // 0
    gc.collect()
    eventually(lambda: not threads())
    assert client.closed


def test_ctrl_c_cancels_what_is_in_flight(interruptible: None) -> None:
    client = FakeClient()  # never answers
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        if client.in_flight == 3:
            signal.pthread_kill(main, signal.SIGINT)

    client.arrived = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(iterate(client, concurrency=3))
    assert threads() == []
    assert client.cancelled == 3


def test_no_more_is_read_than_there_is_room_for() -> None:
    read = 0

    def items() -> Iterator[Any]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield item(number)

    client = FakeClient(Random(1))
    chosen = plan(concurrency=2)
    results = blocking.iterate(
        lambda _: blocking.Sending(client, chosen), chosen, items(), lambda: SPEC
    )
    for result in results:
        # Two in flight, two whose results wait, and the one whose results are being taken.
        assert read <= result.index + 5 * LARGEST
    assert read == 1000


def test_items_are_read_on_the_thread_that_iterates() -> None:
    seen = set()

    def items() -> Iterator[Any]:
        for number in range(50):
            seen.add(threading.current_thread())
            yield item(number)

    client = FakeClient(Random(1))
    results = blocking.iterate(
        lambda _: blocking.Sending(client, plan()), plan(), items(), lambda: SPEC
    )
    assert len(list(results)) == 50
    assert seen == {threading.current_thread()}


def test_closing_on_asyncio_leaves_no_task() -> None:
    client = FakeClient()

    async def main() -> None:
        results = aio.iterate(client, plan(concurrency=3), endless(), describe)
        waiting = asyncio.ensure_future(results.__anext__())
        while client.in_flight < 3:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert client.cancelled == 3


def endless() -> Iterator[Any]:
    while True:
        yield item(1)


def test_aclose_cancels_a_source_that_waits() -> None:
    ended = []

    async def source() -> Any:
        try:
            for number in range(LARGEST):
                yield item(number)
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main() -> None:
        results = aio.iterate(FakeClient(Random(1)), plan(), source(), describe)
        # The first request goes out while the source waits for more.
        assert (await results.__anext__()).index == 0
        await results.aclose()
        assert ended == [True]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_breaking_on_asyncio_leaves_no_task() -> None:
    client = FakeClient(Random(1))

    async def main() -> None:
        async for _ in aio.iterate(client, plan(concurrency=3), endless(), describe):
            break
        gc.collect()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert client.in_flight == 0


def test_a_source_that_is_cancelled_does_not_look_ended() -> None:
    async def source() -> Any:
        yield item(0)
        raise asyncio.CancelledError

    async def main() -> None:
        async for _ in aio.iterate(FakeClient(Random(1)), plan(), source(), describe):
            pass

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_closing_the_client_ends_its_iterations(server: Server) -> None:
    with Client(server.grpc_url) as client:
        results = client.map("double", endless_pairs())
        next(results)
        assert len(threads()) == 1
    assert threads() == []
    with pytest.raises(RuntimeError, match="the client is closed"):
        list(results)
    with pytest.raises(RuntimeError, match="the client is closed"):
        next(client.map("double", endless_pairs()))


PROGRAM = """
import os, sys, tritonclient
results = tritonclient.Client(sys.argv[1]).map("double", ([1.0, 2.0] for _ in iter(int, 1)))
next(results)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.server
def test_a_program_can_end_with_an_iterator_at_hand(server: Server) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, server.http_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def endless_pairs() -> Iterator[Any]:
    while True:
        yield [1.0, 2.0]
