"""Warmup requests: executed on each instance before the model is ready; wrong ones refuse it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

SEEN = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.seen = []

    def execute(self, requests):
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            if array.size and array.flat[0] < 0:
                raise ValueError("no warm welcome")
            before = [n for shape in self.seen for n in (*shape, -1)]
            self.seen.append(array.shape)
            total = float(np.nansum(array))
            tensor = pb_utils.Tensor("OUT", np.array([[total, *before]], np.float32))
            answers.append(pb_utils.InferenceResponse([tensor]))
        return answers
"""
INPUT = 'inputs { key: "IN" value { data_type: TYPE_FP32 dims: [ 2 ] %s } }'

Serve = Callable[..., InferenceServer]


def config(warmup: str, *, batch: int = 8) -> str:
    return f'{FP32_CONFIG} max_batch_size: {batch} model_warmup [ {{ name: "w" {warmup} }} ]'


def seen(core: InferenceServer) -> list[float]:
    response = core.handle(m.Infer("warm", inputs=(fp32("IN", [[1]]),)))
    assert response.outputs[0].data is not None
    found: list[float] = np.frombuffer(response.outputs[0].data, "<f4").tolist()[1:]
    return found


def status(repository: RepositoryMaker, serve: Serve, warmup: str) -> str:
    repository.python("warm", SEEN, config(warmup))
    (found,) = serve(exit_on_error=False).status()
    return found.status


def test_nothing_is_executed_without_a_batch_size(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """As in Triton; a warning says so."""
    repository.python("warm", SEEN, config(f"count: 2 {INPUT % 'zero_data: true'}"))
    assert seen(serve()) == []
    assert "warmup 'w' of model 'warm' has no batch_size, so it executes nothing" in caplog.text


@pytest.mark.parametrize("data", ["zero_data: true", "zero_data: false", "random_data: true"])
def test_each_is_executed_count_times(repository: RepositoryMaker, serve: Serve, data: str) -> None:
    repository.python("warm", SEEN, config(f"batch_size: 3 count: 2 {INPUT % data}"))
    core = serve()
    assert seen(core) == [1, 2, -1] * 6
    (found,) = core.handle(m.GetStatistics("warm"))
    # As in Triton, they count.
    assert (found.execution_count, found.inference_count) == (3, 7)


def test_data_comes_from_a_file(repository: RepositoryMaker, serve: Serve) -> None:
    given = config("batch_size: 1 " + INPUT % 'input_data_file: "data"')
    directory = repository.python("warm", SEEN, given)
    (directory / "warmup").mkdir()
    (directory / "warmup" / "data").write_bytes(np.array([-5, 0, 9], "<f4").tobytes())
    (found,) = serve(exit_on_error=False).status()
    assert "no warm welcome" in found.status


def test_every_instance_is_warm(repository: RepositoryMaker, serve: Serve) -> None:
    given = config(f"batch_size: 1 {INPUT % 'zero_data: true'}") + "instance_group { count: 3 }"
    repository.python("warm", SEEN, given)
    core = serve()
    assert all(seen(core)[:3] == [1, 2, -1] for _ in range(4))


@pytest.mark.parametrize(
    ("warmup", "text"),
    [
        (
            f"batch_size: 1 {INPUT % ''}",
            "[request id: <id_unknown>] warmup setting expects input 'IN' to have "
            "input_data_type set",
        ),
        (
            f"batch_size: 1 {INPUT % 'zero_data: true'}".replace("[ 2 ]", "[ -1 ]"),
            "warmup setting expects all variable-size dimensions are specified for input 'IN'",
        ),
        (
            f"batch_size: 1 {INPUT % 'zero_data: true'}".replace("TYPE_FP32", "TYPE_INT32"),
            "[request id: <id_unknown>] inference input 'IN' data-type is 'INT32', but model "
            "'warm' expects 'FP32'",
        ),
        (
            f"batch_size: 1 {INPUT % 'zero_data: true'}".replace("data_type: TYPE_FP32", ""),
            "[request id: <id_unknown>] inference input 'IN' data-type is '<invalid>', but model "
            "'warm' expects 'FP32'",
        ),
        (
            f"batch_size: 1 {INPUT % 'zero_data: true'}".replace('"IN"', '"X"'),
            "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'warm'. Got "
            "input(s) [], but missing required input(s) ['IN']. Please provide all required "
            "input(s).",
        ),
        (
            f"batch_size: 1 {INPUT % 'zero_data: true'}".replace("[ 2 ]", "[ 2, 2 ]"),
            "[request id: <id_unknown>] unexpected shape for input 'IN' for model 'warm'. "
            "Expected [-1,-1], got [1,2,2].",
        ),
    ],
)
def test_wrong_ones_refuse_the_model_as_triton_does(
    repository: RepositoryMaker, serve: Serve, warmup: str, text: str
) -> None:
    assert status(repository, serve, warmup).startswith(f"UNAVAILABLE: Invalid argument: {text}")


def test_files_must_be_there_and_long_enough(repository: RepositoryMaker, serve: Serve) -> None:
    given = config("batch_size: 1 " + INPUT % 'input_data_file: "data"')
    directory = repository.python("warm", SEEN, given)
    (found,) = serve(exit_on_error=False).status()
    assert "Internal: failed to open text file for read" in found.status
    (directory / "warmup").mkdir()
    (directory / "warmup" / "data").write_bytes(b"1234")
    (found,) = serve(exit_on_error=False).status()
    assert "warmup setting expects 8 bytes, but the data provided from data" in found.status


@pytest.mark.parametrize("file", ["../1/model.py", "/dev/zero", "a/../../config.pbtxt", "folder"])
def test_files_elsewhere_are_not_read(repository: RepositoryMaker, serve: Serve, file: str) -> None:
    given = config("batch_size: 1 " + INPUT % f'input_data_file: "{file}"')
    directory = repository.python("warm", SEEN, given)
    (directory / "warmup" / "folder").mkdir(parents=True)
    (found,) = serve(exit_on_error=False).status()
    assert f"warmup file '{file}' is not " in found.status


def test_batches_that_are_too_large_are_refused(repository: RepositoryMaker, serve: Serve) -> None:
    """Triton crashes here."""
    found = status(repository, serve, f"batch_size: 9 {INPUT % 'zero_data: true'}")
    assert "must be <= 8" in found


def test_data_that_does_not_fit_into_memory(repository: RepositoryMaker, serve: Serve) -> None:
    warmup = f"batch_size: 1 {INPUT % 'zero_data: true'}".replace("[ 2 ]", "[ 99999999999999 ]")
    assert "does not fit into memory" in status(repository, serve, warmup)


def test_a_sequence_model_is_warmed_with_its_controls(
    repository: RepositoryMaker, serve: Serve
) -> None:
    control = (
        'sequence_batching { control_input [ { name: "START" control [ { '
        "kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } ] } ] }"
    )
    repository.python("warm", SEEN, config(f"batch_size: 2 {INPUT % 'zero_data: true'}") + control)
    (found,) = serve(exit_on_error=False).status()
    assert found.status == "READY"
