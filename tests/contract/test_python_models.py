"""What `model.py` files may do wrong, and what they see: the same on both servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import made_models
from tests.support.generate_requests import send
from tests.support.made_models import NAME, ask

TEXTS = {"name": "IN", "data_type": "TYPE_STRING", "dims": [-1]}
CONFIG = {"backend": "python", "input": [TEXTS], "output": [{**TEXTS, "name": "OUT"}]}
HEAD = "import numpy as np\nimport triton_python_backend_utils as pb\nclass TritonPythonModel:\n"
EXECUTE = "    def execute(self, requests):\n        return "
COMPLETE = "    @staticmethod\n    def auto_complete_config(config):\n        "
#: Makes one text of what `{value}` gives.
SAY = (
    HEAD + EXECUTE + "[pb.InferenceResponse([pb.Tensor('OUT', np.array([str({value})], object))])"
    " for request in requests]\n"
)

#: Says why `{call}` is refused.
REFUSED = (
    HEAD
    + """
    def execute(self, requests):
        try:
            {call}
        except pb.TritonModelException as error:
            raise ValueError(str(error))
"""
)


@pytest.fixture(scope="module", autouse=True)
def _ready_again(server: Any) -> Iterator[None]:
    yield
    made_models.forget_failures(server)


@pytest.fixture(autouse=True)
def _unload(server: Any) -> Iterator[None]:
    yield
    made_models.unload(server)


def load_error(server: Any, code: str, config: dict[str, Any] = CONFIG) -> str:
    status, answer = made_models.load(server, config, code)
    start, _, error = answer["error"].partition("version 1 is at UNAVAILABLE state: ")
    assert (status, start) == (400, f"load failed for model '{NAME}': ")
    return str(error)


def infer(server: Any, code: str, **parameters: Any) -> tuple[int, dict[str, Any]]:
    assert made_models.load(server, CONFIG, code)[0] == 200
    tensor = {"name": "IN", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    request = {"inputs": [tensor], "parameters": parameters}
    return ask(server, f"models/{NAME}/infer", request)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("()", "Expected a list in the execute return, found type '<class 'tuple'>'."),
        (
            "[1]",
            "Expected an 'InferenceResponse' object in the execute function return list, found "
            "type '<class 'int'>'.",
        ),
    ],
)
def test_results_of_another_type(server: Any, result: str, text: str) -> None:
    status, answer = infer(server, HEAD + EXECUTE + result)
    assert (status, answer["error"].partition("message: ")[2]) == (500, text)


def test_a_model_without_execute(server: Any) -> None:
    status, answer = infer(server, HEAD + "    pass")
    assert status == 500
    assert answer["error"].endswith("/1/model.py does not implement `execute` method.")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("UNKNOWN", 400), ("INTERNAL", 500), ("NOT_FOUND", 404), ("INVALID_ARG", 400)),
        *(("UNAVAILABLE", 503), ("UNSUPPORTED", 501), ("ALREADY_EXISTS", 400), ("CANCELLED", 400)),
    ],
)
def test_statuses_of_errors(server: Any, code: str, status: int) -> None:
    error = f"pb.InferenceResponse(error=pb.TritonError('m', pb.TritonError.{code}))"
    answer = infer(server, HEAD + EXECUTE + f"[{error} for request in requests]")
    assert answer == (status, {"error": "m"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("request.parameters()", '{"p":1,"q":"s"}'),
        ("[pb.is_model_ready('simple'), pb.is_model_ready('nope')]", "[True, False]"),
    ],
)
def test_what_a_model_sees(server: Any, value: str, text: str) -> None:
    status, answer = infer(server, SAY.format(value=value), p=1, q="s")
    assert (status, answer["outputs"][0]["data"]) == (200, [text])


def test_a_model_that_can_not_be_loaded_by_a_model(server: Any) -> None:
    status, answer = infer(server, REFUSED.format(call='pb.load_model("nope")'))
    assert status == 500
    assert "ValueError: Failed to load model: " in answer["error"]
    assert "failed to load 'nope', failed to poll from model repository" in answer["error"]


def test_a_file_without_the_class(server: Any) -> None:
    text = "Internal: AttributeError: module '1.model' has no attribute 'TritonPythonModel';\n"
    assert load_error(server, "x = 1") == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("return None", "auto_complete_config function in model '{}' must return a valid pb."),
        (
            "config.add_input({{'name': 'IN'}})",
            "input 'IN' in auto-complete-config function for model '{}' is missing 'data_type' "
            "property.",
        ),
        (
            "config.add_input({{'name': 'IN', 'data_type': 'TYPE_STRING', 'dims': [1], 'x': 1}})",
            "input 'IN' in auto-complete-config function for model '{}' contains property other "
            "than 'name', 'data_type', 'dims' and 'optional'.",
        ),
        (
            "config.add_input({{'name': 'IN', 'data_type': 'TYPE_FP32', 'dims': [-1]}})",
            "unable to load model '{}', configuration expects datatype TYPE_STRING for input "
            "'IN', model provides TYPE_FP32",
        ),
        (
            "config.add_output({{'name': 'OUT', 'data_type': 'TYPE_STRING', 'dims': [2]}})",
            "model '{}', tensor 'OUT': the model expects dims [2] but the model configuration "
            "specifies dims [-1]",
        ),
        (
            "config.set_model_transaction_policy({{'x': 1}})",
            "model transaction property in auto-complete-config function for model '{}' contains "
            "property other than 'decoupled'.",
        ),
    ],
)
def test_completions_that_can_not_be(server: Any, code: str, text: str) -> None:
    error = load_error(server, HEAD + COMPLETE + code.format())
    assert text.format(NAME) in error


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        ("KeyError()", "KeyError: <EMPTY MESSAGE>"),
        ("KeyboardInterrupt()", "KeyboardInterrupt: <EMPTY MESSAGE>"),
        ("type('Mine', (BaseException,), {})('x')", "Mine: x"),
        ("SyntaxError('why', ('f.py', 3, 1, 'x'))", "SyntaxError: why (f.py, line 3)"),
        ("UnicodeError('\\u20ac')", "UnicodeError: \u20ac"),
        ("OSError(2, 'gone', 'f')", "FileNotFoundError: [Errno 2] gone: 'f'"),
        ("ExceptionGroup('g', [KeyError(1)])", "ExceptionGroup: g (1 sub-exception)"),
    ],
)
def test_texts_of_exceptions(server: Any, raised: str, text: str) -> None:
    if "Group" in raised and sys.version_info < (3, 11):
        pytest.skip("the Triton of the tests may have this Python, too")
    status, answer = infer(
        server, HEAD + f"    def execute(self, requests):\n        raise {raised}"
    )
    assert status == 500
    assert answer["error"].partition("message: ")[2].startswith(f"{text}\n\nAt:\n  ")


def test_an_exception_without_a_text(server: Any) -> None:
    code = """
    def execute(self, requests):
        raise Mine()

