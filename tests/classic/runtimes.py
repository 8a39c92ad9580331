"""The classic clients, blocking and awaited, behind one face."""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.support.peers import hostile_peers
from tritonclient.http import InferInput


def _blocking(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.http.InferenceServerClient(bare(url), network_timeout=timeout, **options)


def _awaited(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.http.aio.InferenceServerClient(bare(url), conn_timeout=timeout, **options)


def _grpc_blocking(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.grpc.InferenceServerClient(bare(url), **options)


def _grpc_awaited(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.grpc.aio.InferenceServerClient(bare(url), **options)


def bare(url: str) -> str:
    """A URL as the classic clients take it, without its scheme."""
    return url.partition("://")[2]


class Blocking(hostile_peers.Blocking):
    """A `tritonclient.http.InferenceServerClient`."""

    make = staticmethod(_blocking)


class AsyncRunner(hostile_peers.AsyncRunner):
    """A `tritonclient.http.aio.InferenceServerClient`, each of whose methods runs an event loop."""

    make = staticmethod(_awaited)


class GrpcBlocking(hostile_peers.Blocking):
    """A `tritonclient.grpc.InferenceServerClient`."""

    make = staticmethod(_grpc_blocking)


class GrpcAsyncRunner(hostile_peers.AsyncRunner):
    """A `tritonclient.grpc.aio.InferenceServerClient`, each of whose methods runs a loop."""

    make = staticmethod(_grpc_awaited)


#: What the calls of a closed client raise over gRPC, blocking or awaiting.
CLOSED = r"^(Cannot invoke RPC on closed channel!|Channel is closed\.)$"
both_grpc_runtimes = pytest.mark.parametrize(
    "runtime", [GrpcBlocking, GrpcAsyncRunner], ids=lambda r: r.kind
)
both_runtimes = pytest.mark.parametrize("runtime", [Blocking, AsyncRunner], ids=lambda r: r.kind)


def make_input(name: str, array: Any, datatype: str, binary_data: bool = True) -> InferInput:
    """An input that holds an array."""
    array = np.asarray(array)
    return InferInput(name, list(array.shape), datatype).set_data_from_numpy(array, binary_data)


def pair(a: Any, b: Any, binary_data: bool = True) -> list[InferInput]:
    """The inputs of the model `simple`."""
    return [make_input(f"INPUT{n}", x, "INT32", binary_data) for n, x in enumerate((a, b))]


def grpc_input(name: str, array: Any, datatype: str) -> tritonclient.grpc.InferInput:
    """An input over gRPC that holds an array."""
    array = np.asarray(array)
    tensor = tritonclient.grpc.InferInput(name, list(array.shape), datatype)
    return tensor.set_data_from_numpy(array)


def grpc_pair(a: Any, b: Any) -> list[tritonclient.grpc.InferInput]:
    """The inputs of the model `simple` over gRPC."""
    return [grpc_input(f"INPUT{n}", x, "INT32") for n, x in enumerate((a, b))]


class Told:
    """A callback, and what it was told."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.threads: set[threading.Thread] = set()

    def __call__(self, result: Any, error: Any) -> None:
        self.threads.add(threading.current_thread())
        self.queue.put((result, error))

    def get(self) -> tuple[Any, Any]:
        return self.queue.get(timeout=hostile_peers.PATIENCE)
