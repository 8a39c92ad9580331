"""Real proxies that end connections of gRPC clients: no call fails, and none is sent twice."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from h2.connection import H2Connection

from tests.proxies.test_grpc import (
    LARGE,
    A,
    acheck,
    check_large,
    check_small,
    each_program,
    each_runtime,
)
from tests.support.peers.grpc_proxies import CALLS_PER_CONNECTION, serve
from tests.support.peers.hostile_peers import PATIENCE, both_runtimes, deadline_guard
from tritonclient import AsyncClient, Client, ConnectionRefused, KeepAlive

REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")]
each_kind = pytest.mark.parametrize("kind", ["threads", "tasks"])


@each_program
@each_runtime
@pytest.mark.parametrize("name", ["closing", "tls closing"])
def test_connections_that_are_closed_now_and_then(runtime, program, name, grpc_proxy, executed):
    url, options = grpc_proxy(f"{program} {name}")
    calls = 10 * CALLS_PER_CONNECTION
    with runtime(url, timeout=PATIENCE, **options) as client:
        for number in range(calls):
            check_small(client, number)
    assert executed() == calls


@each_program
@each_runtime
@pytest.mark.parametrize("name", ["closing", "tls closing"])
def test_large_tensors_over_connections_that_are_closed(runtime, program, name, grpc_proxy):
    url, options = grpc_proxy(f"{program} {name}")
    with runtime(url, timeout=PATIENCE, **options) as client:
        for _ in range(CALLS_PER_CONNECTION + 2):
            check_large(client)


@each_program
@pytest.mark.parametrize("name", ["plain", "closing", "tight", "tls closing"])
def test_threads_share_a_client(program, name, grpc_proxy, executed):
    url, options = grpc_proxy(f"{program} {name}")
    with Client(url, timeout=PATIENCE, **options) as client, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: check_small(client, number), range(400)))
    assert executed() == 400


@each_program
@pytest.mark.parametrize("name", ["plain", "closing", "tight", "tls closing"])
@pytest.mark.parametrize("connections", [1, 100])
def test_tasks_share_a_client(program, name, connections, grpc_proxy, executed):
    url, options = grpc_proxy(f"{program} {name}")

    async def main():
        async with AsyncClient(
            url, timeout=PATIENCE, max_connections=connections, **options
        ) as client:
            for first in range(0, 320, 64):
                await asyncio.gather(*[acheck(client, first + n) for n in range(64)])

    asyncio.run(main())
    assert executed() == 320


@each_program
@pytest.mark.parametrize("name", ["closing", "tight", "tls closing", "tls tight"])
def test_large_tensors_of_many_tasks(program, name, grpc_proxy):
    url, options = grpc_proxy(f"{program} {name}")

    async def check(client, number):
        tensor = LARGE[: 1 << 17] + number
        result = await client.infer("identity_fp32", {"INPUT0": tensor})
        assert (result["OUTPUT0"] == tensor).all()

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, **options) as client:
            await asyncio.gather(*[check(client, number) for number in range(24)])

    asyncio.run(main())


@each_program
@both_runtimes
def test_idle_connection_closed(runtime, program, grpc_proxy, executed):
    """A connection that was idle for shorter tells when the client's has been closed as well."""
    url, _ = grpc_proxy(f"{program} idle")
    host, port = url.removeprefix("grpc://").split(":")
    with runtime(url, timeout=PATIENCE) as client:
        for number in range(3):
            check_small(client, number)
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as other:
                http2 = H2Connection()
                http2.initiate_connection()
                http2.send_headers(1, REQUEST, end_stream=True)
                other.sendall(http2.data_to_send())
                while other.recv(1 << 16):
                    pass
    assert executed() == 3


