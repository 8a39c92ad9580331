"""Exceptions of signal handlers at any moment of a call: no connection is lost for good."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.protocols import GRPC, HTTP
from tritonclient import AsyncClient

ROOT = Path(__file__).parents[2]
COUNT = 3000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no timer signals")
@pytest.mark.parametrize(
    ("kind", "protocol"),
    [("blocking", HTTP), ("blocking", GRPC), ("classic", HTTP)],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_a_handler_that_raises(kind, protocol):
    command = [sys.executable, "-m", "tests.support.interrupted", kind]
    with protocol.server([protocol.quick]) as server:
        arguments = [*command, server.url, str(COUNT)]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    assert int(done.stdout) > COUNT // 10  # otherwise nothing was interrupted


def test_a_connection_that_a_task_has_taken_and_lost():
    """An event loop does not survive exceptions at any moment, but a pool does."""

    async def main(url):
        async with AsyncClient(url, max_connections=1, timeout=10) as client:
            check(await infer(client))
            assert client._transport._recent.take() is not None
            check(await infer(client))

    with HTTP.serve([HTTP.answer_all]) as server:
        asyncio.run(main(server.url))
        assert server.connections == 2
