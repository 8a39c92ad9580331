"""Responses of the generate extension: both servers write the same JSON and the same events."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.support.generate_requests import JSON, generate, send
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("generate_models")

EVENTS = "text/event-stream; charset=utf-8"
NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that "
    "generates various number of responses"
)

# Outputs


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        ("BOOL", 1, '"BOOL":true'),
        ("BOOL", 2, '"BOOL":[true,false]'),
        ("UINT64,INT8", 2, '"INT8":[-1,2],"UINT64":[18446744073709551615,0]'),
        ("FP32", 2, '"FP32":[0.10000000149011612,NaN]'),
        ("FP64", 2, '"FP64":[0.1,-Infinity]'),
        ("BYTES", 1, '"BYTES":"caf\xc3\xa9"'),
        ("BYTES", 2, '"BYTES":["caf\xc3\xa9","\xff\\"\\n"]'),
        ("ROWS", 2, '"ROWS":[0,1,2,3]'),
        ("INT8", 0, '"INT8":[]'),
        ("BOOL,model_name", 1, '"BOOL":true'),
    ],
)
def test_outputs_become_values(server: Any, names: str, count: int, expected: str) -> None:
    text = f'{{{expected},"model_name":"giving","model_version":"1"}}'.encode("latin-1")
    body = {"NAME": names, "COUNT": count}
    assert send(server, "giving/generate", body) == (200, JSON, text)
    event = b"data: " + text + b"\n\n"
    assert send(server, "giving/generate_stream", body) == (200, EVENTS, event)


def test_the_id_of_the_request_replaces_an_output_of_its_name(server: Any) -> None:
    body = {"NAME": "id", "COUNT": 1}
    assert generate(server, "giving", body)[1]["id"] == "of the model"
    assert generate(server, "giving", {**body, "id": "x"})[1]["id"] == "x"


def test_fp16_has_no_json(server: Any) -> None:
    text = (
        "sending FP16 data via JSON is not supported. Please use the binary data format for output"
    )
    body = {"NAME": "FP16", "COUNT": 1}
    assert generate(server, "giving", body) == (400, {"error": text})
    events = send(server, "giving/generate_stream", body)
    assert events == (400, EVENTS, b'data: {"error":"%s"}\n\n' % text.encode())


def test_each_version_has_the_extension(server: Any) -> None:
    answers = [
        generate(server, f"versioned{version}", {"INPUT0": 1})[1]["model_version"]
        for version in ("", "/versions/1", "/versions/2")
    ]
    assert answers == ["2", "1", "2"]


# Several responses

PART = {
    "e": '{"error":"refused by the model"}',
    "-": '{"model_name":"planned","model_version":"1"}',
    **{
        letter: f'{{"TEXT":"{letter}","model_name":"planned","model_version":"1"}}'
        for letter in "abc"
    },
}


@pytest.mark.parametrize("plan", ["", "a", "abc", "-", "-a", "e", "ae", "aeb", "ea", "ee"])
def test_each_response_is_an_event(server: Any, plan: str) -> None:
    """The first decides about the status; those after an error follow."""
    events = "".join(f"data: {PART[letter]}\n\n" for letter in plan)
    status = 400 if plan.startswith("e") else 200
    answer = send(server, "planned/generate_stream", {"PLAN": plan})
    assert answer == (status, EVENTS, events.encode())


@pytest.mark.parametrize("plan", ["", "a", "abc", "-", "-a", "e", "ae", "ea"])
def test_generate_is_for_one_response(server: Any, plan: str) -> None:
    expected = json.loads(PART[plan]) if len(plan) == 1 else {"error": NOT_ONE}
    status = 400 if plan.startswith("e") else 200
    assert generate(server, "planned", {"PLAN": plan}) == (status, expected)


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_the_request_of_a_client_that_leaves_is_cancelled(server: Any, path: str) -> None:
    def counts() -> list[int]:
        return list(map(int, generate(server, "planned", {"PLAN": "?"})[1]["TEXT"].split()))

    waiting, left = counts()
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    try:
        connection.request("POST", f"/v2/models/planned/{path}", json.dumps({"PLAN": "aw"}))
        if path == "generate_stream":  # it is there before the model has ended
            event = connection.getresponse().readline()
            assert event == f"data: {PART['a']}\n".encode()
        eventually(lambda: counts() == [waiting + 1, left])
    finally:
        connection.close()
    eventually(lambda: counts() == [waiting + 1, left + 1])
