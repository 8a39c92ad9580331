"""A server that is killed and started again while clients go on asking."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import MODELS
from tests.support.peers.hostile_peers import deadline_guard
from tests.support.servers import triton
from tests.support.servers.twins import build_repository
from tests.support.waiting import eventually
from tritonclient import AsyncClient, Client, ConnectionFailed, Grpcio, InferenceServerException

A = np.arange(16, dtype=np.int32)[None]


class Worker:
    """Asks one question over and over, on one client.

    Attributes:
        successes: how many calls were answered.
        failures: the errors of those that were not.
    """

    def __init__(self) -> None:
        self.successes = 0
        self.failures: list[InferenceServerException] = []

    def check(self, result) -> None:
        assert np.array_equal(result["OUTPUT0"], 2 * A)
        self.successes += 1

    def work(self, client: Client, over: threading.Event) -> None:
        with client:
            while not over.is_set():
                try:
                    self.check(client.infer("simple", {"INPUT0": A, "INPUT1": A}))
                except InferenceServerException as error:
                    self.failures.append(error)
                    over.wait(0.01)

    async def await_work(self, client: AsyncClient, over: threading.Event) -> None:
        async with client:
            while not over.is_set():
                try:
                    self.check(await client.infer("simple", {"INPUT0": A, "INPUT1": A}))
                except InferenceServerException as error:
                    self.failures.append(error)
                    await asyncio.sleep(0.01)


@contextmanager
def serve_embedded(repository: Path, ports: list[int]) -> Iterator[int]:
    """The embedded server as a process of its own; its number."""
    http, grpc, _ = ports
    flags = ("--http-address=127.0.0.1", "--grpc-address=127.0.0.1")
    command = (sys.executable, "-m", "tritonclient", "serve", f"--model-repository={repository}")
    ports_given = (f"--http-port={http}", f"--grpc-port={grpc}")
    with subprocess.Popen([*command, *flags, *ports_given], stderr=subprocess.DEVNULL) as process:
        try:
            with Client(f"grpc://127.0.0.1:{grpc}") as client:
                client.wait_until_ready(timeout=60)
            yield process.pid
        finally:
            process.kill()


@contextmanager
def serve_triton(repository: Path, ports: list[int]) -> Iterator[int]:
    """A real Triton; its process number."""
    with triton.start(repository, ports=ports) as server:
        yield server.pid


@pytest.fixture(params=["embedded", "triton"])
def serve(request: pytest.FixtureRequest) -> Any:
    """Starts a server of a repository on ports for HTTP, gRPC and metrics."""
    if request.param == "embedded":
        return serve_embedded
    request.getfixturevalue("triton")  # which tells why there is none
    return serve_triton


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The model "simple" alone, which loads in no time."""
    build_repository(MODELS, tmp_path / "all")
    (tmp_path / "models").mkdir()
    (tmp_path / "all" / "simple").rename(tmp_path / "models" / "simple")
    return tmp_path / "models"


def test_clients_outlive_a_server_that_is_killed(serve: Any, repository: Path) -> None:
    """Calls fail in the right way while it is away, none hangs, and no client is built anew."""
    ports = triton.free_ports(3)
    http, grpc = f"http://127.0.0.1:{ports[0]}", f"grpc://127.0.0.1:{ports[1]}"
    targets = [(http, None), (grpc, None), (grpc, Grpcio())]
    blocking = [Worker() for _ in targets]
    awaiting = [Worker() for _ in targets]
    workers = blocking + awaiting
    over = threading.Event()

    async def await_all() -> None:
        clients = [AsyncClient(url, timeout=20, grpcio=grpcio) for url, grpcio in targets]
        await asyncio.gather(
            *[w.await_work(c, over) for w, c in zip(awaiting, clients, strict=True)]
        )

    def kill(pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    with ThreadPoolExecutor(4) as threads:
        tasks = []
        try:
            for _ in range(3):
                with serve(repository, ports) as pid:
                    if not tasks:
                        for worker, (url, grpcio) in zip(blocking, targets, strict=True):
                            client = Client(url, timeout=20, grpcio=grpcio)
                            tasks.append(threads.submit(worker.work, client, over))
                        tasks.append(threads.submit(asyncio.run, await_all()))
                    each_gets(workers, lambda worker: worker.successes, 50)
                    kill(pid)
                    each_gets(workers, lambda worker: len(worker.failures), 1)
        finally:
            over.set()
        with deadline_guard():
            for task in tasks:
                task.result()
    for worker in workers:
        assert all(isinstance(error, ConnectionFailed) for error in worker.failures)


def each_gets(workers: list[Worker], count: Callable[[Worker], int], more: int) -> None:
    """Wait until a number has grown for each."""
    goals = [(worker, count(worker) + more) for worker in workers]
    eventually(lambda: all(count(worker) >= goal for worker, goal in goals), 60)
