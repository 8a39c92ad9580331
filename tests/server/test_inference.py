"""Checks, execution and the forms of outputs, without a transport."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32, int32, texts
from tritonclient import messages as m
from tritonclient.errors import (
    AlreadyExists,
    Cancelled,
    Internal,
    InvalidArgument,
    NotFound,
    ServerError,
    Unimplemented,
)
from tritonclient.server.core import InferenceServer
from tritonclient.server.jobs.tensor import Tensor
from tritonclient.server.tensors.classification import classify
from tritonclient.shm.system import create_region

Serve = Callable[..., InferenceServer]

ID = r"\[request id: <id_unknown>\] "
ROW = np.arange(16)


@pytest.fixture
def simple(repository: RepositoryMaker, serve: Serve) -> InferenceServer:
    repository.copy("simple")
    return serve()


def request(*inputs: m.InferTensor) -> m.Infer:
    return m.Infer("simple", inputs or (int32("INPUT0", [ROW]), int32("INPUT1", [ROW])))


def test_answer_names_model_version_and_request(simple: InferenceServer) -> None:
    answer = simple.handle(replace(request(), id="seven", binary=False))
    assert (answer.model_name, answer.model_version, answer.id) == ("simple", "1", "seven")
    assert [(o.name, o.datatype, o.shape, o.binary) for o in answer.outputs] == [
        ("OUTPUT0", "INT32", (1, 16), False),
        ("OUTPUT1", "INT32", (1, 16), False),
    ]


def test_outputs_are_as_asked_in_the_models_order(simple: InferenceServer) -> None:
    outputs = (m.RequestedOutput("OUTPUT1"), m.RequestedOutput("OUTPUT0", binary=False))
    answer = simple.handle(replace(request(), outputs=outputs))
    assert [(o.name, o.binary) for o in answer.outputs] == [("OUTPUT0", False), ("OUTPUT1", True)]


ZERO, ONE = int32("INPUT0", [ROW]), int32("INPUT1", [ROW])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            (ZERO,),
            ID + r"expected 2 inputs but got 1 inputs for model 'simple'. Got input\(s\) "
            r"\['INPUT0'\], but missing required input\(s\) \['INPUT1'\]. Please provide all",
        ),
        ((ZERO, int32("NOPE", [ROW])), "^unexpected inference input 'NOPE' for model 'simple'$"),
        ((ZERO, ZERO), ID + "input 'INPUT0' already exists in request"),
        (
            (fp32("INPUT0", [ROW]), ONE),
            ID + "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
        ),
        (
            (ZERO, int32("INPUT1", [ROW[:15]])),
            ID + r"unexpected shape for input 'INPUT1' for model 'simple'. Expected \[-1,16\], got "
            r"\[1,15\]. NOTE: Setting a non-zero max_batch_size",
        ),
        ((ZERO, int32("INPUT1", [ROW] * 2)), ID + "input 'INPUT1' batch size does not match other"),
        (
            (int32("INPUT0", [ROW] * 9), int32("INPUT1", [ROW] * 9)),
            ID + "inference request batch-size must be <= 8 for 'simple'",
        ),
        ((ZERO._replace(shape=()), ONE), "has no shape but model requires batch dimension"),
        (
            (int32("INPUT0", np.zeros((0, 16))), int32("INPUT1", np.zeros((0, 16)))),
            ID + "input byte size mismatch for input 'INPUT0' .* Expected 64, got 0",
        ),
        (
            (ZERO._replace(data=b"1234"), ONE),
            ID + "input byte size mismatch for input 'INPUT0' for model 'simple'. "
            "Expected 64, got 4",
        ),
        ((ZERO._replace(data=None), ONE), "Input must set only one of .* But no field is set"),
    ],
)
def test_inputs_that_do_not_fit(
    simple: InferenceServer, inputs: tuple[m.InferTensor, ...], message: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        simple.handle(request(*inputs))
    assert re.search(message, caught.value.message() or "")


def test_error_names_the_request(simple: InferenceServer) -> None:
    with pytest.raises(InvalidArgument, match=r"\[request id: mine\] expected 2 inputs"):
        simple.handle(m.Infer("simple", (ZERO,), id="mine"))


def test_unknown_output(simple: InferenceServer) -> None:
    with pytest.raises(InvalidArgument, match="unexpected inference output 'NOPE' for model"):
        simple.handle(replace(request(), outputs=(m.RequestedOutput("NOPE"),)))


def test_any_number_of_inputs(simple: InferenceServer) -> None:
    """It would take minutes if each name were compared with every other."""
    tensors = [ZERO._replace(name=f"I{i}") for i in range(100_000)]
    with pytest.raises(InvalidArgument, match="expected 2 inputs but got 100000 inputs"):
        simple.handle(request(*tensors))


def test_shape_that_numpy_can_not_have(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", config=FP32_CONFIG.replace("-1", "-1, -1"))
    tensor = m.InferTensor("IN", "FP32", (0, 1 << 62), b"")
    with pytest.raises(InvalidArgument, match=r"input 'IN' of shape \[0,4611686018427387904\]: "):
        serve().handle(m.Infer("a", (tensor,)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"triton_x": 1}, "parameter keys starting with 'triton_' are reserved"),
        ({"x": None}, "parameter 'x' has invalid type. It should be either"),
        ({"priority": -1}, "Unable to parse 'priority': attempt to access JSON non-unsigned"),
        ({"timeout": "soon"}, "Unable to parse 'timeout': attempt to access JSON non-unsigned"),
        ({"sequence_id": 1.5}, "Unable to parse 'sequence_id': attempt to access JSON non-string"),
        ({"sequence_end": 1}, "Unable to parse 'sequence_end': attempt to access JSON non-boolean"),
    ],
)
def test_parameters_of_wrong_kinds(
    simple: InferenceServer, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ServerError, match=message):
        simple.handle(replace(request(), parameters=parameters))  # type: ignore[arg-type]


def test_optional_inputs(repository: RepositoryMaker, serve: Serve) -> None:
    more = """
    input { name: "IN2" data_type: TYPE_FP32 dims: 1 optional: true }
    output { name: "OUT2" data_type: TYPE_FP32 dims: 1 }
    """
    repository.python("a", config=FP32_CONFIG + more)
    core = serve()
    assert len(core.handle(m.Infer("a", (fp32("IN", [1]),))).outputs) == 1
    assert len(core.handle(m.Infer("a", (fp32("IN", [1]), fp32("IN2", [1])))).outputs) == 2
    with pytest.raises(
        InvalidArgument, match="expected number of inputs between 1 and 2 but got 0"
    ):
        core.handle(m.Infer("a", ()))
    with pytest.raises(InvalidArgument, match="input 'IN' is required"):
        core.handle(m.Infer("a", (fp32("IN2", [1]),)))


def test_reshape(repository: RepositoryMaker, serve: Serve) -> None:
    shape = "dims: [ -1, 1 ] reshape { shape: [ -1 ] }"
    repository.python("a", config="max_batch_size: 2" + FP32_CONFIG.replace("dims: [ -1 ]", shape))
    (output,) = serve().handle(m.Infer("a", (fp32("IN", [[[1], [2], [3]]]),))).outputs
    assert output.shape == (1, 3, 1)


def test_broken_text(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", config=FP32_CONFIG.replace("FP32", "STRING"))
    broken = texts("one", "two")._replace(shape=(3,))
    message = "expected 3 string elements for inference input 'IN' for model 'a', got 2"
    with pytest.raises(InvalidArgument, match=message):
        serve().handle(m.Infer("a", (broken,)))


def test_decoupled_models_are_refused(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", config=FP32_CONFIG + "model_transaction_policy { decoupled: true }")
    with pytest.raises(Unimplemented, match="decoupled transaction policy"):
        serve().handle(m.Infer("a", (fp32("IN", [1]),)))


def test_slow_models_keep_no_other_waiting(repository: RepositoryMaker, serve: Serve) -> None:
    repository.copy("slow_identity")
    repository.python("b")
    core = serve()
    cancelled = threading.Event()
    slow = m.Infer("slow_identity", (int32("INPUT0", [1]), int32("DELAY_MS", [10_000])))
    results: list[object] = []

    def run() -> None:
        try:
            results.append(core.handle(slow, cancelled))
        except Cancelled as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert core.handle(m.Infer("b", (fp32("IN", [1]),))).outputs
    assert not results
    cancelled.set()
    thread.join()
    (error,) = results
    assert isinstance(error, Cancelled)
    assert (error.message(), error.status()) == ("request was cancelled", "499")


def test_cancelled_while_it_waits_for_the_model(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", "class TritonPythonModel:\n    def execute(self, r): 1/0")
    cancelled = threading.Event()
    cancelled.set()
    core = serve()
    with pytest.raises(Cancelled, match="request was cancelled"):
        core.handle(m.Infer("a", (fp32("IN", [1]),)), cancelled)
    assert core.handle(m.GetStatistics("a"))[0].execution_count == 0


# Classification


@pytest.mark.parametrize(
    ("datatype", "values", "batched", "count", "expected"),
    [
        (
            "FP32",
            [0.1, 3.5, 2, 1e-9],
            False,
            3,
            [b"3.500000:1:dog", b"2.000000:2", b"0.100000:0:cat"],
        ),
        ("FP64", [[1, 2], [4, 3]], True, 1, [[b"2.000000:1:dog"], [b"4.000000:0:cat"]]),
        (
            "INT32",
            [[30, 28], [28, 30]],
            False,
            9,
            [b"30:0:cat", b"30:3:bird", b"28:1:dog", b"28:2"],
        ),
        ("UINT8", [0, 0, 0], False, 2, [b"0:0:cat", b"0:1:dog"]),
    ],
)
def test_classification(
    datatype: str, values: list[object], batched: bool, count: int, expected: list[object]
) -> None:
    dtype = {"FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "UINT8": "u1"}[datatype]
    labels = ("cat", "dog", "", "bird")
    found = classify(Tensor("x", datatype, np.array(values, dtype)), batched, count, labels)
    assert found.tolist() == expected


def test_negative_number_of_classes(simple: InferenceServer) -> None:
    outputs = (m.RequestedOutput("OUTPUT0", classes=-1),)
    with pytest.raises(Internal, match="Unable to parse 'classification'"):
        simple.handle(replace(request(), outputs=outputs))


def test_classification_of_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="unsupported type 'BYTES'"):
        classify(Tensor("x", "BYTES", np.array([b"a"], object)), False, 1, ())


def test_classification_with_label_file(repository: RepositoryMaker, serve: Serve) -> None:
    config = FP32_CONFIG.replace('"OUT"', '"OUT" label_filename: "labels.txt"')
    (repository.python("a", config=config) / "labels.txt").write_text("zero\none\n")
    outputs = (m.RequestedOutput("OUT", classes=2),)
    (output,) = serve().handle(m.Infer("a", (fp32("IN", [1, 2, 0]),), outputs=outputs)).outputs
    assert (output.datatype, output.shape) == ("BYTES", (2,))
    assert output.data == texts("2.000000:1:one", "1.000000:0:zero").data


# Shared memory


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
