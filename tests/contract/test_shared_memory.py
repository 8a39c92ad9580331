"""System shared memory: the protocol's own requests, and calls that place their tensors by it."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic, sleep

import numpy as np
import pytest

import tritonclient
from tritonclient.datatypes import NUMPY, pack
from tritonclient.messages import InferTensor, RequestedOutput, SystemSharedMemoryRegion
from tritonclient.server import Server
from tritonclient.shm.system import create_region

A = np.arange(16, dtype=np.int32)[None]
ONE = np.ones((1, 16), np.int32)


class At:
    """An input that lies in a region."""

    def __init__(self, datatype, shape, where):
        self.tensor = InferTensor("", datatype, shape, None, where)

    def as_input(self, name):
        return self.tensor._replace(name=name)


def place(name, size, offset=0):
    where = {"shared_memory_region": name, "shared_memory_byte_size": size}
    return where | ({"shared_memory_offset": offset} if offset else {})


def output(name, where, **more):
    return RequestedOutput(name, binary=False, parameters=where, **more)


@contextmanager
def registered(client, size=8192, offset=0):
    """A region that the server knows: its name and memory."""
    name = f"r_{uuid.uuid4().hex[:8]}"
    with create_region(size + offset) as region:
        client.register_system_shared_memory(name, region.key, size, offset)
        try:
            yield name, region
        finally:
            unregister(client, name)


def unregister(client, name):
    """Unregister a region; Triton keeps it a moment longer than its response."""
    deadline = monotonic() + 10
    while True:
        try:
            return client.unregister_system_shared_memory(name)
        except tritonclient.InferenceServerException as error:
            if "it is currently in use" not in str(error) or monotonic() > deadline:
                raise
            sleep(0.01)


@pytest.fixture
def region(client):
    with registered(client) as (name, region):
        region.view(0, 64)[:] = A.tobytes()
        region.view(64, 64)[:] = ONE.tobytes()
        yield name, region


def tensor(region, offset, kind=np.int32, shape=(1, 16)):
    size = np.dtype(kind).itemsize * int(np.prod(shape))
    return np.frombuffer(region.view(offset, size), kind).reshape(shape)


# The protocol's own requests


def test_inputs_and_outputs(client, region):
    name, memory = region
    inputs = {"INPUT0": At("INT32", (1, 16), place(name, 64)), "INPUT1": ONE}
    outputs = [output("OUTPUT0", place(name, 64, 128)), "OUTPUT1"]
    result = client.infer("simple", inputs, outputs=outputs)
    np.testing.assert_array_equal(tensor(memory, 128), A + 1)
    np.testing.assert_array_equal(result["OUTPUT1"], A - 1)
    assert result.output("OUTPUT0")[:4] == ("OUTPUT0", "INT32", (1, 16), None)
    with pytest.raises(ValueError, match="it is in shared memory"):
        result["OUTPUT0"]


def test_everything_there(client, region):
    name, memory = region
    inputs = {
        "INPUT0": At("INT32", (1, 16), place(name, 64)),
        "INPUT1": At("INT32", (1, 16), place(name, 64, 64)),
    }
    outputs = [output("OUTPUT1", place(name, 100, 256)), output("OUTPUT0", place(name, 64, 128))]
    client.infer("simple", inputs, outputs=outputs)
    np.testing.assert_array_equal(tensor(memory, 128), A + 1)
    np.testing.assert_array_equal(tensor(memory, 256), A - 1)


def test_outputs_alone(client, region):
    name, memory = region
    outputs = [output("OUTPUT0", place(name, 64, 128))]
    client.infer("simple", {"INPUT0": A, "INPUT1": A}, outputs=outputs)
    np.testing.assert_array_equal(tensor(memory, 128), 2 * A)


def test_a_region_within_an_object(client, server):
    if not isinstance(server, Server):
        pytest.skip("Triton 2.51 adds the offset twice, and reads what lies behind the region")
    with registered(client, 4096, offset=4096) as (name, memory):
        memory.view(4096 + 64, 64)[:] = A.tobytes()
        inputs = {"INPUT0": At("INT32", (1, 16), place(name, 64, 64)), "INPUT1": ONE}
        client.infer("simple", inputs, outputs=[output("OUTPUT0", place(name, 64, 128))])
        np.testing.assert_array_equal(tensor(memory, 4096 + 128), A + 1)


def test_bytes(client, region):
    name, memory = region
    texts = np.array(["a", "", "na\u00efve", b"\0\xff"], object)
    data = pack(texts, "BYTES")
    memory.view(512, len(data))[:] = data
    inputs = {"INPUT0": At("BYTES", (4,), place(name, len(data), 512))}
    outputs = [output("OUTPUT0", place(name, 256, 1024))]
    result = client.infer("identity_bytes", inputs, outputs=outputs)
    assert result.output("OUTPUT0").shape == (4,)
    assert bytes(memory.view(1024, len(data))) == data
    assert not any(memory.view(1024 + len(data), 256 - len(data)))


def test_status(client, region):
    name, memory = region
    expected = SystemSharedMemoryRegion(name, memory.key, 0, 8192)
    assert client.system_shared_memory_status(name) == (expected,)
    assert expected in client.system_shared_memory_status()


@pytest.mark.parametrize(
    ("where", "error", "text"),
    [
        ({"name": "nowhere"}, tritonclient.NotFound, "shared memory region: 'nowhere'"),
        ({"size": 9000}, tritonclient.InvalidArgument, "Invalid offset [+] byte size for shared"),
        ({"offset": 8192}, tritonclient.InvalidArgument, "Invalid offset for shared memory region"),
        ({"size": 60}, tritonclient.InvalidArgument, "Expected 64, got 60"),
    ],
)
def test_inputs_that_are_not_there(client, region, where, error, text):
    where = place(**{"name": region[0], "size": 64, **where})
    inputs = {"INPUT0": At("INT32", (1, 16), where), "INPUT1": ONE}
    with pytest.raises(error, match=text):
        client.infer("simple", inputs)


@pytest.mark.parametrize(
    ("where", "more", "error", "text"),
    [
        ({"name": "nowhere"}, {}, tritonclient.NotFound, "shared memory region: 'nowhere'"),
        ({"size": 9000}, {}, tritonclient.InvalidArgument, "Invalid offset [+] byte size for"),
        ({"size": 8}, {}, tritonclient.ServerError, "should be at least 64 bytes to hold the"),
        ({}, {"classes": 1}, tritonclient.InvalidArgument, "can't set both"),
    ],
)
def test_outputs_that_do_not_go_there(client, region, where, more, error, text):
    where = place(**{"name": region[0], "size": 64, "offset": 128, **where})
    with pytest.raises(error, match=text):
        client.infer(
            "simple", {"INPUT0": A, "INPUT1": A}, outputs=[output("OUTPUT0", where, **more)]
        )


def test_unregistering(client):
    with registered(client) as (name, _):
        client.unregister_system_shared_memory(name)
        inputs = {"INPUT0": At("INT32", (1, 16), place(name, 64)), "INPUT1": ONE}
        with pytest.raises(tritonclient.NotFound, match=f"shared memory region: '{name}'"):
            client.infer("simple", inputs)
        with pytest.raises(tritonclient.NotFound, match=name):
            client.system_shared_memory_status(name)


def test_registering_twice(client, region):
    name, memory = region
    # InvalidArgument over HTTP, AlreadyExists over gRPC.
    with pytest.raises(tritonclient.ServerError, match=f"'{name}' already in manager"):
        client.register_system_shared_memory(name, memory.key, 64)


@pytest.mark.parametrize(("size", "text"), [(8193, "invalid args"), (0, "unable to process")])
def test_registering_what_is_not_there(client, size, text):
    with create_region(8192) as memory:
        with pytest.raises(tritonclient.ServerError, match=text):
            client.register_system_shared_memory(f"r_{size}", memory.key, size)


# Calls that place their tensors by themselves


@pytest.fixture
def memory(client):
    with closing(client.shared_memory(1 << 16)) as memory:
        yield memory


def names(client):
    return {region.name for region in client.system_shared_memory_status()}


def test_one_argument(client, memory):
    result = client.infer("simple", {"INPUT0": A, "INPUT1": ONE}, shared_memory=memory)
    assert result.output("OUTPUT0").data is None
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)
    np.testing.assert_array_equal(result["OUTPUT1"], A - 1)
    assert set(memory.regions) <= names(client)
    memory.close()
    assert not set(memory.regions) & names(client)
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)


def test_what_was_registered_is_unregistered(client):
    with closing(client.shared_memory()) as memory:
        client.infer("simple", {"INPUT0": A, "INPUT1": ONE}, shared_memory=memory)
        (name,) = memory.regions
        assert name in names(client)
    assert name not in names(client)


@pytest.mark.parametrize("datatype", [*sorted(NUMPY), "BYTES"])
def test_every_datatype(client, memory, datatype):
    if datatype == "BYTES":
        array = np.array([["a", "bc"], ["", "d" * 300]], object)
        expected = [[b"a", b"bc"], [b"", b"d" * 300]]
    else:
        kind = np.float32 if datatype == "BF16" else NUMPY[datatype]
        array = np.array([[0, 1], [2, 3]]).astype(kind)
        expected = array.tolist()
    name = f"OUTPUT_{datatype}"
    result = client.infer(
        "echo",
        {f"INPUT_{datatype}": tritonclient.Tensor(array, datatype)},
        outputs=[memory.output(name, 1000)],
        shared_memory=memory,
    )
    assert result.output(name).data is None
    assert result[name].tolist() == expected


def test_classes(client, memory):
    image = np.zeros((1, 1, 8, 8), np.float32)
    outputs = [RequestedOutput("PROBABILITIES", classes=2)]
    result = client.infer("digits", {"IMAGE": image}, outputs=outputs, shared_memory=memory)
    assert result.classes("PROBABILITIES").shape == (1, 2)


def test_many_calls(client, memory):
    kept = []
    for n in range(50):
        inputs = {"INPUT0": A + n, "INPUT1": ONE}
        result = client.infer("simple", inputs, shared_memory=memory)
        np.testing.assert_array_equal(result["OUTPUT0"], A + n + 1)
        kept.append(result["OUTPUT1"])
    for n, array in enumerate(kept):
        np.testing.assert_array_equal(array, A + n - 1)


def test_large_tensors(client, memory):
    array = np.arange(1 << 20, dtype=np.float32)
    result = client.infer(
        "identity_fp32",
        {"INPUT0": array},
        outputs=[memory.output("OUTPUT0", array.nbytes)],
        shared_memory=memory,
    )
    np.testing.assert_array_equal(result["OUTPUT0"], array)


def test_tensors_that_stay(client, memory):
    a, total = memory.put(A), memory.empty((1, 16), np.int32)
    call = client.prepare("simple", {"INPUT0": a, "INPUT1": ONE}, outputs=[total.output("OUTPUT0")])
    for n in range(3):
        a.write(A + n)
        result = client.infer_prepared(call)
        np.testing.assert_array_equal(total.read(), A + n + 1)
        np.testing.assert_array_equal(result["OUTPUT0"], A + n + 1)


def test_futures(client, memory):
    if not hasattr(client, "_target"):
        calls = [
            client.submit("simple", {"INPUT0": A + n, "INPUT1": ONE}, shared_memory=memory)
            for n in range(20)
        ]
        results = [call.result(30) for call in calls]
    else:  # what is awaited comes as results
        results = [
            client.submit("simple", {"INPUT0": A + n, "INPUT1": ONE}, shared_memory=memory)
            for n in range(20)
        ]
    for n, result in enumerate(results):
        np.testing.assert_array_equal(result["OUTPUT0"], A + n + 1)


def test_threads(client, memory):
    def work(thread):
        for n in range(10):
            inputs = {"INPUT0": A + 100 * thread + n, "INPUT1": ONE}
            result = client.infer("simple", inputs, shared_memory=memory)
            np.testing.assert_array_equal(result["OUTPUT0"], inputs["INPUT0"] + 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))


def test_model_handles(client, memory):
    simple = client.model("simple")
    result = simple.infer({"INPUT0": A, "INPUT1": memory.put(ONE)}, shared_memory=memory)
    assert result.output("OUTPUT0").data is None
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)


def test_a_server_that_forgot(client, memory):
    """As one does that is started anew."""
    inputs = {"INPUT0": memory.put(A), "INPUT1": ONE}
    (name,) = memory.regions
    client.unregister_system_shared_memory(name)
    result = client.infer("simple", inputs, shared_memory=memory)
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)
    assert name in names(client)


def test_an_output_that_does_not_fit(client, memory):
    outputs = [memory.output("OUTPUT0", 60)]
    with pytest.raises(tritonclient.ServerError, match="should be at least 64 bytes to hold the"):
        client.infer("simple", {"INPUT0": A, "INPUT1": A}, outputs=outputs, shared_memory=memory)
    result = client.infer("simple", {"INPUT0": A, "INPUT1": A}, shared_memory=memory)
    np.testing.assert_array_equal(result["OUTPUT0"], 2 * A)


def test_a_call_that_takes_too_long(client, memory):
    slow = {"INPUT0": np.arange(3, dtype=np.int32), "DELAY_MS": np.int32([2000])}
    outputs = [memory.output("OUTPUT0", 12)]
    with pytest.raises(tritonclient.DeadlineExceeded):
        client.infer("slow_identity", slow, outputs=outputs, shared_memory=memory, timeout=0.3)
    slow["DELAY_MS"][0] = 0
    result = client.infer("slow_identity", slow, outputs=outputs, shared_memory=memory)
    assert result["OUTPUT0"].tolist() == [0, 1, 2]
