"""Processes of models leave nothing behind: reloads, crashes and requests in large numbers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.server.backends.python.process.test_isolation import code
from tests.server.conftest import RepositoryMaker
from tests.support.processes import descendants, descriptors, runs, threads
from tests.support.waiting import eventually
from tritonclient import Client, InferenceServerException
from tritonclient.server import Server

#: Growth of the resident memory of a server and its processes that is no leak, in bytes.
ALLOWED = 24 << 20
#: Threads beside those of `POOLS` that may still be started; fewer than there are deeds.
OTHERS = 4
#: Pools of the server: they start a thread where those that they have are still busy.
POOLS = ("tritonclient-request", "tritonclient-stream")


class Used(NamedTuple):
    """What a server and its processes use, but for memory."""

    processes: int
    threads: int
    pooled: int
    descriptors: int
    shared_memory: int


def used() -> Used:
    """Return what this process and its descendants use."""
    processes = [os.getpid(), *filter(runs, descendants(os.getpid()))]
    opened = sum(map(descriptors, processes))
    shared = sum(Path(f"/proc/{each}/maps").read_text().count("/dev/shm/") for each in processes)
    pooled = sum(each.name.startswith(POOLS) for each in threading.enumerate())
    return Used(len(processes), sum(map(threads, processes)) - pooled, pooled, opened, shared)


def fits(now: Used, before: Used, count: int) -> bool:
    """Return True if nothing has grown, but for a few threads; a leak is one for each deed."""
    pooled = before.pooled + max(OTHERS, count // 4)
    allowed = before._replace(threads=before.threads + OTHERS, pooled=pooled)
    return all(each <= most for each, most in zip(now, allowed, strict=True))


def resident() -> int:
    """Return the memory of this process and its descendants in bytes; shared pages count once."""
    size = 0
    for each in [os.getpid(), *filter(runs, descendants(os.getpid()))]:
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        size += 1024 * int(text.split("\nPss:")[1].split()[0])
    return size


@pytest.fixture
def server(repository: RepositoryMaker) -> Iterator[Server]:
    repository.python("m", code("os._exit(1)"))
    with Server(repository.directory, model_control_mode="explicit", load_models=["m"]) as server:
        yield server


def ask(client: Client, value: float) -> None:
    array = np.array([value], np.float32)
    assert client.infer("m", {"IN": array})["OUT"][0] == value


def crash(client: Client) -> None:
    with pytest.raises(InferenceServerException, match="is not healthy"):
        ask(client, 1)
    ask(client, 2)


def reload(client: Client) -> None:
    client.load_model("m")


def request(client: Client) -> None:
    ask(client, 2)


def connect(client: Client) -> None:
    with Client(client._url, timeout=60) as another:
        ask(another, 2)


def stream(client: Client) -> None:
    with client.open_stream() as opened:
        opened.send("m", {"IN": np.array([2], np.float32)})
        assert next(opened)["OUT"][0] == 2


def leave(client: Client) -> None:
    """Cancel a stream with a response on its way."""
    with client.open_stream() as opened:
        opened.send("m", {"IN": np.array([2], np.float32)})
        opened.cancel()


@pytest.mark.parametrize(
    ("protocol", "deed", "count"),
    [
        ("http", crash, 5),
        ("http", reload, 10),
        ("http", request, 500),
        ("grpc", request, 500),
        ("grpc", connect, 100),
        ("grpc", stream, 100),
        ("grpc", leave, 100),
        pytest.param("http", crash, 200, marks=pytest.mark.long),
        pytest.param("http", reload, 1000, marks=pytest.mark.long),
        pytest.param("http", request, 100_000, marks=pytest.mark.long),
        pytest.param("grpc", request, 100_000, marks=pytest.mark.long),
        pytest.param("grpc", connect, 5000, marks=pytest.mark.long),
        pytest.param("grpc", stream, 10_000, marks=pytest.mark.long),
        pytest.param("grpc", leave, 10_000, marks=pytest.mark.long),
    ],
)
def test_nothing_grows(
    server: Server, protocol: str, deed: Callable[[Client], None], count: int
) -> None:
    url = server.http_url if protocol == "http" else server.grpc_url
    with Client(url, timeout=60) as client:
        for _ in range(max(5, count // 50)):
            deed(client)
        ask(client, 2)
        before, memory = used(), resident()
        for _ in range(count):
            deed(client)
        ask(client, 2)
        eventually(lambda: fits(used(), before, count))
        growth = resident() - memory
        logging.getLogger(__name__).info("%s, memory %d + %d bytes", before, memory, growth)
        assert growth < ALLOWED
