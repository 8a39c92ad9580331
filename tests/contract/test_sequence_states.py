"""Implicit state of models in Python: they get the initial state each time, on both servers."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import made_models
from tests.support.made_models import NAME, ask

CODE = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        given, state = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("IN", "STATE")
        )
        outputs = {"OUT": state, "NEXT": given + state}
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, array) for name, array in outputs.items()]
        )
"""
STATE = {"input_name": "STATE", "output_name": "NEXT", "data_type": "TYPE_FP32", "dims": [2]}
ZERO = {"name": "i", "data_type": "TYPE_FP32", "dims": [2], "zero_data": True}
FILE = {"name": "i", "data_type": "TYPE_FP32", "dims": [2], "data_file": "data"}
FILES = {"initial_state/data": struct.pack("<2f", 3, 4)}


def load(server: Any, *initial: dict[str, Any], batch: int = 0, dims: int = 2) -> Any:
    """Load a model whose state begins with this; return the answer to the request."""
    state = {**STATE, "dims": [dims], "initial_state": initial}
    given, result = (
        {"name": name, "data_type": "TYPE_FP32", "dims": [2]} for name in ("IN", "OUT")
    )
    config = {
        "backend": "python",
        "max_batch_size": batch,
        "input": [given],
        "output": [result],
        "sequence_batching": {"state": [state]},
    }
    files = {"1/model.py": CODE.encode(), **FILES}
    parameters = {f"file:{path}": base64.b64encode(data).decode() for path, data in files.items()}
    parameters["config"] = json.dumps(config)
    return ask(server, f"repository/models/{NAME}/load", {"parameters": parameters})


@pytest.fixture(scope="module", autouse=True)
def _ready_again(server: Any) -> Iterator[None]:
    yield
    made_models.forget_failures(server)


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize(("initial", "expected"), [(ZERO, [0, 0]), (FILE, [3, 4])])
def test_each_request_has_the_initial_state(
    server: Any, initial: dict[str, Any], expected: list[float], batch: int
) -> None:
    assert load(server, initial, batch=batch) == (200, {})
    try:
        shape = [1, 2] if batch else [2]
        one = {"name": "IN", "datatype": "FP32", "shape": shape, "data": [1, 1]}
        for step in range(3):
            sequence = {
                "sequence_id": 7,
                "sequence_start": step == 0,
                "sequence_end": step == 2,
            }
            body = {"inputs": [one], "parameters": sequence}
            status, answer = ask(server, f"models/{NAME}/infer", body)
            assert status == 200, answer
            assert [(each["name"], each["data"]) for each in answer["outputs"]] == [
                ("OUT", expected)
            ]
    finally:
        made_models.unload(server)


def but(**change: Any) -> dict[str, Any]:
    """An initial state with something else."""
    return {name: value for name, value in {**ZERO, **change}.items() if value is not None}


@pytest.mark.parametrize(
    ("initial", "text"),
    [
        (
            (ZERO, but(name="j")),
            "initial_state field for state input 'STATE' must contain exactly one or zero element. "
            "Found '2' elements.",
        ),
        (
            (but(name=None),),
            "Field 'name' must be set when using initial_state for state input 'STATE'.",
        ),
        (
            (but(data_type="TYPE_INT32"),),
            "The data type used for 'initial_state' field of state 'STATE' does not match the "
            "state data type.",
        ),
        (
            (but(dims=[2, 1]),),
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions "
            "for state input 'STATE'. 2 != 1",
        ),
        (
            (but(dims=[3]),),
            "'initial_state' dim for input name 'STATE' doesn't match 'state' dim description. "
            "3 != 2",
        ),
        (
            (but(dims=[-1]),),
            "'initial_state' field for state input name 'STATE' contains variable dimensions.",
        ),
        (
            (but(zero_data=None),),
            "initial_state setting expects state'STATE' to have state_data set",
        ),
    ],
)
def test_initial_states_that_are_refused(
    server: Any, initial: tuple[dict[str, Any], ...], text: str
) -> None:
    dims = -1 if initial[0]["dims"] == [-1] else 2
    status, answer = load(server, *initial, dims=dims)
    why = "version 1 is at UNAVAILABLE state: Invalid argument: "
    assert (status, answer["error"]) == (400, f"load failed for model '{NAME}': {why}{text};\n")


def test_a_file_that_is_not_there(server: Any) -> None:
    status, answer = load(server, {**FILE, "data_file": "none"})
    assert status == 400
    assert "Internal: failed to open text file for read " in answer["error"]
    assert "/initial_state/none: No such file or directory" in answer["error"]
