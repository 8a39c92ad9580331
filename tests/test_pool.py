"""Sharing one client: threads, loops, forks, limits, and what is left open afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.adversity import (
    PATIENCE,
    Server,
    answer_all,
    both_runtimes,
    http,
    no_hang,
    read_request,
    send,
    signal_to,
    stall,
    wait_for,
)
from tritonclient import AsyncClient, Client, ConnectionFailed, DeadlineExceeded
from tritonclient.codec import rest
from tritonclient.messages import InferResponse, InferTensor

READY = http(b"")
LIMITS = pytest.mark.parametrize("limit", [1, 4, 100])


def echo(head, body):
    """Answer with the first input, read and written by the codec's server side."""
    method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
    lines = head.decode().split("\r\n")[1:]
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    request = rest.decode_request(rest.HttpRequest(method, path, headers, (body,)))
    given = request.inputs[0]
    output = InferTensor("OUT", given.datatype, given.shape, bytes(given.data))
    answer = rest.encode_response(
        request, InferResponse(request.model, "1", request.id, {}, (output,))
    )
    return http(b"".join(answer.body), *(f"{n}: {v}" for n, v in answer.headers.items()))


def infer(client, number):
    return client.infer("echo", {"IN": np.full(3, number)}, id=str(number))


def check(result, number):
    assert result.id == str(number)
    assert result["OUT"].tolist() == [number] * 3


@pytest.fixture
def server():
    with Server([answer_all(echo)]) as server:
        yield server


# Threads


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
def test_tasks_share_a_client(server, limit):
    async def main():
        async with AsyncClient(server.url, max_connections=limit, timeout=PATIENCE) as client:

            async def one(number):
                check(await infer(client, number), number)

            await asyncio.gather(*map(one, range(200)))

    asyncio.run(main())
    assert server.connections <= limit


def test_prepared_call_is_shared(server):
    with Client(server.url, timeout=PATIENCE) as client, ThreadPoolExecutor(8) as threads:
        call = client.prepare("echo", {"IN": np.full(3, 5)}, id="5")
        for result in threads.map(lambda _: client.infer_prepared(call), range(40)):
            check(result, 5)


# Waiting for a connection


def test_deadline_while_waiting_in_a_thread():
    begun = threading.Event()
    with Server([read_request, signal_to(begun), stall]) as server:
        with Client(server.url, max_connections=1, timeout=PATIENCE) as client:
            with ThreadPoolExecutor(1) as threads:
                busy = threads.submit(infer, client, 1)
                assert begun.wait(PATIENCE)
                with (
                    no_hang(),
                    pytest.raises(DeadlineExceeded, match="all 1 connections") as caught,
                ):
                    client.infer("waiting", {"IN": [1]}, timeout=0.05)
                assert (caught.value.endpoint, caught.value.model) == (server.url, "waiting")
                server.peers[0].sock.shutdown(2)
                assert isinstance(busy.exception(PATIENCE), ConnectionFailed)


def test_deadline_while_waiting_in_a_task():
    begun = threading.Event()

    async def main(server):
        loop = asyncio.get_running_loop()
        async with AsyncClient(server.url, max_connections=1) as client:
            busy = asyncio.create_task(infer(client, 1))
            await loop.run_in_executor(None, begun.wait, PATIENCE)
            with pytest.raises(DeadlineExceeded, match="all 1 connections") as caught:
                await client.infer("waiting", {"IN": [1]}, timeout=0.05)
            assert (caught.value.endpoint, caught.value.model) == (server.url, "waiting")
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)

    with no_hang(), Server([read_request, signal_to(begun), stall]) as server:
        asyncio.run(main(server))


def test_cancelled_waiter_hands_its_turn_on():
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

    first_answer = lambda peer: peer.sock.sendall(echo(*server.requests[0][1:]))  # noqa: E731
    with Server([read_request, wait_for(go), first_answer, answer_all(echo)]) as server:
        with no_hang():
            asyncio.run(main(server))
        assert server.connections == 1


@pytest.mark.parametrize("cancelled", [1, 2, 3, 4])
def test_any_waiter_can_be_cancelled(server, cancelled):
    async def main():
        async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE) as client:
            tasks = [asyncio.create_task(infer(client, n)) for n in range(5)]
            for _ in range(3):
                await asyncio.sleep(0)
            tasks[cancelled].cancel()
            for number, task in enumerate(tasks):
                if number == cancelled:
                    with pytest.raises(asyncio.CancelledError):
                        await task
                else:
                    check(await task, number)

    asyncio.run(main())


def test_failed_connect_frees_its_place():
    with Server([read_request, send(READY), stall]) as server:
        url = server.url
    with Client(url, max_connections=1) as client:
        for _ in range(3):
            with pytest.raises(ConnectionFailed):
                infer(client, 1)


# Closing


