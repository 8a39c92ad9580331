"""Members of JSON requests that have the wrong type: both servers answer with the same words."""

from __future__ import annotations

import http.client
import json
from typing import Any

import numpy as np
import pytest

STRING = "Unable to parse '%s': attempt to access JSON non-string as string"
BOOLEAN = "Unable to parse '%s': attempt to access JSON non-boolean as boolean"
ARRAY = "Unable to parse '%s': attempt to access JSON non-array as array"
UNSIGNED = "attempt to access JSON non-unsigned-integer as unsigned-integer"
NO_STRING: tuple[Any, ...] = (1, -1, 1.5, True, None, [], {})
NO_BOOLEAN: tuple[Any, ...] = (1, -1, 1.5, "x", None, [], {})
NO_ARRAY: tuple[Any, ...] = (1, -1, 1.5, "x", True, None, {})
NO_UNSIGNED: tuple[Any, ...] = (-1, 1.5, "x", True, None, [], {})
#: Where a member is, its name, what it is not, and the text of the error.
CASES: list[tuple[str, str, tuple[Any, ...], str]] = [
    ("request", "id", NO_STRING, STRING % "id"),
    ("request", "inputs", NO_ARRAY, ARRAY % "inputs"),
    ("request", "outputs", NO_ARRAY, ARRAY % "outputs"),
    (
        *("request", "parameters", (1, 1.5, "x", True, None, [])),
        "failed to get request params.: attempt to get members for non-object",
    ),
    ("input", "name", NO_STRING, STRING % "name"),
    ("input", "datatype", NO_STRING, STRING % "datatype"),
    ("input", "shape", NO_ARRAY, ARRAY % "shape"),
    ("input", "data", NO_ARRAY, ARRAY % "data"),
    ("request.parameters", "binary_data_output", NO_BOOLEAN, BOOLEAN % "binary_data_output"),
    ("request.parameters", "sequence_start", NO_BOOLEAN, BOOLEAN % "sequence_start"),
    ("output.parameters", "binary_data", NO_BOOLEAN, BOOLEAN % "binary_data"),
    ("output.parameters", "shared_memory_region", NO_STRING, STRING % "shared_memory_region"),
    (
        *("output.parameters", "classification", NO_UNSIGNED),
        f"Unable to set 'classification': {UNSIGNED}",
    ),
    *(
        (place, name, NO_UNSIGNED, f"Unable to parse '{name}': {UNSIGNED}")
        for place in ("input.parameters", "output.parameters")
        for name in ("shared_memory_offset", "shared_memory_byte_size")
    ),
]


def ask(server: Any, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        connection.request("POST", "/v2/models/identity_fp32/infer", json.dumps(request))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def wrong(place: str, name: str, value: Any) -> dict[str, Any]:
    tensor: dict[str, Any] = {
        **{"name": "INPUT0", "datatype": "FP32", "shape": [2], "data": [1, 2]},
        "parameters": {},
    }
    output: dict[str, Any] = {"name": "OUTPUT0", "parameters": {}}
    request: dict[str, Any] = {"inputs": [tensor], "outputs": [output], "parameters": {}}
    member, _, inner = place.partition(".")
    target = {"request": request, "input": tensor, "output": output}[member]
    (target["parameters"] if inner else target)[name] = value
    return request


@pytest.mark.parametrize(("place", "name", "values", "text"), CASES)
def test_wrong_types_are_named(
    server: Any, place: str, name: str, values: tuple[Any, ...], text: str
) -> None:
    for value in values:
        assert ask(server, wrong(place, name, value)) == (500, {"error": text}), value


def test_parameters_of_inputs_that_are_no_object_count_as_none(server: Any) -> None:
    for value in (1, "x", None, []):
        status, answer = ask(server, wrong("input", "parameters", value))
        assert (status, answer["outputs"][0]["shape"]) == (200, [2]), value


@pytest.mark.parametrize(
    ("model", "datatype", "data", "text"),
    [
        (
            "identity_fp32",
            "FP32",
            np.array([np.nan, np.inf, -np.inf], "<f4").tobytes(),
            b"[NaN,Infinity,-Infinity]",
        ),
        ("identity_bytes", "BYTES", b"\x03\x00\x00\x00a\xff\xfe", b'["a\xff\xfe"]'),
    ],
)
def test_what_json_does_not_have_is_written(
    server: Any, model: str, datatype: str, data: bytes, text: bytes
) -> None:
    size = {"binary_data_size": len(data)}
    count = 3 if datatype == "FP32" else 1
    tensor = {"name": "INPUT0", "datatype": datatype, "shape": [count], "parameters": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        headers = {"Inference-Header-Content-Length": str(len(head))}
        connection.request("POST", f"/v2/models/{model}/infer", head + data, headers)
        answer = connection.getresponse().read()
    finally:
        connection.close()
    assert text in answer
