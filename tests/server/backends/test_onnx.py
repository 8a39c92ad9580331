"""ONNX models: completion of the configuration, checks and execution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker, int32
from tritonclient import messages as m
from tritonclient.errors import InferenceServerException, Internal, InvalidArgument
from tritonclient.server.backends import onnx
from tritonclient.server.config import reading
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]


def test_everything_is_completed(repository: RepositoryMaker, serve: Serve) -> None:
    (repository.copy("simple") / "config.pbtxt").unlink()
    config = serve().handle(m.GetModelConfig("simple"))
    assert config["max_batch_size"] == 4
    assert config["dynamic_batching"]["preferred_batch_size"] == [4]
    assert config["instance_group"][0]["count"] == 2
    assert [(i["name"], i["data_type"], i["dims"]) for i in config["input"]] == [
        ("INPUT0", "TYPE_INT32", [16]),
        ("INPUT1", "TYPE_INT32", [16]),
    ]


def test_what_is_given_is_kept(repository: RepositoryMaker, serve: Serve) -> None:
    repository.copy("simple", "max_batch_size: 3")
    config = serve().handle(m.GetModelConfig("simple"))
    assert config["max_batch_size"] == 3
    assert "dynamic_batching" not in config
    assert [o["name"] for o in config["output"]] == ["OUTPUT0", "OUTPUT1"]


SECOND = 'input { name: "INPUT1" data_type: TYPE_INT32 dims: 16 } '


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            SECOND + 'input { name: "NOPE" data_type: TYPE_INT32 dims: 16 }',
            "unexpected inference input 'NOPE', allowed inputs are: INPUT0, INPUT1",
        ),
        (
            'output { name: "NOPE" data_type: TYPE_INT32 dims: 16 }',
            "unexpected inference output 'NOPE', allowed outputs are: OUTPUT0, OUTPUT1",
        ),
        (
            'input { name: "INPUT0" data_type: TYPE_INT32 dims: 16 }',
            "unable to load model 'simple', configuration expects 1 inputs, model provides 2",
        ),
        (
            SECOND + 'input { name: "INPUT0" data_type: TYPE_FP32 dims: 16 }',
            "unable to load model 'simple', configuration expects datatype TYPE_FP32 for input "
            "'INPUT0', model provides TYPE_INT32",
        ),
        (
            SECOND + 'input { name: "INPUT0" data_type: TYPE_INT32 dims: [16, 1] }',
            r"the model expects 2 dimensions \(shape \[-1,16\]\) but the model configuration "
            r"specifies 3 dimensions \(an initial batch dimension because max_batch_size > 0 "
            r"followed by the explicit tensor shape, making complete shape \[-1,16,1\]\)",
        ),
        (
            SECOND + 'input { name: "INPUT0" data_type: TYPE_INT32 dims: 17 }',
            r"shape \[-1,16\]",
        ),
    ],
)
def test_configuration_must_fit_the_model(
    repository: RepositoryMaker, serve: Serve, config: str, message: str
) -> None:
    repository.copy("simple", "max_batch_size: 8 " + config)
    with pytest.raises(Internal, match=message):
        serve()


def test_model_without_batch_dimension_takes_no_batches(
    repository: RepositoryMaker, serve: Serve
) -> None:
    path = repository.copy("simple", "max_batch_size: 8") / "1" / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(Internal, match="onnx runtime error"):
        serve()


def test_outputs_are_computed_and_those_not_wanted_left_out(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.copy("simple")
    a = np.arange(32, dtype=np.int32).reshape(2, 16)
    request = m.Infer(
        "simple", (int32("INPUT0", a), int32("INPUT1", a)), outputs=(m.RequestedOutput("OUTPUT0"),)
    )
    (output,) = serve().handle(request).outputs
    assert (output.name, output.shape) == ("OUTPUT0", (2, 16))
    assert bytes(output.data or b"") == (a + a).tobytes()


# Batches of several requests

#: Waits until six are there, which takes less than a minute.
SIX = (
    "max_batch_size: 8 instance_group { count: 1 } dynamic_batching "
    "{ preferred_batch_size: 6 max_queue_delay_microseconds: 60000000 }"
)


def together(
    core: InferenceServer, requests: list[m.Infer]
) -> list[m.InferResponse | InferenceServerException]:
    """The answers to requests that wait for each other."""
    return [next(each) for each in [core.stream(request) for request in requests]]


def test_requests_are_computed_together(repository: RepositoryMaker, serve: Serve) -> None:
    repository.copy("simple", SIX)
    core = serve()
    arrays = [np.arange(16 * size, dtype=np.int32).reshape(size, 16) for size in (1, 3, 2)]
    requests = [
        m.Infer("simple", (int32("INPUT0", each), int32("INPUT1", each + 1))) for each in arrays
    ]
    requests[1] = replace(requests[1], outputs=(m.RequestedOutput("OUTPUT1"),))
    answers = together(core, requests)
    for array, answer in zip(arrays, answers, strict=True):
        assert isinstance(answer, m.InferResponse)
        expected = {"OUTPUT0": 2 * array + 1, "OUTPUT1": np.full_like(array, -1)}
        for output in answer.outputs:
            assert output.shape == array.shape
            found = np.frombuffer(output.data or b"", "<i4").reshape(output.shape)
            np.testing.assert_array_equal(found, expected[output.name])
    assert [len(a.outputs) for a in answers if isinstance(a, m.InferResponse)] == [2, 1, 2]
    (found,) = core.handle(m.GetStatistics("simple"))
    assert (found.inference_count, found.execution_count) == (6, 1)
    assert [each.batch_size for each in found.batch_stats] == [6]


def field(number: int, value: bytes | str | int) -> bytes:
    """A field of a protobuf message, none of which is long here."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(data)]) + data


