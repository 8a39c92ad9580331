"""Requests that take long to send or to answer, over both protocols: broken off in the middle."""

from __future__ import annotations

import asyncio
import signal
import threading

import numpy as np
import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    close,
    deadline_guard,
    ignore,
    reset,
    signal_to,
)
from tests.support.peers.protocols import both_protocols
from tritonclient import AsyncClient, Client, ConnectionFailed, DeadlineExceeded

pytestmark = [both_protocols, pytest.mark.usefixtures("little_patience")]
BIG = {"IN": np.zeros(32 << 20, np.uint8)}


@both_runtimes
def test_large_both_ways(protocol, runtime):
    """Server and client both send more than buffers hold; neither waits for the other."""
    tensor = np.arange(4 << 20, dtype=np.int32)
    with protocol.serve([protocol.answer_all]) as server:
        with runtime(server.url, timeout=PATIENCE) as client:
            for _ in range(2):
                result = client.infer("echo", {"IN": tensor})
                assert (result["OUT"] == tensor).all()
                assert result["OUT"].flags.writeable
                assert result["OUT"].flags.aligned
            assert server.connections == 1


@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
def test_lost_while_it_is_sent(protocol, runtime, end):
    with protocol.serve([protocol.read_some, end], [protocol.answer_all]) as server:
        with runtime(server.url) as client:
            with deadline_guard(), pytest.raises(ConnectionFailed):
                client.infer("echo", BIG)
            check(infer(client))


@both_runtimes
def test_a_server_that_does_not_read(protocol, runtime):
    with protocol.serve([ignore], [protocol.answer_all]) as server:
        with runtime(server.url) as client:
            with deadline_guard(), pytest.raises(DeadlineExceeded):
                client.infer("echo", BIG, timeout=0.1)
            check(infer(client))


@pytest.mark.parametrize("reads_on", [False, True])
def test_cancelling_while_it_is_sent(protocol, reads_on):
    begun = threading.Event()

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            task = asyncio.create_task(client.infer("echo", BIG))
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            check(await infer(client))

    after = protocol.answer_all if reads_on else ignore
    script = [protocol.read_some, signal_to(begun), after]
    with protocol.serve(script, [protocol.answer_all]) as server, deadline_guard():
        asyncio.run(main(server))
        # Where a call can be given up alone, a server that goes on reading keeps the connection.
        assert server.connections == (1 if reads_on and protocol.at_once > 1 else 2)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stage", ["sending", "receiving"])
def test_ctrl_c(protocol, stage):
    main = threading.main_thread().ident

    def interrupt(peer):
        signal.pthread_kill(main, signal.SIGINT)

    read = protocol.read_some if stage == "sending" else protocol.read
    with protocol.serve([read, interrupt, ignore], [protocol.answer_all]) as server:
        with Client(server.url, max_connections=1, timeout=PATIENCE) as client:
            with pytest.raises(KeyboardInterrupt):
                client.infer("echo", BIG if stage == "sending" else {"IN": np.full(3, 7)})
            check(infer(client))
        assert server.connections == 2
