"""Hosts whose addresses and name servers are silent, for tests of connecting."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.peers.hostile_peers import PATIENCE

#: The name whose addresses a test chooses.
HOST = "model-server.test"


@contextlib.contextmanager
def silent_listener(family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> Iterator[Any]:
    """The address of a listener whose queue is full, so that connecting takes for ever."""
    with socket.socket(family) as listener, contextlib.ExitStack() as stack:
        listener.bind(address)
        listener.listen(0)
        for _ in range(10):
            sock = stack.enter_context(socket.socket(family))
            sock.settimeout(0.2)
            try:
                sock.connect(listener.getsockname())
            except (TimeoutError, BlockingIOError):
                break
        else:
            pytest.skip("this system does not let connections wait")
        yield listener.getsockname()


def answer_names(monkeypatch: Any, *addresses: Any) -> None:
    """Make `HOST` resolve to these addresses, each with its own port."""
    found = [
        (socket.AF_INET6 if len(each) == 4 else socket.AF_INET, socket.SOCK_STREAM, 6, "", each)
        for each in addresses
    ]

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return found if host == HOST else real(host, *arguments, **options)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@contextlib.contextmanager
def silent_name_server(monkeypatch: Any, *addresses: Any) -> Iterator[threading.Event]:
    """Delay the lookup of `HOST` until the event is set; it is set at the end, and threads end."""
    answer_names(monkeypatch, *addresses)
    known = socket.getaddrinfo
    go, here = threading.Event(), os.getpid()

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == HOST and os.getpid() == here:
            go.wait(PATIENCE * 3)
        return known(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        yield go
    finally:
        go.set()
        for thread in lookup_threads():
            thread.join(PATIENCE)


def lookup_threads() -> list[threading.Thread]:
    """The threads that look up names."""
    return [each for each in threading.enumerate() if each.name == "tritonclient-lookup"]


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
