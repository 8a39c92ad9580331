"""The generate extension over HTTP: both servers give the same answers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import made_models
from tests.support.waiting import eventually

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that "
    "generates various number of responses"
)

#: Answers with what it got of a request.
DESCRIBING = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self._describe(request) for request in requests]

    def _describe(self, request):
        inputs = {}
        for tensor in request.inputs():
            values = [
                value.decode("latin-1") if isinstance(value, bytes) else value.item()
                for value in tensor.as_numpy().flatten()
            ]
            inputs[tensor.name()] = [list(tensor.shape()), values]
        known = {
            "inputs": inputs,
            "parameters": json.loads(request.parameters()),
            "id": request.request_id(),
            "sequence": [request.correlation_id(), request.flags(), request.timeout()],
        }
        text = np.array([json.dumps(known).encode()], dtype=object)
        rows = [shape[0] for shape, _ in inputs.values() if len(shape) > 1]
        text = np.repeat(text[None], rows[0], 0) if rows else text
        return pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)])
"""
#: Sends what the letters of a text say; counts the requests that wait until their client leaves.
PLANNED = """
import threading
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    waiting = left = 0

    def execute(self, requests):
        for request in requests:
            plan = pb_utils.get_input_tensor_by_name(request, "PLAN").as_numpy().item().decode()
            arguments = (plan, request.get_response_sender(), request)
            threading.Thread(target=self._send_all, args=arguments).start()

    def _send_all(self, plan, sender, request):
        for letter in plan:
            if letter == "e":
                error = pb_utils.TritonError("refused by the model", pb_utils.TritonError.NOT_FOUND)
                sender.send(pb_utils.InferenceResponse(error=error))
            elif letter == "w":
                self.waiting += 1
                while not sender.is_cancelled():
                    time.sleep(0.01)
                self.left += 1
            else:
                text = f"{self.waiting} {self.left}" if letter == "?" else letter
                outputs = [pb_utils.Tensor("TEXT", np.array([text.encode()], dtype=object))]
                sender.send(pb_utils.InferenceResponse([] if letter == "-" else outputs))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
#: Gives the outputs that a text names, each with so many elements.
GIVING = """
import numpy as np
import triton_python_backend_utils as pb_utils

VALUES = {
    "BOOL": np.array([True, False]),
    "UINT64": np.array([2**64 - 1, 0], np.uint64),
    "INT8": np.array([-1, 2], np.int8),
    "FP16": np.array([1, 2], np.float16),
    "FP32": np.array([0.1, np.nan], np.float32),
    "FP64": np.array([0.1, -np.inf]),
    "BYTES": np.array([b"caf\\xc3\\xa9", b"\\xff\\"\\n"], dtype=object),
    "ROWS": np.arange(4, dtype=np.int32).reshape(2, 2),
    "id": np.array([b"of the model"], dtype=object),
    "model_name": np.array([b"of the model"], dtype=object),
}

class TritonPythonModel:
    def execute(self, requests):
        name = pb_utils.get_input_tensor_by_name(requests[0], "NAME").as_numpy().item().decode()
        count = pb_utils.get_input_tensor_by_name(requests[0], "COUNT").as_numpy().item()
        outputs = [pb_utils.Tensor(each, VALUES[each][:count]) for each in name.split(",")]
        return [pb_utils.InferenceResponse(outputs)]
"""
KINDS = ("BOOL", "UINT8", "UINT64", "INT8", "INT32", "FP16", "FP32", "FP64", "STRING")


def tensor(name: str, kind: str, dims: list[int], **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": f"TYPE_{kind}", "dims": dims, **more}


TEXT = tensor("TEXT", "STRING", [-1])
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "typed": (
        {"input": [tensor(each, each, [-1], optional=True) for each in KINDS], "output": [TEXT]},
        DESCRIBING,
    ),
    "batched": (
        {
            "max_batch_size": 4,
            "input": [
                tensor("ONE", "FP32", [1]),
                tensor("ANY", "STRING", [-1], optional=True),
                tensor("ROWS", "INT32", [-1, 2], optional=True),
                tensor("FREE", "INT32", [-1, -1], optional=True),
                tensor("FIXED", "INT32", [2, 3], optional=True),
                tensor("FLAT", "INT32", [1], reshape={"shape": []}, optional=True),
            ],
            "output": [TEXT],
        },
        DESCRIBING,
    ),
    "named": (
        {
            "input": [tensor(each, "STRING", [1], optional=True) for each in ("id", "parameters")],
            "output": [TEXT],
        },
        DESCRIBING,
    ),
    "planned": (
        {
            "model_transaction_policy": {"decoupled": True},
            "input": [tensor("PLAN", "STRING", [1])],
            "output": [tensor("TEXT", "STRING", [1])],
        },
        PLANNED,
    ),
    "giving": (
        {
            "input": [tensor("NAME", "STRING", [1]), tensor("COUNT", "INT32", [1])],
            "output": [
                *(
                    tensor(each, each.replace("BYTES", "STRING"), [-1])
                    for each in ("BOOL", "UINT64", "INT8", "FP16", "FP32", "FP64", "BYTES")
                ),
                tensor("ROWS", "INT32", [-1, 2]),
                *(tensor(each, "STRING", [1]) for each in ("id", "model_name")),
            ],
        },
        GIVING,
    ),
}
ENSEMBLE = {
    "platform": "ensemble",
    "input": [tensor("IN", "FP32", [-1])],
    "output": [tensor("OUT", "FP32", [-1])],
    "ensemble_scheduling": {
        "step": [
            {
                "model_name": "identity_fp32",
                "model_version": -1,
                "input_map": {"INPUT0": "IN"},
                "output_map": {"OUTPUT0": "OUT"},
            }
        ]
    },
}


@pytest.fixture(scope="module", autouse=True)
def _models(server: Any) -> Iterator[None]:
    for name, (config, code) in MODELS.items():
        config = {"backend": "python", "max_batch_size": 0, **config}
        assert made_models.load(server, config, code, name) == (200, {})
    assert made_models.load(server, ENSEMBLE, "", "composed") == (200, {})
    yield
    for name in ("composed", *MODELS):
        made_models.unload(server, name)


def send(
    server: Any, path: str, body: Any, method: str = "POST", headers: dict[str, str] | None = None
) -> tuple[int, str, bytes]:
    """Return status, content type and body of the response to a request about a model."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, f"/v2/models/{path}", data, headers or {})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()
    finally:
        connection.close()


def generate(server: Any, model: str, body: Any, **more: Any) -> tuple[int, Any]:
    """Return status and JSON of the response."""
    status, kind, text = send(server, f"{model}/generate", body, **more)
    assert kind == JSON
    return status, json.loads(text)


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