class Mine(Exception):
    def __str__(self):
        raise ValueError("no text")
"""
    status, answer = infer(server, HEAD + code)
    assert status == 500
    text = answer["error"].partition("message: ")[2]
    assert text.startswith("Mine: <MESSAGE UNAVAILABLE DUE TO ANOTHER EXCEPTION>\n\nAt:\n  ")
    assert "\n\nMESSAGE UNAVAILABLE DUE TO EXCEPTION: ValueError: no text\n\nAt:\n  " in text


def test_a_syntax_error(server: Any) -> None:
    assert load_error(server, "x = (") == (
        "Internal: SyntaxError: '(' was never closed (model.py, line 1);\n"
    )


CALL = (
    "pb.InferenceRequest(model_name={model!r}, requested_output_names=['OUT'], "
    "inputs=[pb.Tensor('IN', np.array(['a'], object))], {more}).exec()"
)


def test_a_model_calls_no_other_while_it_is_loaded(server: Any) -> None:
    code = HEAD + "    def initialize(self, args):\n        " + CALL.format(model="x", more="")
    text = "Internal: TritonModelException: BLS is only supported during the 'execute' function.\n"
    assert load_error(server, code).startswith(text)


@pytest.mark.parametrize(
    "more",
    [
        "correlation_id=-1",
        "correlation_id=2**64",
        "timeout=-1",
        "timeout=2**64",
        "flags=2**32",
        "model_version=2**63",
    ],
)
def test_numbers_of_requests_to_models_that_no_request_can_have(server: Any, more: str) -> None:
    code = f"""
    def execute(self, requests):
        try:
            {CALL.format(model="x", more=more)}
        except (TypeError, RuntimeError):
            text = "refused"
        else:
            text = "taken"
        return [pb.InferenceResponse([pb.Tensor('OUT', np.array([text], object))])]
