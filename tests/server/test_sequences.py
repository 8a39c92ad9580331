"""Sequences on the embedded server: slots, idleness and control inputs of every kind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient import messages as m
from tritonclient.errors import InvalidArgument, ServerError
from tritonclient.inference import InferResult, infer
from tritonclient.server.core import InferenceServer

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


def ask(server: InferenceServer, id: int | str, *, start: bool = False, end: bool = False) -> Any:
    request = infer(
        "it",
        {"IN": np.array([7], np.int32)},
        sequence_id=id,
        sequence_start=start,
        sequence_end=end,
    )
    answer: m.InferResponse = server.handle(request)
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
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, server, 2, start=True)
        again = pool.submit(ask, server, 2, end=True)
        assert not waiting.done()
        ask(server, 1, end=True)
        assert {waiting.result(30)[1], again.result(30)[1]} == {1, 2}
    server.close()


def test_idle_sequences_are_given_up(repository: RepositoryMaker) -> None:
    strategy = "max_sequence_idle_microseconds: 100000 oldest { max_candidate_sequences: 1 }"
    server = serve(repository, strategy)
    ask(server, 1, start=True)
    assert ask(server, 2, start=True)[1] == 1  # waits for the slot of the first
    with pytest.raises(ServerError, match=r"sequence 1 .* START flag"):
        ask(server, 1)
    server.close()


def test_closing_executes_what_waits(repository: RepositoryMaker) -> None:
    server = serve(repository, "oldest { max_candidate_sequences: 1 }")
    ask(server, 1, start=True)
    begun = threading.Event()

    def late() -> Any:
        begun.set()
        return ask(server, 2, start=True)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(late)
        begun.wait()
        server.close()
        try:
            assert waiting.result(30)[1] == 1
        except ServerError as error:  # it came after the server was closed
            assert "closed" in str(error) or "not found" in str(error)


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        ('state [ { input_name: "a" output_name: "b" } ]', "implicit state"),
        (control("C", "CORRID", "data_type: TYPE_FP32"), "expected a whole number or TYPE_STRING"),
        (control("S", "START", ""), "must specify either 'int32_false_true'"),
    ],
)
def test_what_is_not_served_is_refused(
    repository: RepositoryMaker, strategy: str, text: str
) -> None:
    with pytest.raises(ServerError, match=text):
        serve(repository, strategy)
