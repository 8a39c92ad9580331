"""Calls whose tensors are placed on a GPU, against a server that is a function."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest

from tests.cuda.conftest import Driver
from tritonclient import messages as m
from tritonclient.client import flows
from tritonclient.client.shared_memory import SharedMemory
from tritonclient.datatypes import pack
from tritonclient.errors import Internal, NotFound
from tritonclient.shm.cuda import create_region
from tritonclient.shm.dlpack import CUDA, borrow

URL = "http://localhost:8000"
A = np.arange(16, dtype=np.int32)


class Server:
    """Doubles what lies in our regions. It can't open them in the same process, so it peeks."""

    def __init__(self):
        self.memory = None
        self.requests = []

    def __call__(self, request, timeout):
        if isinstance(request, m.Infer):
            plain = tuple(m.RequestedOutput(*output) for output in request.outputs)
            self.requests.append(replace(request, outputs=plain))
            return self.infer(request)
        self.requests.append(request)
        if isinstance(request, m.GetModelMetadata):
            raise NotFound("no metadata", "404")
        return None

    def region(self, parameters):
        (segment,) = (
            each
            for each in self.memory._segments
            if each.name == parameters["shared_memory_region"]
        )
        return segment._region

    def infer(self, request):
        outputs = []
        for tensor, output in zip(request.inputs, request.outputs, strict=True):
            data = tensor.data
            if data is None:
                where = tensor.parameters
                data = self.region(where).read(
                    where.get("shared_memory_offset", 0), where["shared_memory_byte_size"]
                )
            answer = (
                bytes(data)
                if tensor.datatype == "BYTES"
                else pack(2 * np.frombuffer(data, np.int32), "INT32")
            )
            where = output.parameters
            if where:
                self.region(where).write(answer, where.get("shared_memory_offset", 0))
            outputs.append(
                m.InferTensor(output.name, tensor.datatype, tensor.shape, None if where else answer)
            )
        return m.InferResponse("double", "1", "", {}, tuple(outputs))


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def memory(driver, server):
    def run(flow):
        return flows.run(flow, server, pytest.fail)

    with SharedMemory(run, URL, 30.0, 4096, 0, 0o600) as memory:
        server.memory = memory
        yield memory


def infer(memory, inputs, outputs):
    flow, _ = memory.inference(URL, "double", inputs, "", outputs, {}, 30.0)
    return memory._run(flow)


def test_registration(server, memory):
    assert repr(memory) == "<SharedMemory in GPU 0, 0 regions>"
    memory.put(A)
    (request,) = server.requests
    assert isinstance(request, m.RegisterCudaSharedMemory)
    assert (request.device_id, request.byte_size, len(request.raw_handle)) == (0, 4096, 64)
    (name,) = memory.regions
    assert request.name == name
    memory.close()
    assert server.requests[-1] == m.UnregisterCudaSharedMemory(name)


def test_tensors_are_placed(server, memory):
    result = infer(memory, {"A": A, "B": A + 1}, [memory.output("X", 64), memory.output("Y", 64)])
    assert result["X"].tolist() == (2 * A).tolist()
    assert result["Y"].tolist() == (2 * A + 2).tolist()
    result["X"][:] = 0  # it is a copy
    request = server.requests[-1]
    assert all(tensor.data is None for tensor in request.inputs)


def test_tensors_of_the_gpu_stay_there(server, memory):
    with create_region(64) as region:
        region.write(A.tobytes())
        result = infer(memory, {"A": region.tensor("INT32", [16])}, [memory.output("X", 64)])
        assert result["X"].tolist() == (2 * A).tolist()
        taken = borrow(result.dlpack("X"))
        assert (taken.device_type, taken.datatype, taken.shape) == (CUDA, "INT32", (16,))
        stays = memory.put(region.tensor("INT32", [2, 8]))
        assert stays.__dlpack_device__() == (CUDA, 0)
        assert stays.read().tolist() == A.reshape(2, 8).tolist()
        with pytest.raises(
            ValueError, match="input 'A': the tensor's elements have no v2 datatype"
        ):
            infer(memory, {"A": Strange(region)}, [])


class Strange:
    """A tensor of numbers that the protocol does not know."""

    def __init__(self, region):
        self.tensor = region.tensor("INT32", [1])

    def __dlpack_device__(self):
        return CUDA, 0

    def __dlpack__(self, **options):
        import ctypes

        capsule = self.tensor.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + 21).value = 7  # bits
        return capsule


def test_tensors_that_stay(memory):
    a, x = memory.put(A), memory.empty((16,), "INT32")
    infer(memory, {"A": a}, [x.output("X")])
    assert x.read().tolist() == (2 * A).tolist()
    a.write(A + 1)
    infer(memory, {"A": a}, [x.output("X")])
    assert x.read().tolist() == (2 * A + 2).tolist()


def test_bytes(memory):
    texts = np.array([b"abc", b""], object)
    result = infer(memory, {"A": texts}, [memory.output("X", 64)])
    assert result["X"].tolist() == texts.tolist()
    assert memory.put(texts).read().tolist() == texts.tolist()


def test_a_server_without_a_gpu(server, memory):
    def refuse(request, timeout):
        if isinstance(request, m.RegisterCudaSharedMemory):
            raise Internal("failed to register", "500")
        return server(request, timeout)

    memory._run = lambda flow: flows.run(flow, refuse, pytest.fail)
    with pytest.warns(RuntimeWarning, match="--pid=host for CUDA"):
        result = infer(memory, {"A": A}, [memory.output("X", 64)])
    assert result["X"].tolist() == (2 * A).tolist()
    with create_region(64) as region:
        with pytest.raises(ValueError, match="inputs A are on a GPU, and can't travel"):
            infer(memory, {"A": region.tensor("INT32", [16])}, ["X"])


def test_device_memory_is_freed(fake: Driver, server):
    before = fake.ask("fake_live_blocks")
    run = lambda flow: flows.run(flow, server, pytest.fail)  # noqa: E731
    with SharedMemory(run, URL, 30.0, 4096, 0, 0o600) as memory:
        server.memory = memory
        result = infer(memory, {"A": A}, [memory.output("X", 64)])
        tensor = result.dlpack("X")
        assert fake.ask("fake_live_blocks") == before + 1
    del result, memory
    server.memory = None
    gc.collect()
    assert fake.ask("fake_live_blocks") == before + 1  # as `tensor` is there
    del tensor
    gc.collect()
    assert fake.ask("fake_live_blocks") == before