"""
    status, answer = infer(server, HEAD + code)
    assert (status, answer["outputs"][0]["data"]) == (200, ["refused"])


def test_errors_of_called_models_have_one_code(server: Any) -> None:
    error = "pb.InferenceResponse(error=pb.TritonError('m', pb.TritonError.NOT_FOUND))"
    callee = HEAD + EXECUTE + f"[{error} for request in requests]"
    assert made_models.load(server, CONFIG, callee, "called_by_a_test")[0] == 200
    try:
        call = CALL.format(model="called_by_a_test", more="")
        value = f"(lambda e: [e.message(), e.code() == pb.TritonError.INTERNAL])({call}.error())"
        status, answer = infer(server, SAY.format(value=value))
    finally:
        made_models.unload(server, "called_by_a_test")
    assert (status, answer["outputs"][0]["data"]) == (200, ["['m', True]"])


def test_readiness_of_a_version_that_is_no_number(server: Any) -> None:
    status, answer = infer(server, REFUSED.format(call='pb.is_model_ready("simple", "x")'))
    assert status == 500
    assert "ValueError: Failed to check model readiness: " in answer["error"]
    assert "failed to get model version from specified version string 'x'" in answer["error"]


def test_dlpack_that_is_not_contiguous(server: Any) -> None:
    value = "pb.Tensor.from_dlpack('x', np.arange(6, dtype=np.int32).reshape(2, 3).T)"
    status, answer = infer(server, SAY.format(value=value))
    assert status == 500
    text = (
        "TritonModelException: DLPack tensor is not contiguous. Only contiguous DLPack tensors "
        "that are stored in C-Order are supported"
    )
    assert text in answer["error"]


@pytest.mark.parametrize("last", ["", ", flags=1"])
def test_an_exception_does_not_overtake_responses(server: Any, last: str) -> None:
    code = f"""
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for number in range(12):
                value = np.array([str(number)], object)
                sender.send(pb.InferenceResponse([pb.Tensor('OUT', value)]))
            sender.send(pb.InferenceResponse([pb.Tensor('OUT', value)]){last})
        raise ValueError("late")
"""
    config = {**CONFIG, "model_transaction_policy": {"decoupled": True}}
    assert made_models.load(server, config, HEAD + code)[0] == 200
    status, _, body = send(server, f"{NAME}/generate_stream", {"IN": "a"})
    events = body.decode().split("\n\n")[:-1]
    assert status == 200
    told = [str(number) for number in (*range(12), 11)]
    assert [json.loads(each[6:])["OUT"] for each in events[:13]] == told
    assert ["ValueError: late" in each for each in events[13:]] == [True] * (not last)


def test_a_model_whose_configuration_cannot_be_read_is_unknown(server: Any) -> None:
    status, _ = made_models.load(server, {**CONFIG, "max_batch_size": -1}, HEAD, "unread_by_a_test")
    assert status == 500
    status, answer = ask(server, "models/unread_by_a_test/infer", {"inputs": []})
    error = "Request for unknown model: 'unread_by_a_test' is not found"
    assert (status, answer) == (404, {"error": error})
