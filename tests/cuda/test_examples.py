"""The example programs for a GPU: on one where there is one, and on the compiled driver."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cuda.conftest import Driver, why_no_gpu
from tests.examples.test_official import NEEDS_GPU
from tests.support import example_programs
from tritonclient import messages as m
from tritonclient.server import core

# POSIX shared memory lies here as files, so that the server can open the driver's by name.
MEMORY = Path("/dev/shm")
PASSES = {
    "simple_http_cudashm_client": "PASS: cuda shared memory",
    "simple_grpc_cudashm_client": "PASS: cudashm",
}


def run(name: str, server: Any, variables: Mapping[str, str] = {}) -> Any:
    url = server.http_url if "http" in name else server.grpc_url
    return example_programs.run(name, url.partition("://")[2], variables=variables)


@pytest.fixture
def variables(compiled: Driver) -> dict[str, str]:
    """Environment in which a program finds the compiled driver instead of the real one."""
    return {"LD_LIBRARY_PATH": str(compiled.directory), "FAKE_CUDA_DIRECTORY": str(MEMORY)}


@pytest.fixture
def with_gpu(embedded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The embedded server, which opens the compiled driver's memory as that of a GPU."""
    registered: dict[str, m.CudaSharedMemoryRegion] = {}
    keys = []

    def register(server: Any, request: m.RegisterCudaSharedMemory) -> None:
        magic, _, process, number = struct.unpack_from("8sQii", request.raw_handle)
        assert magic == b"FAKECUD\0"
        key = f"fake-cuda-{process}-{number}"
        assert (MEMORY / key).exists()
        keys.append(key)
        server._regions.register(
            m.RegisterSystemSharedMemory(request.name, f"/{key}", request.byte_size)
        )
        registered[request.name] = m.CudaSharedMemoryRegion(
            request.name, request.device_id, request.byte_size
        )

    def unregister(server: Any, request: m.UnregisterCudaSharedMemory) -> None:
        for name in [request.name] if request.name else list(registered):
            server._regions.unregister(name)
            registered.pop(name, None)

    def status(server: Any, request: m.GetCudaSharedMemoryStatus) -> Any:
        return tuple(registered.values())

    for kind, handler in (
        (m.RegisterCudaSharedMemory, register),
        (m.UnregisterCudaSharedMemory, unregister),
        (m.GetCudaSharedMemoryStatus, status),
    ):
        monkeypatch.setitem(core._HANDLERS, kind, handler)
    yield embedded
    assert not registered
    assert len(keys) == 4
    assert not any((MEMORY / key).exists() for key in keys)


def check(name: str, done: Any) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == PASSES[name]
    assert "15 + 1 = 16" in lines
    assert all(region in done.stdout for region in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere shared memory is no file")
@pytest.mark.parametrize("name", NEEDS_GPU)
def test_on_the_compiled_driver(name: str, with_gpu: Any, variables: dict[str, str]) -> None:
    check(name, run(name, with_gpu, variables))


@pytest.mark.parametrize("name", NEEDS_GPU)
def test_on_a_gpu(name: str, request: pytest.FixtureRequest) -> None:
    if reason := why_no_gpu():
        pytest.skip(reason)
    check(name, run(name, request.getfixturevalue("triton")))


@pytest.mark.skipif(sys.platform != "linux", reason="the compiled driver is found on Linux only")
@pytest.mark.parametrize("name", NEEDS_GPU)
def test_without_a_gpu(name: str, embedded: Any, variables: dict[str, str]) -> None:
    done = run(name, embedded, {**variables, "FAKE_CUDA_DEVICES": "0"})
    assert done.returncode == 1
    assert "CudaSharedMemoryException: unable to create cuda shared memory handle" in done.stderr