class Loop:
    """Calls without a pause, in threads or tasks, until told to stop or until one fails.

    Attributes:
        answered: how many calls went well.
        failures: what ended the others.
    """

    def __init__(self, url: str, kind: str, workers: int = 8) -> None:
        self.answered = 0
        self.failures: list[BaseException] = []
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._url = url
        self._workers = workers
        run = self._threads if kind == "threads" else lambda: asyncio.run(self._tasks())
        self._thread = threading.Thread(target=run)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def join(self) -> None:
        """Wait until all workers have failed."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def wait_for(self, count: int) -> None:
        """Wait until so many more calls went well."""
        with self._changed:
            count += self.answered
            assert self._changed.wait_for(lambda: self.answered >= count or self.failures, PATIENCE)

    def _note(self) -> None:
        with self._changed:
            self.answered += 1
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self.failures.append(error)
            self._changed.notify_all()

    def _threads(self) -> None:
        with Client(self._url, timeout=PATIENCE) as client:
            threads = [
                threading.Thread(target=self._call, args=[client]) for _ in range(self._workers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _call(self, client: Client) -> None:
        try:
            while not self._over.is_set():
                check_small(client)
                self._note()
        except BaseException as error:
            self._fail(error)

    async def _tasks(self) -> None:
        async with AsyncClient(self._url, timeout=PATIENCE) as client:
            await asyncio.gather(*[self._acall(client) for _ in range(self._workers)])

    async def _acall(self, client: AsyncClient) -> None:
        try:
            while not self._over.is_set():
                await acheck(client)
                self._note()
        except BaseException as error:
            self._fail(error)


@pytest.mark.parametrize("program", ["nginx", "nghttpx"])
@each_kind
def test_proxy_that_is_reloaded(program, kind, embedded, authority, tmp_path, executed):
    """New workers take over, and the old ones end what they have: nobody notices."""
    with serve(tmp_path, program, "plain", embedded.grpc_address, authority) as proxy:
        with Loop(proxy.url, kind) as loop:
            for _ in range(3):
                loop.wait_for(50)
                proxy.reload()
            loop.wait_for(200)
        assert not loop.failures
    assert executed() == loop.answered


# Nghttpx lets connections go on for as long as their clients use them.
@pytest.mark.parametrize("program", ["nginx", "haproxy"])
@each_kind
def test_proxy_that_is_stopped(program, kind, embedded, authority, tmp_path, executed):
    """The proxy completes its calls and then stops."""
    with serve(tmp_path, program, "plain", embedded.grpc_address, authority) as proxy:
        with Loop(proxy.url, kind) as loop:
            loop.wait_for(50)
            proxy.stop()
            loop.join()
        proxy.wait()
    assert all(type(each) is ConnectionRefused for each in loop.failures)
    assert executed() == loop.answered


@each_program
@both_runtimes
def test_pings(runtime, program, grpc_proxy):
    """Through a proxy they keep a silent call alive, and it does not hold them against us."""
    url, _ = grpc_proxy(f"{program} plain")
    slow = {"INPUT0": A[0], "DELAY_MS": np.array([400], np.int32)}
    keep_alive = KeepAlive(time=0.02, timeout=PATIENCE, without_calls=True, max_pings=0)
    with runtime(url, timeout=PATIENCE, keep_alive=keep_alive) as client:
        for _ in range(2):
            assert (client.infer("slow_identity", slow)["OUTPUT0"] == A[0]).all()


@each_program
def test_cancelled_calls(program, grpc_proxy, executed):
    """They are told to the server, and the connection goes on."""
    url, _ = grpc_proxy(f"{program} plain")
    slow = {"INPUT0": A[0], "DELAY_MS": np.array([9000], np.int32)}

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, max_connections=1) as client:
            await acheck(client)
            with deadline_guard(8):
                for _ in range(3):
                    tasks = [asyncio.create_task(client.infer("slow_identity", slow)) for _ in "ab"]
                    await acheck(client)
                    for task in tasks:
                        task.cancel()
                    for task in tasks:
                        with pytest.raises(asyncio.CancelledError):
                            await task
                # The model's two instances are free again only because they were told.
                quick = {**slow, "DELAY_MS": np.array([0], np.int32)}
                await asyncio.gather(*[client.infer("slow_identity", quick) for _ in "ab"])

    asyncio.run(main())
