"""A real Triton that ends by itself is started again, on the same ports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def _end_once(triton: real_triton.RunningServer, pids: list[int]) -> None:
    """End it the first time, and use it; `pids` get the ids of its process."""
    (kept,) = conftest._kept
    pids.append(kept.pid)
    if len(pids) == 1:
        os.kill(kept.pid, signal.SIGKILL)
    with Client(triton.http_url) as client:
        assert client.is_server_ready()


_runs: list[int] = []


def test_a_test_during_which_it_ended_runs_again(triton: real_triton.RunningServer) -> None:
    """Tests that fail for another reason do not: they would have to be expected to fail."""
    _end_once(triton, _runs)
    assert len(set(_runs)) == 2


@pytest.fixture(scope="module")
def _answers(triton: real_triton.RunningServer) -> None:
    with Client(triton.http_url) as client:
        assert client.is_server_ready()


def test_it_ends_while_no_test_runs(triton: real_triton.RunningServer) -> None:
    """The next test's module fixtures meet a running one."""
    (kept,) = conftest._kept
    os.kill(kept.pid, signal.SIGKILL)
    eventually(lambda: not kept.is_running)


@pytest.mark.usefixtures("_answers")
def test_fixtures_of_modules_come_after_the_start() -> None:
    (kept,) = conftest._kept
    assert kept.is_running


_ended: list[int] = []


@pytest.fixture
def _ends_at_the_end(triton: real_triton.RunningServer) -> Iterator[None]:
    yield
    _end_once(triton, _ended)


@pytest.mark.usefixtures("_ends_at_the_end")
def test_one_whose_fixtures_failed_meanwhile_runs_again() -> None:
    assert len(set(_ended)) < 2


def test_processes_that_run() -> None:
    assert real_triton.is_running(os.getpid())
    assert not real_triton.is_running(2**22)
