"""Requests of the generate extension: both servers read and refuse the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.generate_requests import JSON, generate, send

pytestmark = pytest.mark.usefixtures("generate_models")


def error(server: Any, model: str, body: Any, **more: Any) -> tuple[int, str]:
    status, answer = generate(server, model, body, **more)
    assert answer.keys() == {"error"}
    # What cannot be read is refused in the same way before there are events.
    again = send(server, f"{model}/generate_stream", body, **more)
    assert again == (status, JSON, json.dumps(answer, separators=(",", ":")).encode())
    return status, answer["error"]


def described(server: Any, model: str, body: Any) -> dict[str, Any]:
    """Return what the model got."""
    status, answer = generate(server, model, body)
    assert status == 200, answer
    text = answer["TEXT"]
    return json.loads(text if isinstance(text, str) else text[0])  # type: ignore[no-any-return]


# Inputs


@pytest.mark.parametrize(
    ("name", "value", "shape", "expected"),
    [
        ("INT32", 5, [1], [5]),
        ("INT32", [5, -6], [2], [5, -6]),
        ("INT32", [[5], [6]], [2], [5, 6]),
        ("INT32", [], [0], []),
        ("UINT64", (1 << 64) - 1, [1], [(1 << 64) - 1]),
        ("BOOL", [True, False], [2], [True, False]),
        ("FP32", 1, [1], [1.0]),
        ("FP64", [0.1, 2], [2], [0.1, 2.0]),
        ("STRING", "café", [1], ["caf\xc3\xa9"]),
        ("STRING", ["a", ""], [2], ["a", ""]),
        ("STRING", [["a"], ["b"]], [2], ["a", "b"]),
    ],
)
def test_values_become_tensors(
    server: Any, name: str, value: Any, shape: list[int], expected: list[Any]
) -> None:
    assert described(server, "typed", {name: value})["inputs"] == {name: [shape, expected]}


@pytest.mark.parametrize(
    ("name", "value", "shape"),
    [
        ("ANY", "x", [1, 1]),
        ("ANY", ["x", "y"], [1, 2]),
        ("ROWS", [1, 2, 3, 4], [1, 2, 2]),
        ("ROWS", [], [1, 0, 2]),
        ("FREE", [1, 2, 3], [1, 1, 3]),
        ("FIXED", list(range(6)), [1, 2, 3]),
        ("FLAT", 7, [1]),
    ],
)
def test_shapes_come_from_the_configuration(
    server: Any, name: str, value: Any, shape: list[int]
) -> None:
    assert described(server, "batched", {"ONE": 1, name: value})["inputs"][name][0] == shape


def test_elements_of_fixed_sizes_become_a_batch(server: Any) -> None:
    status, answer = generate(server, "batched", {"ONE": [1, 2, 3]})
    assert (status, len(answer["TEXT"])) == (200, 3)
    assert json.loads(answer["TEXT"][2])["inputs"] == {"ONE": [[3, 1], [1, 2, 3]]}


UNFIT = "The schema can not convert input '{}' to tensor with proper shape"
NO_INTEGER = "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer"
NO_STRING = "Unable to parse JSON bytes array: attempt to access JSON non-string as string"
NO_FP16 = (
    "receiving FP16 data via JSON is not supported. Please use the binary data format for input "
    "FP16"
)
OTHER_COUNT = "Unable to parse 'data': Shape does not match true shape of 'data' field"
TWICE = "input 'INT32' already exists in request"
NESTED = "Converting keyword: 'parameters': "


@pytest.mark.parametrize(
    ("model", "body", "status", "text"),
    [
        ("typed", {"INT32": "x"}, 500, NO_INTEGER),
        ("typed", {"INT32": 1.5}, 500, NO_INTEGER),
        ("typed", {"INT32": None}, 500, NO_INTEGER),
        ("typed", {"INT32": {"a": 1}}, 500, NO_INTEGER),
        ("typed", {"INT32": [1, True]}, 500, NO_INTEGER),
        ("typed", {"STRING": 1}, 500, NO_STRING),
        ("typed", {"STRING": ["a", None]}, 500, NO_STRING),
        ("typed", {"FP16": 1.5}, 400, NO_FP16),
        ("typed", {"FP16": []}, 400, NO_FP16),
        ("typed", {"INT32": [[1, 2]]}, 500, OTHER_COUNT),
        (
            *("typed", {"STRING": [["a", "b"]]}, 400),
            "[request id: <id_unknown>] unexpected number of string elements 2 for inference input "
            "'STRING' for model 'typed', expecting 1",
        ),
        ("batched", {"ONE": 1, "FIXED": [1, 2, 3]}, 400, UNFIT.format("FIXED")),
        ("batched", {"ONE": 1, "FIXED": [[1, 2, 3], [4, 5, 6]]}, 400, UNFIT.format("FIXED")),
        ("batched", {"ONE": 1, "FIXED": ["x"]}, 400, UNFIT.format("FIXED")),
        ("batched", {"ONE": 1, "ROWS": [1, 2, 3]}, 400, UNFIT.format("ROWS")),
        (
            *("batched", {"ONE": [1, 2, 3, 4, 5]}, 400),
            "[request id: <id_unknown>] inference request batch-size must be <= 4 for 'batched'",
        ),
        (
            *("batched", {"id": "7"}, 400),
            "[request id: 7] expected number of inputs between 1 and 6 but got 0 inputs for model "
            "'batched'. Got input(s) [], but missing required input(s) ['ONE']. Please provide all "
            "required input(s).",
        ),
        ("typed", {"parameters": {"INT32": "x"}}, 500, NESTED + NO_INTEGER),
        (
            *("typed", {"INT32": 1, "parameters": {"INT32": 1}, "id": "7"}, 400),
            f"{NESTED}[request id: 7] {TWICE}",
        ),
        ("typed", b'{"INT32":1,"INT32":2}', 400, f"[request id: <id_unknown>] {TWICE}"),
        (
            *("typed", b'{"parameters":{"INT32":1,"INT32":2}}', 400),
            f"{NESTED}[request id: <id_unknown>] {TWICE}",
        ),
        (
            *("typed", b'{"parameters":{"INT32":1},"parameters":{}}', 400),
            f"{NESTED}[request id: <id_unknown>] {TWICE}",
        ),
        ("nope", b"{", 404, "Request for unknown model: 'nope' is not found"),
        (
            *("typed/versions/9", {"INT32": 1}, 404),
            "Request for unknown model: 'typed' version 9 is not found",
        ),
        ("typed/versions/x", {"INT32": 1}, 404, "Not Found"),
    ],
)
def test_what_does_not_fit_is_refused(
    server: Any, model: str, body: Any, status: int, text: str
) -> None:
    if text == "Not Found":  # of which Triton says another content type
        answer = send(server, f"{model}/generate", body)
        assert (answer[0], json.loads(answer[2])) == (404, {"error": text})
        return
    assert error(server, model, body) == (status, text)


# Parameters


@pytest.mark.parametrize(
    "members",
    [
        {"text": "x", "number": -1, "flag": True, "real": 1.5},
        {"id": "x"},
        # They mean something as parameters of other requests, and here only to the model.
        {"sequence_id": -1, "sequence_start": 1, "priority": "high", "timeout": 1},
        {"triton_enable_empty_final_response": True, "binary_data_output": True},
        {"outputs": "TEXT", "model_name": "x", "stream": True, "": 5},
    ],
)
def test_other_members_become_parameters(server: Any, members: dict[str, Any]) -> None:
    for body in ({"INT32": 1, **members}, {"INT32": 1, "parameters": members}):
        got = described(server, "typed", body)
        assert (got["parameters"], got["sequence"]) == (members, [0, 0, 0])


def test_parameters_reach_models_behind_ensembles(server: Any) -> None:
    status, answer = generate(
        server, "composed", {"IN": [1, 2], "sequence_id": 5, "sequence_start": True, "id": "x"}
    )
    sequence = {"sequence_id": 0, "sequence_start": False, "sequence_end": False}
    own = {"id": "x", "model_name": "composed", "model_version": "1"}
    assert (status, answer) == (200, {"OUT": [1.0, 2.0], **own, **sequence})


def test_the_first_of_several_parameters_counts(server: Any) -> None:
    body = b'{"INT32":1,"other":1,"other":2,"parameters":{"more":3,"more":4}}'
    assert described(server, "typed", body)["parameters"] == {"other": 1, "more": 3}


def test_inputs_may_be_among_the_parameters(server: Any) -> None:
    got = described(server, "typed", {"parameters": {"STRING": "x", "other": 1}})
    assert (got["inputs"], got["parameters"]) == ({"STRING": [[1], ["x"]]}, {"other": 1})


def test_the_id_counts_only_at_the_top(server: Any) -> None:
    assert described(server, "typed", {"INT32": 1, "id": "x"})["id"] == "x"
    assert described(server, "typed", {"INT32": 1, "parameters": {"id": "x"}})["id"] == ""
    assert described(server, "named", {"id": "x"})["inputs"] == {"id": [[1], ["x"]]}


NO_KIND = "parameter 'other' has invalid type. It should be either 'int', 'bool', or 'string'."
NO_OBJECT = (
    "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object"
)
NO_ID = "Unable to parse 'id': attempt to access JSON non-string as string"
NO_MEMBERS = "attempt to get members for non-object"
NOT_PARSED = "failed to parse the request JSON buffer: "


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"other": [1]}, 400, NO_KIND),
        ({"other": {}}, 400, NO_KIND),
        ({"other": None}, 400, NO_KIND),
        ({"parameters": {"other": None}}, 400, NESTED + NO_KIND),
        ({"parameters": 5}, 500, NO_OBJECT),
        ({"parameters": None}, 500, NO_OBJECT),
        ({"other": None, "id": 5}, 500, NO_ID),
        (b"[]", 500, NO_MEMBERS),
        (b"null", 500, NO_MEMBERS),
        (b"", 500, NOT_PARSED + "The document is empty. at 0"),
        (b'{"a":1,}', 500, NOT_PARSED + "Missing a name for object member. at 7"),
    ],
)
def test_other_bodies_are_refused(server: Any, body: Any, status: int, text: str) -> None:
    assert error(server, "typed", body) == (status, text)


def test_integers_of_more_than_64_bits(server: Any) -> None:
    for given in (1 << 63, -1 - (1 << 63), 1 << 64):
        body = {"INT32": 1, "other": given}
        assert described(server, "typed", body)["parameters"]["other"] == pytest.approx(given)
    status, answer = generate(server, "typed", {"other": 10**400})
    assert (status, list(answer)) == (500, ["error"])


def test_an_input_with_the_name_of_the_parameters(server: Any) -> None:
    text = "Keyword 'parameters' for nested schema also given as input tensor name"
    for value in ("x", {"id": "x"}):
        assert error(server, "named", {"parameters": value}) == (400, text)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(server: Any, method: str) -> None:
    for model in ("typed", "nope"):
        assert error(server, model, {}, method=method) == (405, "Method Not Allowed")


def test_compressed_bodies_are_refused(server: Any) -> None:
    headers = {"Content-Encoding": "gzip"}
    text = "Unsupported content-encoding, only 'identity' is supported."
    assert error(server, "typed", b"", headers=headers) == (400, text)
    assert error(server, "nope", b"", headers=headers)[0] == 404
