"""A real Triton that ends by itself is started again, on the same ports."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests import conftest
from tests.support.servers import triton as real_triton
from tests.support.waiting import eventually
from tritonclient import Client


def test_a_triton_that_ended_is_started_again(
    triton: real_triton.RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    with real_triton.KeptServer(tmp_path / "models") as kept:
        url = kept.server.http_url
        os.kill(kept.server.pid, signal.SIGKILL)
        eventually(lambda: not real_triton.is_running(kept.server.pid))
        with Client(url) as client:
            assert not client.is_server_live()
            kept.restart_if_ended()
            assert client.is_server_ready()
            kept.restart_if_ended()  # it runs: nothing happens
            assert client.is_server_ready()


_runs: list[int] = []


def test_a_test_during_which_it_ended_runs_again(triton: real_triton.RunningServer) -> None:
    """Tests that fail for another reason do not: they would have to be expected to fail."""
    (kept,) = conftest._kept
    _runs.append(kept.pid)
    if len(_runs) == 1:
        os.kill(kept.pid, signal.SIGKILL)
    with Client(triton.http_url) as client:
        assert client.is_server_ready()
    assert len(set(_runs)) == 2


def test_processes_that_run() -> None:
    assert real_triton.is_running(os.getpid())
    assert not real_triton.is_running(2**22)