def test_close_while_others_wait():
    begun = threading.Event()
    with Server([read_request, signal_to(begun), stall]) as server:
        client = Client(server.url, max_connections=1, timeout=PATIENCE)
        with ThreadPoolExecutor(4) as threads:
            busy = threads.submit(infer, client, 1)
            assert begun.wait(PATIENCE)
            waiting = [threads.submit(infer, client, n) for n in (2, 3, 4)]
            while client._transport._pool._waiting < 3:
                pass
            client.close()
            for each in waiting:
                with pytest.raises(RuntimeError, match="closed"):
                    each.result(PATIENCE)
            assert not busy.done()
            server.peers[0].sock.shutdown(2)
            assert isinstance(busy.exception(PATIENCE), ConnectionFailed)
        assert client._transport._pool._open == 0


def test_close_while_other_tasks_wait():
    begun = threading.Event()

    async def main(server):
        loop = asyncio.get_running_loop()
        client = AsyncClient(server.url, max_connections=1, timeout=PATIENCE)
        tasks = [asyncio.create_task(infer(client, n)) for n in range(4)]
        await loop.run_in_executor(None, begun.wait, PATIENCE)
        await client.close()
        results = await asyncio.wait_for(asyncio.gather(*tasks[1:], return_exceptions=True), 10)
        assert all(isinstance(result, RuntimeError) for result in results)
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)

    with Server([read_request, signal_to(begun), stall]) as server:
        asyncio.run(main(server))


@both_runtimes
def test_closed_client(server, runtime):
    with runtime(server.url) as client:
        check(infer(client, 1), 1)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            infer(client, 2)
        assert server.peers[0].gone.wait(PATIENCE)


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
        check(await infer(client, 1), 1)
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

def ask(client, number):
    result = client.infer("echo", {"IN": np.full(3, number)}, id=str(number), timeout=10)
    assert result["OUT"].tolist() == [number] * 3 and result.id == str(number)

def submit(client, number):
    future = client.submit("echo", {"IN": np.full(3, number)}, id=str(number), timeout=10)
    assert future.result(20)["OUT"].tolist() == [number] * 3

with Client(sys.argv[1], max_connections=2, workers=1) as client:
    ask(client, 1)
    submit(client, 2)
    FIRST
    child = os.fork()
    if not child:
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
    by_connection = {}
    for index, _, body in server.requests:
        kind = b'"id":"1' in body and b'"id":"1"' not in body
        by_connection.setdefault(index, set()).add(kind)
    assert all(len(kinds) == 1 for kinds in by_connection.values())


# Nothing is left open


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_no_descriptors_are_left(server):
    def descriptors():
        gc.collect()
        return {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if _ours(n)}

    def _ours(number):
        try:
            return "socket" in os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            return False

    async def main():
        async with AsyncClient(server.url) as client:
            await asyncio.gather(*(infer(client, n) for n in range(20)))

    before = descriptors()
    with Client(server.url) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: infer(client, n), range(50)))
    asyncio.run(main())
    for peer in server.peers:
        assert peer.gone.wait(PATIENCE)
    for thread in server._threads[1:]:
        thread.join(PATIENCE)
    assert descriptors() <= before


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_limit_below_one(kind, limit):
    with pytest.raises(ValueError, match=f"max_connections is {limit}, expected at least 1"):
        kind("http://127.0.0.1:1", max_connections=limit)


# Submitting and closing


def test_close_waits_for_all_that_was_submitted(server):
    with Client(server.url, workers=2, timeout=PATIENCE) as client:
        futures = [client.submit("echo", {"IN": np.full(3, n)}, id=str(n)) for n in range(20)]
    for number, future in enumerate(futures):
        check(future.result(0), number)


def test_an_exception_does_not_wait():
    begun = threading.Event()
    with Server([read_request, signal_to(begun), stall]) as server:
        with no_hang(), pytest.raises(KeyboardInterrupt):
            with Client(server.url, workers=1, timeout=None) as client:
                busy = client.submit("m", {"IN": np.zeros(3)})
                waiting = client.submit("m", {"IN": np.zeros(3)})
                assert begun.wait(PATIENCE)
                raise KeyboardInterrupt
        assert waiting.cancelled()
        with no_hang(), pytest.raises(ConnectionFailed):
            busy.result(PATIENCE)


def test_a_closed_client_says_so(server):
    client = Client(server.url)
    client.close()
    client.close()
    assert "closed" in repr(client)
    for attempt in (
        lambda: infer(client, 1),
        lambda: client.submit("m", {"IN": np.zeros(3)}),
        client.__enter__,
    ):
        with pytest.raises(RuntimeError, match="the client is closed"):
            attempt()


def test_a_full_pool_is_named_as_what_took_the_time():
    begun = threading.Event()
    with Server([read_request, signal_to(begun), stall]) as server:

        async def main():
            async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE) as client:
                busy = asyncio.create_task(infer(client, 1))
                await asyncio.to_thread(begun.wait, PATIENCE)
                with pytest.raises(DeadlineExceeded, match="all 1 connections were busy"):
                    await client.server_metadata(timeout=0.05)
                busy.cancel()
                await asyncio.gather(busy, return_exceptions=True)

        asyncio.run(main())


def test_connections_are_logged(server, caplog):
    with caplog.at_level("DEBUG", "tritonclient"), Client(server.url, timeout=PATIENCE) as client:
        check(infer(client, 1), 1)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"{server.url}: connected", f"{server.url}: connection closed"]
