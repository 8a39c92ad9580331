"""Sequences on the embedded server: slots, idleness and control inputs of every kind."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient import messages as m
from tritonclient.client.requests import request as infer
from tritonclient.client.results import InferResult
from tritonclient.errors import InvalidArgument, ServerError
from tritonclient.server.core import InferenceServer
from tritonclient.server.inference import Responses

#: Tells the instance that executes, what it executed before in this sequence, and the controls.
MODEL = """
import itertools
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    names = itertools.count()

    def initialize(self, args):
        self.name = args["model_instance_name"]
        self.seen = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        controls = {t.name(): t.as_numpy().tolist() for t in request.inputs()}
        value = controls.pop("IN")
        seen = self.seen.setdefault(request.correlation_id(), [])
        seen.append(value)
        text = repr((self.name, len(seen), controls))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([text], object))])
"""
CONFIG = """
backend: "python"
input [ { name: "IN" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_STRING dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU count: %d } ]
sequence_batching { %s }
"""


def serve(repository: RepositoryMaker, strategy: str, instances: int = 1) -> InferenceServer:
    repository.python("it", MODEL, CONFIG % (instances, strategy))
    return InferenceServer([repository.directory])


def request(id: int | str, *, start: bool = False, end: bool = False) -> m.Infer:
    return infer(
        "it",
        {"IN": np.array([7], np.int32)},
        sequence_id=id,
        sequence_start=start,
        sequence_end=end,
    )


def ask(server: InferenceServer, id: int | str, *, start: bool = False, end: bool = False) -> Any:
    answer: m.InferResponse = server.handle(request(id, start=start, end=end))
    return eval(InferResult(answer)["OUT"][0])


def begin(
    server: InferenceServer, id: int | str, *, start: bool = False, end: bool = False
) -> Responses:
    """A request that waits for its turn."""
    return server.stream(request(id, start=start, end=end))


def told(responses: Responses) -> Any:
    """Return the value in OUT of the only response."""
    (answer,) = responses
    assert isinstance(answer, m.InferResponse)
    return eval(InferResult(answer)["OUT"][0])


def control(name: str, kind: str, values: str) -> str:
    return (
        f'control_input [ {{ name: "{name}" control [ {{ kind: CONTROL_SEQUENCE_{kind} '
        f"{values} }} ] }} ]"
    )


def test_controls_of_every_kind(repository: RepositoryMaker) -> None:
    strategy = " ".join(
        [
            "oldest { max_candidate_sequences: 2 }",
            control("S", "START", "fp32_false_true: [ -1, 0.5 ]"),
            control("E", "END", "bool_false_true: [ false, true ]"),
            control("R", "READY", "int32_false_true: [ 5, 6 ]"),
            control("C", "CORRID", "data_type: TYPE_STRING"),
        ]
    )
    server = serve(repository, strategy)
    assert ask(server, "x", start=True)[2] == {"S": [0.5], "E": [False], "R": [6], "C": [b"x"]}
    assert ask(server, "x", end=True)[2] == {"S": [-1.0], "E": [True], "R": [6], "C": [b"x"]}
    assert ask(server, 9, start=True, end=True)[2]["C"] == [b"9"]
    server.close()


def test_a_text_does_not_fit_a_number(repository: RepositoryMaker) -> None:
    server = serve(repository, control("C", "CORRID", "data_type: TYPE_UINT32"))
    with pytest.raises(InvalidArgument, match=r"'x' .* has a text for an id"):
        ask(server, "x", start=True)
    with pytest.raises(InvalidArgument, match="4294967296 does not fit UINT32"):
        ask(server, 2**32, start=True)
    assert ask(server, 5, start=True)[2] == {"C": [5]}
    server.close()


def test_a_sequence_stays_with_its_instance(repository: RepositoryMaker) -> None:
    server = serve(repository, "oldest { max_candidate_sequences: 2 }", instances=3)
    places: dict[int, set[str]] = {id: set() for id in range(1, 7)}
    for step in range(4):
        for id, seen in places.items():
            name, count, _ = ask(server, id, start=step == 0, end=step == 3)
            seen.add(name)
            assert count == step + 1
    assert all(len(seen) == 1 for seen in places.values())
    assert len(set.union(*places.values())) == 3  # evenly
    server.close()


def test_a_new_start_begins_anew_where_it_was(repository: RepositoryMaker) -> None:
    server = serve(repository, "direct { }", instances=2)
    first = ask(server, 1, start=True)
    assert ask(server, 1, start=True) == (first[0], 2, {})
    server.close()


def test_sequences_beyond_the_slots_wait(repository: RepositoryMaker) -> None:
    server = serve(repository, "oldest { max_candidate_sequences: 1 }")
    ask(server, 1, start=True)
    others = [
        begin(server, 2, start=True),
        begin(server, 2, end=True),
        begin(server, 3, start=True),
    ]
    executed: list[Any] = []
    thread = threading.Thread(target=lambda: executed.extend(map(told, others)))
    thread.start()
    assert ask(server, 1)[1] == 2
    assert not executed
    assert ask(server, 1, end=True)[1] == 3
    thread.join(30)
    assert [count for _, count, _ in executed] == [1, 2, 1]
    server.close()


def test_idle_sequences_are_given_up(repository: RepositoryMaker) -> None:
    strategy = "max_sequence_idle_microseconds: 100000 oldest { max_candidate_sequences: 1 }"
    server = serve(repository, strategy)
    ask(server, 1, start=True)
    assert ask(server, 2, start=True)[1] == 1  # waits for the slot of the first
    with pytest.raises(ServerError, match=r"sequence 1 .* START flag"):
        ask(server, 1)
    server.close()


@pytest.mark.parametrize("strategy", ["oldest { max_candidate_sequences: 1 }", "direct { }"])
def test_closing_executes_what_waits(repository: RepositoryMaker, strategy: str) -> None:
    server = serve(repository, strategy)
    ask(server, 1, start=True)
    waiting = [begin(server, 2, start=True), begin(server, 3, start=True, end=True)]
    server.close()
    assert [told(each)[1] for each in waiting] == [1, 1]


def test_an_id_may_be_used_again_before_its_last_request_is_executed(
    repository: RepositoryMaker,
) -> None:
    server = serve(repository, "direct { }")
    flags = [(True, False), (False, True), (True, False), (False, True)]
    waiting = [begin(server, 1, start=start, end=end) for start, end in flags]
    assert [told(each)[1] for each in waiting] == [1, 2, 3, 4]
    with pytest.raises(ServerError, match="START flag"):
        ask(server, 1)
    server.close()


@pytest.mark.parametrize(
    ("id", "start", "text"),
    [
        (0, False, "inference request to model 'it' must specify a non-zero or non-empty "
         "correlation ID"),
        ("", False, "inference request to model 'it' must specify a non-zero or non-empty "
         "correlation ID"),
        ("x", False, "inference request for sequence x to model 'it' must specify the START flag "
         "on the first request of the sequence"),
        ("x" * 129, True, "string correlation ID cannot be longer than 128 characters"),
    ],
)  # fmt: skip
def test_what_belongs_to_no_sequence_is_refused(
    repository: RepositoryMaker, id: int | str, start: bool, text: str
) -> None:
    server = serve(repository, "direct { }")
    with pytest.raises(ServerError) as caught:
        ask(server, id, start=start)
    assert caught.value.message() == text
    server.close()
