"""Calls whose tensors are placed in shared memory, against a server that is a function."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tritonclient
from tritonclient import messages as m
from tritonclient.client import flows
from tritonclient.client.model_spec import ModelSpec
from tritonclient.client.requests import Tensor
from tritonclient.client.results import InferResult
from tritonclient.client.shared_memory import SharedMemory
from tritonclient.datatypes import pack, unpack
from tritonclient.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from tritonclient.shm import blocks, leftovers
from tritonclient.shm.system import attach_region

URL = "http://localhost:8000"
SHM = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="there is no /dev/shm to look into")

A = np.arange(16, dtype=np.int32)[None]
META = m.ModelMetadata(
    "sum",
    ("1",),
    "",
    (m.TensorMetadata("A", "INT32", (-1, 16)), m.TensorMetadata("B", "INT32", (-1, 16))),
    (
        m.TensorMetadata("SUM", "INT32", (-1, 16)),
        m.TensorMetadata("TEXT", "BYTES", (-1, 1)),
        m.TensorMetadata("ANY", "FP32", (-1, -1)),
    ),
)


class Server:
    """Adds up what lies in its regions, and writes down what it is asked."""

    def __init__(self):
        self.requests = []
        self.timeouts = []
        self.regions = {}
        self.failing = {}  # errors by the type of request, raised once

    def __call__(self, request, timeout):
        self.timeouts.append(timeout)
        if isinstance(request, m.Infer):
            # As it would come over a wire: what is written down must not keep room.
            plain = tuple(m.RequestedOutput(*output) for output in request.outputs)
            request = replace(request, outputs=plain)
        self.requests.append(request)
        if type(request) in self.failing:
            raise self.failing.pop(type(request))
        return getattr(self, type(request).__name__)(request)

    def asked(self, kind):
        return [request for request in self.requests if isinstance(request, kind)]

    def GetModelMetadata(self, request):
        return META

    def GetModelConfig(self, request):
        return {"max_batch_size": 8}

    def RegisterSystemSharedMemory(self, request):
        assert request.name not in self.regions
        self.regions[request.name] = attach_region(request.key)
        assert self.regions[request.name].byte_size == request.byte_size

    def UnregisterSystemSharedMemory(self, request):
        self.regions.pop(request.name).close()

    def bytes_at(self, parameters):
        offset = parameters.get("shared_memory_offset", 0)
        size = parameters["shared_memory_byte_size"]
        return self.regions[parameters["shared_memory_region"]].view(offset, size)

    def Infer(self, request):
        total = 0
        for tensor in request.inputs:
            data = tensor.data if tensor.data is not None else self.bytes_at(tensor.parameters)
            total = total + unpack(bytes(data), tensor.datatype, tensor.shape)
        answers = {
            "SUM": ("INT32", total),
            "TEXT": ("BYTES", np.array([[str(total.sum()).encode()]], object)),
            "ANY": ("FP32", total.astype(np.float32)),
        }
        wanted = request.outputs or tuple(map(m.RequestedOutput, answers))
        outputs = tuple(self.put(output, *answers[output.name]) for output in wanted)
        return m.InferResponse(request.model, "1", request.id, {}, outputs)

    def put(self, output, datatype, array):
        data = pack(array, datatype)
        if "shared_memory_region" not in output.parameters:
            return m.InferTensor(output.name, datatype, array.shape, data)
        target = self.bytes_at(output.parameters)
        if len(target) < len(data):
            raise Internal(f"should be at least {len(data)} bytes to hold the results", "500")
        target[: len(data)] = data
        return m.InferTensor(output.name, datatype, array.shape)


class Client:
    """The part of a client that a `SharedMemory` needs."""

    def __init__(self, server):
        self.server = server

    def run(self, flow):
        return flows.run(flow, self.server, pytest.fail)

    def memory(self, byte_size=4096, url=URL, timeout=30.0):
        return SharedMemory(self.run, url, timeout, byte_size, None, 0o600)

    def infer(self, memory, inputs, outputs=None, seconds=30.0, **options):
        flow, _ = memory.inference(URL, "sum", inputs, "", outputs, options, seconds)
        return self.run(flow)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def client(server):
    return Client(server)


@pytest.fixture
def memory(client):
    with client.memory() as memory:
        yield memory


# Placing


def test_tensors_are_placed(client, server, memory):
    result = client.infer(memory, {"A": A, "B": A})
    assert (result["SUM"] == 2 * A).all()
    assert result["TEXT"].item() == b"240"
    (request,) = server.asked(m.Infer)
    for tensor in request.inputs:
        assert tensor.data is None
        assert tensor.parameters["shared_memory_byte_size"] == 64
    placed = {
        output.name: "shared_memory_region" in output.parameters for output in request.outputs
    }
    assert placed == {"SUM": True, "TEXT": False, "ANY": False}
    offsets = [
        each.parameters.get("shared_memory_offset", 0)
        for each in (*request.inputs, request.outputs[0])
    ]
    assert len(set(offsets)) == 3


def test_it_is_registered_once_and_described_once(client, server, memory):
    for _ in range(3):
        client.infer(memory, {"A": A})
    assert list(memory.regions) == list(server.regions)
    assert len(server.asked(m.RegisterSystemSharedMemory)) == 1
    assert len(server.asked(m.GetModelMetadata)) == 1
    assert len(server.asked(m.GetModelConfig)) == 1


def test_nothing_happens_until_it_is_used(server, client):
    with client.memory():
        pass
    assert server.requests == []


def test_the_batch_tells_the_size(client, server, memory):
    client.infer(memory, {"A": np.repeat(A, 5, 0)})
    (request,) = server.asked(m.Infer)
    assert request.outputs[0].parameters["shared_memory_byte_size"] == 5 * 64


def test_outputs_that_are_asked_for(client, server, memory):
    result = client.infer(memory, {"A": A}, ["SUM"])
    assert list(result) == ["SUM"]
    assert (result["SUM"] == A).all()
    outputs = [m.RequestedOutput("SUM", classes=2), "TEXT"]
    client.infer(memory, {"A": A}, outputs)
    last = server.asked(m.Infer)[-1]
    assert [(each.name, each.classes, each.parameters) for each in last.outputs] == [
        ("SUM", 2, {}),
        ("TEXT", 0, {}),
    ]


def test_outputs_whose_size_is_stated(client, server, memory):
    outputs = [memory.output("TEXT", 100), memory.output("ANY", (1, 16), np.float32)]
    result = client.infer(memory, {"A": A}, outputs)
    (request,) = server.asked(m.Infer)
    assert [each.parameters["shared_memory_byte_size"] for each in request.outputs] == [100, 64]
    assert result["TEXT"].tolist() == [[b"120"]]
    assert result["ANY"].tolist() == A.tolist()
    assert not server.asked(m.GetModelMetadata)  # nothing else was to be learnt


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0,), ValueError, "size is 0, expected at least 1"),
        (("many",), TypeError, "size is 'many', expected a number of bytes, or a shape"),
        (((1, 2),), TypeError, "datatype is missing, which a shape needs"),
        (((1, 2), "c8"), ValueError, "datatype is 'c8', expected one of the protocol's"),
        (((1, 2), "BYTES"), ValueError, "does not tell the size of BYTES"),
        (((-1, 2), "FP32"), ValueError, r"size is \[-1, 2\]"),
    ],
)
def test_sizes_that_are_none(memory, arguments, error, text):
    with pytest.raises(error, match=text):
        memory.output("X", *arguments)


def test_what_the_server_does_not_tell(client, server, memory):
    server.failing[m.GetModelMetadata] = NotFound("no such thing", "404")
    result = client.infer(memory, {"A": A})
    assert (result["SUM"] == A).all()
    assert server.asked(m.Infer)[-1].outputs == ()
    assert server.asked(m.Infer)[-1].inputs[0].data is None


def test_a_model_without_configuration(client, server, memory):
    server.failing[m.GetModelConfig] = NotFound("no such extension", "404")
    assert (client.infer(memory, {"A": A})["SUM"] == A).all()
    assert server.asked(m.Infer)[-1].outputs == ()  # the batch dimension is any number then


@pytest.mark.parametrize(
    "value",
    [
        A,
        A.tolist(),
        Tensor(A[0], "INT32"),
        np.asfortranarray(A),
        A.astype(">i4"),
        np.arange(3, dtype=np.uint8),
        np.array([1, 2], ml_dtypes.bfloat16),
        np.array(7.5),
    ],
)
def test_inputs_of_all_kinds(client, server, memory, value):
    tensor = m.InferTensor("A", *plain(value))
    client.infer(memory, {"A": value}, ["TEXT"])
    (request,) = server.asked(m.Infer)
    (placed,) = request.inputs
    assert placed[:3] == tensor[:3]
    assert server.bytes_at(placed.parameters) == tensor.data


def plain(value):
    from tritonclient.client.requests import make_input

    return make_input("A", value)[1:4]


def test_tensors_without_elements_travel(client, server, memory):
    client.infer(memory, {"A": np.zeros((0, 16), np.int32)}, ["SUM"])
    (request,) = server.asked(m.Infer)
    assert request.inputs[0].data == b""
    assert "shared_memory_region" not in request.outputs[0].parameters


def test_options_of_the_request(client, server, memory):
    options = {"id": "7", "priority": 2, "headers": {"a": "b"}, "response_compression": "gzip"}
    flow, carrying = memory.inference(URL, "sum", {"A": A}, "1", None, options, None)
    assert carrying.headers == {"a": "b"}
    assert carrying.response_compression == "gzip"
    client.run(flow)
    (request,) = server.asked(m.Infer)
    assert (request.version, request.id, request.parameters) == ("1", "7", {"priority": 2})


# Room


def test_room_is_used_again(client, server, memory):
    offsets = set()
    for _ in range(50):
        client.infer(memory, {"A": A, "B": A})["SUM"]
        request = server.asked(m.Infer)[-1]
        offsets |= {each.parameters.get("shared_memory_offset", 0) for each in request.inputs}
    assert len(offsets) <= 6
    assert len(server.regions) == 1


def test_what_is_kept_is_not_overwritten(client, server, memory):
    kept = [client.infer(memory, {"A": A + n})["SUM"] for n in range(200)]
    for n, array in enumerate(kept):
        assert (array == A + n).all()
    assert len(server.regions) > 1


def test_it_grows(client, server, memory):
    large = np.repeat(A, 1024, 0)
    result = client.infer(memory, {"A": large}, ["SUM", "TEXT"])
    assert (result["SUM"] == large).all()
    assert len(server.regions) == 2  # too large for one
    del result
    client.infer(memory, {"A": large}, ["SUM"])
    assert len(server.regions) == 2


def test_regions_grow_by_themselves(client, server):
    with client.memory(4096) as memory:
        kept = []
        while len(server.regions) < 4:
            kept.append(memory.put(np.zeros(1000, np.uint8)))
        sizes = [region.byte_size for region in server.regions.values()]
        assert sizes == sorted(sizes)
        assert sizes[-1] >= 2 * sizes[0]


def test_threads(client, server, memory):
    def work(thread):
        for call in range(30):
            values = A + 100 * thread + call
            result = client.infer(memory, {"A": values, "B": values})
            assert (result["SUM"] == 2 * values).all()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


# Tensors that stay


def test_put_and_empty(client, server, memory):
    a, total = memory.put(A), memory.empty((1, 16), "INT32")
    assert (a.datatype, a.shape, repr(a)) == ("INT32", (1, 16), "<SharedTensor INT32 [1, 16]>")
    result = client.infer(memory, {"A": a, "B": a}, [total.output("SUM")])
    assert (total.read() == 2 * A).all()
    assert result["SUM"].ctypes.data == total.read().ctypes.data
    a.read()[:] = 1
    client.infer(memory, {"A": a}, [total.output("SUM")])
    assert (total.read() == 1).all()
    a.write(A + 5)
    assert (a.read() == A + 5).all()


@pytest.mark.parametrize("datatype", ["INT32", np.int32, "i4", ">i4"])
def test_datatypes_of_both_kinds(memory, datatype):
    tensor = memory.empty([2, 3], datatype)
    assert (tensor.datatype, tensor.shape) == ("INT32", (2, 3))
    assert not tensor.read().any()


def test_bytes_that_stay(client, server, memory):
    tensor = memory.put(np.array([b"abc", "d"], object))
    assert tensor.read().tolist() == [b"abc", b"d"]
    tensor.write([b"", b"xy"])
    assert tensor.read().tolist() == [b"", b"xy"]
    assert tensor.as_input("T").parameters["shared_memory_byte_size"] == 10
    with pytest.raises(ValueError, match="17 bytes do not fit into 12"):
        tensor.write([b"longer", b"xyz"])
    roomy = memory.empty((1, 1), "BYTES", byte_size=64)
    client.infer(memory, {"A": A}, [roomy.output("TEXT")])
    assert roomy.read().tolist() == [[b"120"]]


@pytest.mark.parametrize("value", [A[0], A.astype(np.int64), [[1.5] * 16], A[:, :3]])
def test_what_can_not_be_written(memory, value):
    tensor = memory.put(A)
    with pytest.raises(ValueError, match=r"shape|fit"):
        tensor.write(value)
    assert (tensor.read() == A).all()


def test_tensors_that_stay_without_elements(client, memory):
    for tensor in (memory.put(np.zeros((0, 16), np.int32)), memory.empty((0, 16), "INT32")):
        assert tensor.read().shape == (0, 16)
        assert tensor.as_input("A") == m.InferTensor("A", "INT32", (0, 16), b"")
        tensor.write(np.zeros((0, 16), np.int32))
        with pytest.raises(BufferError, match="lies nowhere"):
            np.from_dlpack(tensor)
        client.infer(memory, {"A": tensor}, [tensor.output("SUM")])


def test_other_libraries_take_them(client, memory):
    tensor = memory.put(A)
    array = np.from_dlpack(tensor)
    assert (array == A).all()
    result = client.infer(memory, {"A": tensor})
    assert (np.from_dlpack(result.dlpack("SUM")) == A).all()
    with pytest.raises(ValueError, match="output 'TEXT' is not in shared memory"):
        result.dlpack("TEXT")
    with pytest.raises(KeyError, match="no output 'NOPE'"):
        result.dlpack("NOPE")


def test_handles_know_them(memory):
    spec = ModelSpec.of("sum", "", META, {"max_batch_size": 8})
    tensor = memory.put(A)
    assert spec.check({"A": tensor, "B": A})["A"] is tensor
    with pytest.raises(ValueError, match=r"input 'A' of model 'sum' is INT32 \[-1, 16\]; got FP32"):
        spec.check({"A": memory.put(np.float32(A)), "B": A})
    with pytest.raises(ValueError, match=r"got INT32 \[16\]; the first dimension is the batch"):
        spec.check({"A": memory.put(A[0]), "B": A})


def test_results_can_be_pickled(client, memory):
    result = client.infer(memory, {"A": A}, ["SUM", memory.output("TEXT", 50)])
    for twin in (pickle.loads(pickle.dumps(result)), copy.copy(result)):
        assert (twin["SUM"] == A).all()
        assert twin["TEXT"].item() == b"120"
        twin["SUM"][:] = 0
    assert (result["SUM"] == A).all()


def test_an_output_that_was_never_written(client, server, memory):
    """A response may only name memory inside the place that was given for the output."""
    result = client.infer(memory, {"A": A}, ["SUM"])
    lying = result._response._replace(outputs=(m.InferTensor("SUM", "INT32", (100, 16)),))
    request = m.Infer("sum", (), outputs=result._requested)
    with pytest.raises(tritonclient.ProtocolError, match="takes 6400 bytes, but 64 are there"):
        InferResult(lying, URL, request)["SUM"]


def test_a_server_that_sends_an_output_in_spite_of_all(client, server, memory):
    put = server.put
    server.put = lambda output, *answer: put(m.RequestedOutput(output.name), *answer)
    result = client.infer(memory, {"A": A}, ["SUM"])
    assert (result["SUM"] == A).all()
    with pytest.raises(ValueError, match="output 'SUM' is not in shared memory"):
        result.dlpack("SUM")


# Refusals and failures


def test_a_server_that_takes_no_shared_memory(client, server, memory):
    server.failing[m.RegisterSystemSharedMemory] = Internal("Unable to open", "500")
    with pytest.warns(RuntimeWarning, match=r"\[500\] Unable to open.*--ipc=host.*0o666"):
        result = client.infer(memory, {"A": A})
    assert (result["SUM"] == A).all()
    assert server.asked(m.Infer)[-1].inputs[0].data == A.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.infer(memory, {"A": A}, ["SUM", memory.output("TEXT", 64)])
    assert len(server.asked(m.RegisterSystemSharedMemory)) == 1
    assert not [name for name in os.listdir(SHM) if name in memory.regions]


def test_tensors_that_stay_need_a_server_that_takes_them(server, memory):
    before = set(os.listdir(SHM))
    server.failing[m.RegisterSystemSharedMemory] = Internal("Unable to open", "500")
    with pytest.raises(Internal, match="Unable to open"):
        memory.put(A)
    assert {name for name in set(os.listdir(SHM)) - before if "tritonclient-" in name} == set()


def test_a_refused_call_leaves_its_room(client, server, memory):
    client.infer(memory, {"A": A})
    for _ in range(100):
        server.failing[m.Infer] = InvalidArgument("no", "400")
        with pytest.raises(InvalidArgument):
            client.infer(memory, {"A": A})
    assert len(server.regions) == 1


@pytest.mark.parametrize(
    "error",
    [
        DeadlineExceeded("late"),
        ConnectionFailed("lost"),
        Unavailable("busy", "503"),
        KeyboardInterrupt(),
    ],
)
def test_room_of_a_call_with_an_unknown_end_is_left_alone(client, server, memory, error):
    kept = memory.empty((1, 16), "INT32")
    client.infer(memory, {"A": A}, ["TEXT"])
    free = blocks_left(memory)
    server.failing[m.Infer] = error
    with pytest.raises(type(error)):
        client.infer(memory, {"A": A}, ["SUM", kept.output("ANY")])
    del kept
    # The input's, the output's, and the one that would have come back.
    assert blocks_left(memory) == free - 2


def blocks_left(memory):
    gc.collect()
    (segment,) = memory._segments
    found = []
    while (block := blocks.take(segment, 1)) is not None:
        found.append(block)
    return len(found)


def test_a_model_that_changed(client, server, memory):
    client.infer(memory, {"A": A})
    server.failing[m.Infer] = Internal("should be at least 128 bytes to hold the results", "500")
    with pytest.raises(Internal):
        client.infer(memory, {"A": A})
    client.infer(memory, {"A": A})
    assert len(server.asked(m.GetModelMetadata)) == 2


def test_a_server_that_was_started_anew(client, server, memory):
    tensor, total = memory.put(A), memory.empty((1, 16), "INT32")
    (name,) = memory.regions
    for region in server.regions.values():
        region.close()
    server.regions.clear()
    server.failing[m.Infer] = NotFound(f"Unable to find shared memory region: '{name}'", "404")
    result = client.infer(memory, {"A": tensor, "B": A}, [total.output("SUM"), "TEXT"])
    assert (result["SUM"] == 2 * A).all()
    assert list(server.regions) == [name]


def test_a_server_that_knows_some_regions(client, server):
    with client.memory(256) as memory:
        tensors = [memory.put(A) for _ in range(10)]
        lost, *kept = memory.regions
        server.regions.pop(lost).close()
        register = server.RegisterSystemSharedMemory

        def register_once(request):
            if request.name in kept:
                raise InvalidArgument("already in manager", "400")
            register(request)

        server.RegisterSystemSharedMemory = register_once
        server.failing[m.Infer] = NotFound(f"Unable to find shared memory region: '{lost}'", "404")
        assert (client.infer(memory, {"A": tensors[0], "B": tensors[-1]})["SUM"] == 2 * A).all()


def test_what_else_is_not_found(client, server, memory):
    memory.put(A)
    server.failing[m.Infer] = NotFound("unknown model", "404")
    with pytest.raises(NotFound, match="unknown model"):
        client.infer(memory, {"A": A})
    assert len(server.asked(m.Infer)) == 1


def test_one_deadline_for_all_requests(client, server, memory):
    client.infer(memory, {"A": A}, seconds=5.0)
    assert len(server.timeouts) == 4
    assert all(0 < timeout <= 5.0 for timeout in server.timeouts)
    assert server.timeouts == sorted(server.timeouts, reverse=True)
    server.timeouts.clear()
    client.infer(memory, {"A": A}, seconds=None)
    assert server.timeouts == [None]


def test_too_little_memory(client, server, monkeypatch):
    def full(byte_size, mode):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "create_region", full)
    with client.memory() as memory:
        with pytest.raises(OSError, match="No space left"):
            client.infer(memory, {"A": A})


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("", {"A": A}, "", None, {}, 1.0), ValueError, "model is ''"),
        (("sum", [A], "", None, {}, 1.0), TypeError, "inputs is list"),
        (
            ("sum", {"A": object()}, "", None, {}, 1.0),
            TypeError,
            "input 'A': object .* is not an array",
        ),
        (("sum", {"A": A}, "", "SUM", {}, 1.0), TypeError, "outputs is 'SUM'"),
        (("sum", {"A": A}, "", None, {"nope": 1}, 1.0), TypeError, "nope"),
    ],
)
def test_arguments_are_checked_at_once(server, memory, arguments, error, text):
    with pytest.raises(error, match=text):
        memory.inference(URL, *arguments)
    assert server.requests == []


def test_the_memory_of_another_client(memory):
    with pytest.raises(ValueError, match="is shared with http://localhost:8000, not with http://b"):
        memory.inference("http://b", "sum", {"A": A}, "", None, {}, None)


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_of_memory_that_are_none(client, size):
    with pytest.raises(ValueError, match="byte_size is"):
        client.memory(size)


def test_requests_that_can_not_take_it():
    with tritonclient.Client(URL) as client, client.shared_memory() as memory:
        with pytest.raises(ValueError, match="shared_memory is for infer and submit"):
            client.prepare("sum", {"A": A}, shared_memory=memory)


# The end


def test_closing(client, server):
    memory = client.memory()
    assert repr(memory) == "<SharedMemory in system memory, 0 regions>"
    array = client.infer(memory, {"A": A})["SUM"]
    (name,) = memory.regions
    assert (SHM / name).exists()
    memory.close()
    assert server.requests[-1] == m.UnregisterSystemSharedMemory(name)
    assert not (SHM / name).exists()
    assert not server.regions
    assert (array == A).all()
    assert memory.regions == ()
    assert repr(memory) == "<SharedMemory in system memory, closed>"
    memory.close()
    assert server.requests[-1] == m.UnregisterSystemSharedMemory(name)
    for act in (lambda: memory.put(A), lambda: client.infer(memory, {"A": A})):
        with pytest.raises(ValueError, match="the shared memory is closed"):
            act()


def test_closing_without_a_server(client, server):
    memory = client.memory()
    memory.put(A)
    (name,) = memory.regions
    server.failing[m.UnregisterSystemSharedMemory] = ConnectionFailed("gone")
    memory.close()
    assert not (SHM / name).exists()


def test_closing_while_a_region_is_registered(client, server):
    memory = client.memory()

    def register(request):
        Server.RegisterSystemSharedMemory(server, request)
        memory.close()

    server.RegisterSystemSharedMemory = register
    with pytest.raises(ValueError, match="closed meanwhile"):
        memory.put(A)
    assert not any((SHM / name).exists() for name in server.regions)


def test_forgetting_to_close(client, server):
    memory = client.memory()
    memory.put(A)
    (name,) = memory.regions
    holder = [memory]
    del memory
    with pytest.warns(ResourceWarning, match="<SharedMemory in system memory, 1 regions> was not"):
        holder.clear()
    assert not (SHM / name).exists()


def test_mode(client, server):
    with SharedMemory(client.run, URL, 30.0, 4096, None, 0o666) as memory:
        memory.put(A)
        (name,) = memory.regions
        assert (SHM / name).stat().st_mode & 0o777 == 0o666


def test_a_forked_child_has_its_own(client, server, memory):
    tensor = memory.put(A)
    regions = memory.regions
    pid = os.fork()
    if not pid:
        code = 1
        try:
            result = client.infer(memory, {"A": A + 1})
            assert (result["SUM"] == A + 1).all()
            assert set(memory.regions).isdisjoint(regions)
            memory.close()
            assert (SHM / regions[0]).exists()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert memory.regions == regions
    assert (tensor.read() == A).all()
    assert (client.infer(memory, {"A": tensor})["SUM"] == A).all()


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
import tritonclient
from tritonclient.shm import leftovers
leftovers._MEMORY = Path(sys.argv[2])
a = np.zeros((1, 16), np.int32)
client = tritonclient.Client(sys.argv[1])
memory = client.shared_memory()
client.infer("simple", {"INPUT0": a, "INPUT1": a}, shared_memory=memory)
print(*memory.regions, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_program_leaves_behind(embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "_MEMORY", tmp_path)
    command = [sys.executable, "-c", KILLED, embedded.http_url, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    name = done.stdout.strip()
    (found,) = leftovers.leftovers()
    assert found.key == f"/{name}"
    assert leftovers.remove_leftovers() == [found]
    assert not (SHM / name).exists()
    with tritonclient.Client(embedded.http_url) as client:
        assert client.system_shared_memory_status(name)[0].key == f"/{name}"
        client.unregister_system_shared_memory(name)


# Asyncio


def test_a_cancelled_task_leaves_its_room_alone(server):
    async def main():
        client = tritonclient.AsyncClient(URL)
        answering = asyncio.Event()

        async def send(request, timeout):
            if isinstance(request, m.Infer) and not answering.is_set():
                waiting.set()
                await answering.wait()
            return server(request, timeout)

        async def run(flow, options=None):
            return await flows.run_async(flow, send, asyncio.sleep)

        client._run = run
        waiting = asyncio.Event()
        async with client.shared_memory(4096) as memory:
            task = client.submit("sum", {"A": A}, outputs=["SUM"], shared_memory=memory)
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            answering.set()
            before = blocks_left(memory)
            result = await client.infer("sum", {"A": A}, outputs=["SUM"], shared_memory=memory)
            assert (result["SUM"] == A).all()
            del result
            assert blocks_left(memory) == before == 4096 // 64 - 2
            tensor = await memory.put(A)
            total = await memory.empty((1, 16), "INT32")
            outputs = [total.output("SUM")]
            await client.infer("sum", {"A": tensor}, outputs=outputs, shared_memory=memory)
            assert (total.read() == A).all()
        await client.close()

    asyncio.run(main())
    assert not server.regions
