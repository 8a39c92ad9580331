"""Checks, execution and the forms of outputs, without a transport."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32, int32, texts
from tritonclient import messages as m
from tritonclient.errors import (
    Cancelled,
    InvalidArgument,
    ServerError,
    Unimplemented,
)
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

ID = r"\[request id: <id_unknown>\] "
ROW = np.arange(16)


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
    # Inputs are counted: the model sees which are there.
    assert core.handle(m.Infer("a", (fp32("IN2", [1]),))).outputs[0].name == "OUT2"


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
    # The model says so itself, and Triton has no status for that error.
    assert (error.message(), error.status()) == ("request was cancelled", "400")


def test_cancelled_while_it_waits_for_the_model(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", "class TritonPythonModel:\n    def execute(self, r): 1/0")
    cancelled = threading.Event()
    cancelled.set()
    core = serve()
    with pytest.raises(Cancelled, match="request was cancelled"):
        core.handle(m.Infer("a", (fp32("IN", [1]),)), cancelled)
    assert core.handle(m.GetStatistics("a"))[0].execution_count == 0