def texts_model() -> bytes:
    """An ONNX model that answers a batch of texts IN as OUT."""

    def tensor(name: str) -> bytes:
        shape = field(1, field(2, "batch")) + field(1, field(1, 1))
        string = 8
        return field(1, name) + field(2, field(1, field(1, string) + field(2, shape)))

    node = field(1, "IN") + field(2, "OUT") + field(4, "Identity")
    graph = field(1, node) + field(2, "texts") + field(11, tensor("IN")) + field(12, tensor("OUT"))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def test_one_request_does_not_spoil_a_batch(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.directory / "texts"
    (directory / "1").mkdir(parents=True)
    (directory / "1" / "model.onnx").write_bytes(texts_model())
    (directory / "config.pbtxt").write_text(SIX)
    values = [b"a", b"\xff", b"\xc3\xbc", b"d", b"e", b"f"]
    requests = [
        m.Infer("texts", (m.InferTensor("IN", "BYTES", (1, 1), bytes([len(v), 0, 0, 0]) + v),))
        for v in values
    ]
    core = serve()
    answers = together(core, requests)
    assert isinstance(answers[1], InvalidArgument)
    assert "bytes that are not UTF-8" in (answers[1].message() or "")
    for value, answer in zip(values, answers, strict=True):
        if answer is not answers[1]:
            assert isinstance(answer, m.InferResponse)
            assert bytes(answer.outputs[0].data or b"")[4:] == value
    (found,) = core.handle(m.GetStatistics("texts"))
    assert (found.inference_count, found.inference_stats.fail.count) == (5, 1)


def test_the_map_of_scikit_learn_is_told_with_its_cure() -> None:
    config = reading.new()
    item = config.output.add(name="output_probability")
    found = SimpleNamespace(name="output_probability", type="seq(map(int64,tensor(float)))")
    with pytest.raises(ValueError, match=r"no v2 datatype; .* options=\{'zipmap': False\}"):
        onnx._data_type(item, found)
    found.type = "sparse_tensor(float)"
    with pytest.raises(ValueError, match=r"no v2 datatype$"):
        onnx._data_type(item, found)
