"""Tasks that run on within the protocol's callback, as soon as their responses were read."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard
from tests.support.peers.protocols import GRPC, both_protocols
from tritonclient import AsyncClient

TASKS = 4


@pytest.fixture
def server():
    """A server that sends responses only for all tasks together."""
    with GRPC.serve([GRPC.answer_all], at_once=TASKS) as server, deadline_guard():
        yield server


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_task_that_ends_the_loop(server, kind):
    """Its exception leaves the loop. The tasks that its response came with run on afterwards."""

    async def end():
        check(await infer(client, 0), 0)
        raise kind

    async def go_on(number):
        check(await infer(client, number), number)
        check(await infer(client, number), number)

    client = AsyncClient(server.url, timeout=PATIENCE)
    loop = asyncio.new_event_loop()
    ending = loop.create_task(end())
    others = [loop.create_task(go_on(number)) for number in range(1, TASKS)]
    with pytest.raises(kind):
        loop.run_until_complete(asyncio.wait([ending, *others], timeout=PATIENCE))
    assert ending.done()
    # The server waits for as many calls as there were.
    others.append(loop.create_task(infer(client, 0)))
    loop.run_until_complete(asyncio.wait(others, timeout=PATIENCE))
    assert all(task.done() and task.exception() is None for task in others)
    assert isinstance(ending.exception(), kind)
    loop.run_until_complete(client.close())
    loop.close()


def test_a_signal_handler_that_raises():
    """Where it interrupts the reading of a response, the task of the call runs on all the same."""

    def interrupt():
        connection._owed = False
        raise KeyboardInterrupt

    with GRPC.serve([GRPC.answer_all]) as server, deadline_guard():
        client = AsyncClient(server.url, timeout=PATIENCE)
        loop = asyncio.new_event_loop()
        check(loop.run_until_complete(infer(client, 1)), 1)
        (connection,) = client._transport._recent._all
        connection._read_probe_answer = interrupt
        connection._owed = True
        call = loop.create_task(infer(client, 2))
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait([call], timeout=PATIENCE))
        loop.run_until_complete(asyncio.wait([call], timeout=PATIENCE))
        check(call.result(), 2)
        check(loop.run_until_complete(infer(client, 3)), 3)
        loop.run_until_complete(client.close())
        loop.close()


def test_a_task_that_cancels_those_behind_it(server):
    """Their responses have come with its own; the connection stays of use."""

    async def main():
        async with AsyncClient(server.url, timeout=PATIENCE) as client:

            async def cancel():
                check(await infer(client, 0), 0)
                for task in others:
                    task.cancel()

            first = asyncio.create_task(cancel())
            others = [asyncio.create_task(infer(client, number)) for number in range(1, TASKS)]
            await first
            await asyncio.wait(others)
            assert all(task.cancelled() for task in others)
            results = await asyncio.gather(*(infer(client, number) for number in range(TASKS)))
            for number, result in enumerate(results):
                check(result, number)

    asyncio.run(main())
    assert server.connections == 1


def test_a_task_that_closes_the_client(server):
    """The tasks behind it have their responses."""

    async def main():
        client = AsyncClient(server.url, timeout=PATIENCE)

        async def close():
            check(await infer(client, 0), 0)
            await client.close()

        others = [asyncio.create_task(infer(client, number)) for number in range(1, TASKS)]
        await asyncio.gather(close(), *others)
        for number, task in enumerate(others, 1):
            check(task.result(), number)

    asyncio.run(main())


@both_protocols
def test_bytes_that_a_task_reads(protocol):
    """Where a task passes received bytes to the protocol, no other task runs within it."""

    async def main(url):
        loop = asyncio.get_running_loop()
        async with AsyncClient(url, timeout=PATIENCE) as client:
            check(await infer(client, 1), 1)
            connection = next(iter(client._transport._recent._all))
            connection.transport.pause_reading()
            call = asyncio.create_task(infer(client, 2))
            original = connection.transport.get_extra_info("socket")
            with socket.fromfd(original.fileno(), original.family, original.type) as sock:
                sock.setblocking(False)
                while not call.done():
                    connection.buffer_updated(
                        await loop.sock_recv_into(sock, connection.get_buffer(-1))
                    )
                    await asyncio.sleep(0)
            check(await call, 2)
            connection.transport.resume_reading()
            check(await infer(client, 3), 3)

    with protocol.serve([protocol.answer_all]) as server, deadline_guard():
        asyncio.run(main(server.url))
        assert server.connections == 1
