"""Inputs and outputs in shared memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tests.server.test_inference import ROW, request
from tritonclient import messages as m
from tritonclient.errors import (
    AlreadyExists,
    Internal,
    InvalidArgument,
    NotFound,
    ServerError,
)
from tritonclient.server.core import InferenceServer
from tritonclient.shm.system import create_region

Serve = Callable[..., InferenceServer]


def test_shared_memory(simple: InferenceServer) -> None:
    memory = SharedMemory(create=True, size=8192)
    try:
        memory.buf[4096 : 4096 + 64] = ROW.astype("<i4").tobytes()
        _use_shared_memory(simple, memory)
    finally:
        memory.close()
        memory.unlink()


def _use_shared_memory(core: InferenceServer, memory: SharedMemory) -> None:
    core.handle(m.RegisterSystemSharedMemory("r", memory.name, 4096, 4096))
    region = m.SystemSharedMemoryRegion("r", memory.name, 4096, 4096)
    assert core.handle(m.GetSystemSharedMemoryStatus()) == (region,)
    assert core.handle(m.GetSystemSharedMemoryStatus("r")) == (region,)
    with pytest.raises(AlreadyExists, match="shared memory region 'r' already in manager"):
        core.handle(m.RegisterSystemSharedMemory("r", memory.name, 64))

    def place(offset: int, size: int = 64, region: str = "r") -> dict[str, m.Parameter]:
        return {
            "shared_memory_region": region,
            "shared_memory_offset": offset,
            "shared_memory_byte_size": size,
        }

    tensors = [m.InferTensor(f"INPUT{i}", "INT32", (1, 16), None, place(0)) for i in (0, 1)]
    output = m.RequestedOutput("OUTPUT0", binary=False, parameters=place(64))
    answer = core.handle(replace(request(*tensors), outputs=(output,)))
    assert answer.outputs == (m.InferTensor("OUTPUT0", "INT32", (1, 16), None),)
    assert bytes(memory.buf[4160 : 4160 + 64]) == (2 * ROW).astype("<i4").tobytes()

    for parameters, error, message in (
        (place(0, region="x"), NotFound, "Unable to find shared memory region: 'x'"),
        (place(4096), InvalidArgument, "Invalid offset for shared memory region: 'r'"),
        (place(-64), Internal, "Unable to parse 'shared_memory_offset'"),
        (
            {**place(0), "shared_memory_byte_size": "x"},
            Internal,
            "Unable to parse 'shared_memory_b",
        ),
        (place(4064), InvalidArgument, r"Invalid offset \+ byte size for shared memory region"),
        (place(0, 8), Internal, r"\(8 bytes\) should be at least 64 bytes to hold the results"),
    ):
        wanted = output._replace(parameters=parameters)
        with pytest.raises(error, match=message):
            core.handle(replace(request(), outputs=(wanted,)))
    for changes in ({"binary": True}, {"classes": 1}):
        with pytest.raises(InvalidArgument, match="can't set both 'shared_memory_region'"):
            core.handle(replace(request(), outputs=(output._replace(**changes),)))

    core.handle(m.UnregisterSystemSharedMemory("r"))
    core.handle(m.UnregisterSystemSharedMemory())
    assert core.handle(m.GetSystemSharedMemoryStatus()) == ()
    with pytest.raises(NotFound, match="Unable to find system shared memory region: 'r'"):
        core.handle(m.GetSystemSharedMemoryStatus("r"))


@pytest.mark.parametrize(
    ("key", "offset", "size", "error", "message"),
    [
        ("/tritonclient_missing", 0, 64, Internal, "Unable to open shared memory region"),
        ("", 0, 0, InvalidArgument, "unable to process address space"),
        ("", 64, 64, InvalidArgument, "unable to process address space"),
        ("", -4096, 64, InvalidArgument, "unable to process address space"),
        ("", 4096, 4097, InvalidArgument, "invalid args"),
    ],
)
def test_shared_memory_that_is_not_there(
    simple: InferenceServer,
    key: str,
    offset: int,
    size: int,
    error: type[ServerError],
    message: str,
) -> None:
    memory = SharedMemory(create=True, size=8192)
    try:
        with pytest.raises(error, match=message):
            simple.handle(m.RegisterSystemSharedMemory("r", key or memory.name, size, offset))
    finally:
        memory.close()
        memory.unlink()


WAITING = """
import time
from pathlib import Path
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.place = Path(args["model_repository"])

    def execute(self, requests):
        array = pb_utils.get_input_tensor_by_name(requests[0], "IN").as_numpy()
        (self.place / "begun").touch()
        while not (self.place / "go").exists():
            time.sleep(0.001)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array + 1)])]
"""


def test_a_region_that_goes_while_a_model_reads_it(
    repository: RepositoryMaker, serve: Serve
) -> None:
    place = repository.python("waiting", WAITING)
    core = serve()
    with create_region(4096) as region, ThreadPoolExecutor(1) as thread:
        region.view(0, 8)[:] = np.float32([1, 2]).tobytes()
        core.handle(m.RegisterSystemSharedMemory("r", region.key, 4096))
        where = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
        tensor = m.InferTensor("IN", "FP32", (2,), None, where)
        answer = thread.submit(core.handle, m.Infer("waiting", (tensor,)))
        while not (place / "begun").exists():
            time.sleep(0.001)
        core.handle(m.UnregisterSystemSharedMemory("r"))
        (place / "go").touch()
        (output,) = answer.result(30).outputs
        assert np.frombuffer(output.data or b"", "<f4").tolist() == [2, 3]


def test_cuda_shared_memory_is_refused(simple: InferenceServer) -> None:
    assert simple.handle(m.GetCudaSharedMemoryStatus()) == ()
    with pytest.raises(InvalidArgument, match="without a GPU"):
        simple.handle(m.RegisterCudaSharedMemory("r", b"0" * 64, 0, 64))
    with pytest.raises(NotFound, match="Unable to find cuda shared memory region: 'r'"):
        simple.handle(m.GetCudaSharedMemoryStatus("r"))
    simple.handle(m.UnregisterCudaSharedMemory())
