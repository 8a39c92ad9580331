"""Connections that break or stall, over both protocols: one error, no hang, and life goes on."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.peers.echo import check, infer, located
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    close,
    deadline_guard,
    reset,
)
from tests.support.peers.protocols import GRPC, HTTP, both_protocols, check_simple, infer_simple
from tests.support.waiting import eventually
from tritonclient import (
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    NotFound,
)
from tritonclient.messages import IsServerReady

pytestmark = [both_protocols, pytest.mark.usefixtures("little_patience")]
each_end = pytest.mark.parametrize("end", [close, reset])


# Harm at every byte


@pytest.fixture(scope="module")
def upstreams():
    """Servers that answer as a real Triton did, by their protocols."""
    with HTTP.server([HTTP.replay]) as http, GRPC.server([GRPC.replay]) as grpc:
        yield {HTTP: http, GRPC: grpc}


@pytest.fixture
def proxy(protocol, upstreams):
    with protocol.proxy(upstreams[protocol].address) as proxy:
        yield proxy


@both_runtimes
@pytest.mark.parametrize("harm", ["truncate", "reset"])
def test_cut_at_every_byte(protocol, proxy, runtime, harm):
    with runtime(proxy.url, timeout=PATIENCE) as client:
        for offset in range(len(protocol.wire)):
            proxy.harm = harm, offset
            with pytest.raises(ConnectionFailed) as caught:
                infer_simple(client)
            assert located(caught.value, proxy.url, "simple")
            assert proxy.connections == offset + 1  # each on a connection of its own
        proxy.harm = None
        check_simple(infer_simple(client))


def _end_last(proxy):
    """End the connection that was made last, so that the next answer begins at byte 0 again."""
    proxy.peers[-1].sock.shutdown(socket.SHUT_RDWR)


@both_runtimes
def test_split_at_every_byte(protocol, proxy, runtime):
    with runtime(proxy.url, timeout=PATIENCE) as client:
        for offset in range(len(protocol.wire)):
            proxy.harm = "split", offset
            check_simple(infer_simple(client))
            _end_last(proxy)


@both_runtimes
@pytest.mark.parametrize("seam", range(6))
def test_stall(protocol, proxy, runtime, seam):
    proxy.harm = "stall", protocol.seams[seam]
    with runtime(proxy.url) as client:
        with deadline_guard(), pytest.raises(DeadlineExceeded) as caught:
            infer_simple(client, timeout=0.05)
        assert located(caught.value, proxy.url, "simple")
        proxy.harm = None
        check_simple(infer_simple(client))
        assert proxy.peers[0].gone.wait(PATIENCE)  # the silent connection was closed
        assert proxy.connections == 2


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
@both_runtimes
def test_failures_leak_no_descriptors(protocol, upstreams, runtime):
    gc.collect()
    before = _descriptors()
    upstream = upstreams[protocol]
    last = len(protocol.wire) - 1
    with protocol.proxy(upstream.address) as proxy, runtime(proxy.url, timeout=PATIENCE) as client:
        for harm in (("truncate", 0), ("reset", 9), ("truncate", last), None) * 3:
            proxy.harm = harm
            if harm is None:
                check_simple(infer_simple(client))
                _end_last(proxy)
            else:
                with pytest.raises(ConnectionFailed):
                    infer_simple(client)
    gc.collect()
    # The shared upstream notices later that the proxy's connections are gone.
    for peer in upstream.peers:
        assert peer.gone.wait(PATIENCE)
    eventually(lambda: _descriptors() <= before, 5)


@both_runtimes
def test_a_refusal_keeps_the_connection(protocol, runtime):
    refused = [protocol.read, protocol.refuse, protocol.read, protocol.answer]
    with protocol.serve(refused * 2) as server, runtime(server.url) as client:
        for _ in range(2):
            with pytest.raises(NotFound, match="no such thing: ä") as caught:
                infer(client)
            assert caught.value.status() == protocol.not_found
            assert located(caught.value, server.url)
            check(infer(client))
        assert server.connections == 1


# Connections that went idle


@both_runtimes
@each_end
def test_idle_connection_closed(protocol, runtime, end):
    """The server has hung up between two calls."""
    with protocol.hung_up(runtime, end) as (client, server):
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
@each_end
def test_a_question_that_raced_is_repeated(protocol, runtime, end):
    script = [protocol.read, protocol.answer, protocol.read, end]
    with protocol.serve(script, [protocol.answer_all]) as server, runtime(server.url) as client:
        assert client.ask(IsServerReady()) is True
        assert client.ask(IsServerReady()) is True
        assert server.asked_on == [0, 0, 1]


@both_runtimes
@each_end
def test_an_inference_that_raced_is_not_repeated(protocol, runtime, end):
    script = [protocol.read, protocol.answer, protocol.read, end]
    with protocol.serve(script, [protocol.answer_all]) as server, runtime(server.url) as client:
        check(infer(client))
        with pytest.raises(ConnectionFailed):
            infer(client)
        assert server.asked_on == [0, 0]
        check(infer(client))


@both_runtimes
def test_a_question_is_repeated_once_only(protocol, runtime):
    script = [protocol.read, protocol.answer, protocol.read, close]
    with protocol.serve(script, [protocol.read, close]) as server, runtime(server.url) as client:
        assert client.ask(IsServerReady()) is True
        with pytest.raises(ConnectionFailed):
            client.ask(IsServerReady())
        assert len(server.requests) == 3


@both_runtimes
def test_a_question_on_a_new_connection_is_not_repeated(protocol, runtime):
    with protocol.serve([protocol.read, close]) as server, runtime(server.url) as client:
        with pytest.raises(ConnectionFailed):
            client.server_metadata()
        assert client.is_server_live() is False
        assert len(server.requests) == 2


# A server that comes and goes


@both_runtimes
def test_a_server_that_is_restarted(protocol, runtime):
    """In the middle of calls: failures of the right kind, no hang, and all is well afterwards."""
    with protocol.serve([protocol.answer_all]) as server:
        address = server.address
        client = runtime(server.url, timeout=PATIENCE)
        check(infer(client))
    with client:
        for _ in range(3):
            with deadline_guard(), pytest.raises(ConnectionFailed):
                infer(client)
            with protocol.serve([protocol.answer_all], address=address):
                for number in range(20):
                    check(infer(client, number), number)


class Work:
    """Many callers of a server that comes and goes.

    Attributes:
        successes: the numbers of calls that were answered.
        failures: the errors of those that were not.
        over: set when all callers are to end.
    """

    def __init__(self, protocol):
        self.successes = []
        self.failures = []
        self.over = threading.Event()
        self._protocol = protocol
        with protocol.serve() as server:
            self.url, self._address = server.url, server.address

    def call(self, client, number):
        while not self.over.is_set():
            number += 1
            try:
                check(infer(client, number), number)
                self.successes.append(number)
            except InferenceServerException as error:
                self.failures.append(error)

    async def call_as_task(self, client, number):
        while not self.over.is_set():
            number += 1
            try:
                check(await infer(client, number), number)
                self.successes.append(number)
            except InferenceServerException as error:
                self.failures.append(error)
                await asyncio.sleep(0.001)

    def come_and_go(self):
        """Stop and start the server repeatedly; calls fail and succeed accordingly."""
        try:
            for _ in range(4):
                _grow(self.failures, 50)
                with self._protocol.serve([self._protocol.answer_all], address=self._address):
                    _grow(self.successes, 200)
        finally:
            self.over.set()
        assert all(isinstance(error, ConnectionFailed) for error in self.failures)


def _grow(results, count):
    """Wait until there are so many more."""
    goal = len(results) + count
    eventually(lambda: len(results) >= goal)


def test_threads_outlive_a_server_that_is_restarted(protocol):
    work = Work(protocol)
    with Client(work.url, timeout=PATIENCE) as client, ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(work.call, client, n * 1_000_000) for n in range(8)]
        work.come_and_go()
        for call in calls:
            call.result(PATIENCE)


def test_tasks_outlive_a_server_that_is_restarted(protocol):
    async def main():
        work = Work(protocol)
        async with AsyncClient(work.url, timeout=PATIENCE) as client:
            calls = [
                asyncio.create_task(work.call_as_task(client, n * 1_000_000)) for n in range(16)
            ]
            await asyncio.to_thread(work.come_and_go)
            await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)

    asyncio.run(main())
