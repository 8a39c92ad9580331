"""Implicit state: what an ONNX model gets back, and what of a configuration is refused."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient import messages as m
from tritonclient.client.requests import request
from tritonclient.client.results import InferResult
from tritonclient.codec import wire
from tritonclient.errors import InvalidArgument
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

FLOAT = 1


def number(field: int, value: int) -> bytes:
    return wire.tag(field, wire.VARINT) + wire.varint(value)


def value(name: str, size: int, batches: bool) -> bytes:
    """A tensor of an ONNX graph; a size of -1 is variable."""
    dims = [number(1, size) if size > 0 else wire.text(2, "size")]
    if batches:
        dims.insert(0, wire.text(2, "batch"))
    shape = b"".join(wire.delimited(1, each) for each in dims)
    kind = wire.delimited(1, number(1, FLOAT) + wire.delimited(2, shape))
    return wire.text(1, name) + wire.delimited(2, kind)


def onnx(operation: str, size: int, batches: bool) -> bytes:
    """An ONNX model whose OUT and STATE_OUT are an operation on STATE_IN and IN."""
    axis = wire.text(1, "axis") + number(3, int(batches)) + number(20, 2)
    first = b"".join(wire.text(1, name) for name in ("STATE_IN", "IN"))
    first += wire.text(2, "STATE_OUT") + wire.text(4, operation)
    first += wire.delimited(5, axis) if operation == "Concat" else b""
    second = wire.text(1, "STATE_OUT") + wire.text(2, "OUT") + wire.text(4, "Identity")
    graph = wire.delimited(1, first) + wire.delimited(1, second) + wire.text(2, "state")
    for field, name in ((11, "IN"), (11, "STATE_IN"), (12, "OUT"), (12, "STATE_OUT")):
        of_in = 1 if operation == "Concat" else size
        graph += wire.delimited(field, value(name, of_in if name == "IN" else size, batches))
    opset = wire.delimited(8, number(2, 17))
    return number(1, 8) + wire.delimited(7, graph) + opset


STATE = (
    'state [ {{ input_name: "STATE_IN" output_name: "STATE_OUT" data_type: TYPE_FP32 '
    "dims: [ {dims} ] {more} }} ]"
)


@pytest.fixture
def add(repository: RepositoryMaker) -> Callable[..., None]:
    """Add a model with implicit state to the repository."""

    def make(
        operation: str = "Add",
        size: int = 1,
        batches: bool = False,
        initial: str = "",
        sequence: str = "",
        config: str = "instance_group { count: 1 }",
        state: str = STATE,
    ) -> None:
        directory = repository.directory / "m"
        (directory / "1").mkdir(parents=True)
        (directory / "1" / "model.onnx").write_bytes(onnx(operation, size, batches))
        state = state.format(dims=size, more=initial)
        batching = f"max_batch_size: {2 if batches else 0} sequence_batching {{ {sequence} {state}"
        (directory / "config.pbtxt").write_text(f"{config} {batching} }}")
        (directory / "initial_state").mkdir()
        (directory / "initial_state" / "data").write_bytes(struct.pack("<2f", 10, 20))

    return make


def prepare(id: int, *values: float, batches: bool = False, **options: Any) -> m.Infer:
    array = np.array([values] if batches else values, np.float32)
    return request("m", {"IN": array}, sequence_id=id, **options)


def ask(core: InferenceServer, id: int, *values: float, **options: Any) -> Any:
    """Return the values of OUT."""
    response = core.handle(prepare(id, *values, **options))
    return InferResult(response)["OUT"].tolist()


def test_an_output_is_an_input_of_the_next_request(add: Callable[..., None], serve: Serve) -> None:
    add()
    core = serve()
    assert ask(core, 1, 1, sequence_start=True) == [1]
    assert ask(core, 1, 2) == [3]
    assert ask(core, 1, 3, sequence_end=True) == [6]


def test_each_sequence_begins_anew(add: Callable[..., None], serve: Serve) -> None:
    add()
    core = serve()
    for end in (True, False, False):  # also one whose end was forgotten
        assert ask(core, 1, 1, sequence_start=True) == [1]
        assert ask(core, 1, 2, sequence_end=end) == [3]


@pytest.mark.parametrize("strategy", ["direct { }", "oldest { max_candidate_sequences: 2 }"])
def test_sequences_have_states_of_their_own(
    add: Callable[..., None], serve: Serve, strategy: str
) -> None:
    add(batches=True, sequence=strategy)
    core = serve()
    for id in (1, 2):
        assert ask(core, id, 10 * id, batches=True, sequence_start=True) == [[10 * id]]
    for id in (2, 1):
        assert ask(core, id, 1, batches=True) == [[10 * id + 1]]


def test_rows_of_a_batch_have_states_of_their_own(add: Callable[..., None], serve: Serve) -> None:
    wait = "direct { max_queue_delay_microseconds: 60000000 minimum_slot_utilization: 1 }"
    add(batches=True, sequence=wait)
    core = serve()
    for sums in ((1, 2), (2, 4), (3, 6)):
        start = sums == (1, 2)
        together = [
            core.stream(prepare(id, id, batches=True, sequence_start=start)) for id in (1, 2)
        ]
        for expected, responses in zip(sums, together, strict=True):
            response = next(responses)
            assert isinstance(response, m.InferResponse)
            assert InferResult(response)["OUT"].tolist() == [[expected]]
    (found,) = core.handle(m.GetStatistics("m"))
    assert (found.inference_count, found.execution_count) == (6, 3)


@pytest.mark.parametrize("batches", [False, True])
def test_states_of_variable_size(add: Callable[..., None], serve: Serve, batches: bool) -> None:
    add("Concat", size=-1, batches=batches)
    core = serve()

    def values(*options: Any, **more: Any) -> Any:
        found = ask(core, *options, batches=batches, **more)
        return found[0] if batches else found

    assert values(1, 1, sequence_start=True) == [0, 1]  # sizes are 1 at the beginning
    assert values(1, 2) == [0, 1, 2]
    if batches:  # there is room for two sequences, whose states have other sizes
        assert values(2, 5, sequence_start=True) == [0, 5]
        assert values(2, 6) == [0, 5, 6]
    assert values(1, 3) == [0, 1, 2, 3]


INITIAL = 'initial_state {{ name: "i" data_type: TYPE_FP32 dims: [ {} ] {} }}'
ZERO = "zero_data: true"
FILE = 'data_file: "data"'


@pytest.mark.parametrize(
    ("operation", "size", "initial", "sent", "expected"),
    [
        ("Add", 2, INITIAL.format(2, ZERO), [1, 2], [1, 2]),
        ("Add", 2, INITIAL.format(2, FILE), [1, 2], [11, 22]),
        ("Add", 1, INITIAL.format(1, FILE), [1], [11]),  # of a longer file the begin
        ("Concat", -1, INITIAL.format(3, ZERO), [1], [0, 0, 0, 1]),
        ("Concat", -1, INITIAL.format(2, FILE), [1], [10, 20, 1]),
        ("Concat", -1, INITIAL.format(0, ZERO), [1], [1]),
    ],
)
def test_initial_states(
    add: Callable[..., None],
    serve: Serve,
    operation: str,
    size: int,
    initial: str,
    sent: list[float],
    expected: list[float],
) -> None:
    add(operation, size, initial=initial)
    core = serve()
    for id in (1, 2):
        assert ask(core, id, *sent, sequence_start=True, sequence_end=True) == expected


def test_the_interface_has_no_state(add: Callable[..., None], serve: Serve) -> None:
    add()
    core = serve()
    config = core.handle(m.GetModelConfig("m"))
    assert [[each["name"] for each in config[kind]] for kind in ("input", "output")] == [
        ["IN"],
        ["OUT"],
    ]
    with pytest.raises(InvalidArgument, match="unexpected inference output 'STATE_OUT'"):
        core.handle(prepare(1, 1, sequence_start=True, outputs=["STATE_OUT"]))
    with pytest.raises(InvalidArgument, match="expected 1 inputs but got 2"):
        one = np.ones(1, np.float32)
        core.handle(request("m", {"IN": one, "STATE_IN": one}, sequence_id=1, sequence_start=True))


def test_a_state_can_be_an_output_as_well(add: Callable[..., None], serve: Serve) -> None:
    outputs = 'output { name: "STATE_OUT" data_type: TYPE_FP32 dims: [ 1 ] }'
    add(config=f"{outputs} instance_group {{ count: 1 }}")
    core = serve()
    for expected in (5, 10):
        response = core.handle(prepare(1, 5, sequence_start=expected == 5))
        assert InferResult(response)["STATE_OUT"].tolist() == [expected]


def test_warmup_has_the_initial_state(add: Callable[..., None], serve: Serve) -> None:
    given = '{ key: "IN" value { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } }'
    add(config=f'model_warmup {{ name: "w" batch_size: 1 inputs {given} }}')
    assert ask(serve(), 1, 1, sequence_start=True) == [1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("dims: [ {dims} ]", "dims: [ 3 ]"), "the model expects 1 dimensions"),
        (("TYPE_FP32", "TYPE_INT32"), "expects datatype TYPE_INT32 for input 'STATE_IN'"),
        (("STATE_IN", "X"), "unexpected inference input 'X', allowed inputs are: IN, STATE_IN"),
        (("STATE_OUT", "X"), "unexpected inference output 'X', allowed outputs are"),
        ((STATE, ""), "configuration expects 1 inputs, model provides 2"),
    ],
)
def test_states_fit_the_model(
    add: Callable[..., None], serve: Serve, change: tuple[str, str], text: str
) -> None:
    interface = 'input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }'
    add(config=interface, state=STATE.replace(*change))
    (found,) = serve(exit_on_error=False).status()
    assert text in found.status


@pytest.mark.parametrize(
    ("initial", "text"),
    [
        (
            INITIAL.format(1, 'data_file: "../config.pbtxt"'),
            "state 'STATE_IN' file '../config.pbtxt' is not in the model's folder 'initial_state'",
        ),
        (INITIAL.format(1, 'data_file: "/etc/passwd"'), "is not in the model's folder"),
        (INITIAL.format(1, 'data_file: "."'), "is not a regular file"),
    ],
)
def test_files_of_other_folders_are_refused(
    add: Callable[..., None], serve: Serve, initial: str, text: str
) -> None:
    add(initial=initial)
    (found,) = serve(exit_on_error=False).status()
    assert text in found.status


def test_files_that_are_too_short_are_refused(add: Callable[..., None], serve: Serve) -> None:
    add("Concat", -1, initial=INITIAL.format(3, FILE))
    (found,) = serve(exit_on_error=False).status()
    assert "expects 12 bytes, but the data provided from data only has 8 bytes" in found.status


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("", "B"), "a state of model 'm' must specify 'input_name'"),
        (("A", ""), "a state of model 'm' must specify 'output_name'"),
        (("IN", "B"), "model 'm' has several inputs named 'IN', one of them for a state"),
        (("START", "B"), "model 'm' has several inputs named 'START', one of them for a state"),
        (("FIRST", "B"), "model 'm' has several inputs named 'FIRST', one of them for a state"),
        (("A", "SECOND"), "model 'm' has several states from the output 'SECOND'"),
    ],
)
def test_names_that_are_missing_or_taken(
    repository: RepositoryMaker, serve: Serve, names: tuple[str, str], text: str
) -> None:
    """Triton 2.51 ends itself without the first, and loses inputs or mixes them up."""
    states = "".join(
        f'state {{ input_name: "{first}" output_name: "{second}" data_type: TYPE_FP32 dims: 1 }}'
        for first, second in (("FIRST", "SECOND"), names)
    )
    start = "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }"
    controls = f'control_input {{ name: "START" {start} }}'
    tensors = " ".join(
        f'{kind} {{ name: "{kind.removesuffix("put").upper()}" data_type: TYPE_FP32 dims: 1 }}'
        for kind in ("input", "output")
    )
    config = f'backend: "python" {tensors} sequence_batching {{ {controls} {states} }}'
    repository.python("m", config=config)
    (found,) = serve(exit_on_error=False).status()
    assert text in found.status


def test_a_warning_says_that_models_in_python_cannot_change_it(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = " ".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: 1 }}'
        for kind, name in (("input", "IN"), ("output", "OUT"))
    )
    state = STATE.format(dims=1, more="")
    repository.python("m", config=f'backend: "python" {tensors} sequence_batching {{ {state} }}')
    with caplog.at_level(logging.WARNING):
        serve()
    assert "model 'm' has implicit state, which models in Python cannot change" in caplog.text
