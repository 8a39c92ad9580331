"""Headers that become request parameters; the expected values are those of Triton 2.51."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tritonclient.server import FunctionModel, GrpcOptions, Server

ONE = {"X": np.ones(1, np.float32)}
HEADERS = {"My-A": "1", "my-ab": "2", "x-My-A": "3", "Your": "4", "priority": "5"}


def _parameters(X: Any, *, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"P": [json.dumps(parameters)]}


def _serve(pattern: str) -> Server:
    model = FunctionModel(_parameters, outputs={"P": "BYTES"})
    options = GrpcOptions(forwarded_headers=pattern)
    return Server(models={"m": model}, forwarded_headers=pattern, grpc=options)


CASES = [
    ("", set()),
    ("my-.*", {"My-A", "my-ab", "x-My-A"}),  # found anywhere in the name, in any case
    ("MY-A$", {"My-A", "x-My-A"}),
    ("(?-i)my-a", {"my-ab"}),
    ("your|priority", {"Your"}),  # a header sets no priority
]


@pytest.mark.parametrize(("pattern", "expected"), CASES)
def test_http(pattern: str, expected: set[str]) -> None:
    body = {"inputs": [{"name": "X", "shape": [1], "datatype": "FP32", "data": [1]}]}
    with _serve(pattern) as server:
        connection = http.client.HTTPConnection(server.http_address)
        connection.request("POST", "/v2/models/m/infer", json.dumps(body), HEADERS)
        answer = json.loads(connection.getresponse().read())
        connection.close()
    found = json.loads(answer["outputs"][0]["data"][0])
    assert found == {name: HEADERS[name] for name in expected}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", {}),
        ("MY-A", {"my-a": "1", "x-my-a": "3"}),
        ("(?-i)MY-A", {}),  # names are in lower case over gRPC
    ],
)
def test_grpc(pattern: str, expected: dict[str, str]) -> None:
    headers = {"my-a": "1", "x-my-a": "3", "your": "4"}
    with _serve(pattern) as server, tc.Client(server.grpc_url) as client:
        once = client.infer("m", ONE, headers=headers)
        with client.stream([tc.request("m", ONE)], headers=headers) as responses:
            streamed: Iterator[Any] = iter(list(responses))
    assert [json.loads(each["P"][0]) for each in (once, *streamed)] == [expected, expected]


def test_headers_replace_parameters_of_the_same_name() -> None:
    with _serve("mine") as server, tc.Client(server.http_url) as client:
        result = client.infer("m", ONE, headers={"mine": "1"}, parameters={"mine": "0", "b": 2})
    assert json.loads(result["P"][0]) == {"mine": "1", "b": 2}


def test_a_pattern_must_be_a_regular_expression() -> None:
    for options in ({"forwarded_headers": "("}, {}):
        with pytest.raises(ValueError, match=r"forwarded_headers is '\(', which is not a regular"):
            Server(models={}, **options)
            GrpcOptions(forwarded_headers="(")
