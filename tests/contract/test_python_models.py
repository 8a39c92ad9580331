"""What `model.py` files may do wrong, and what they see: the same on both servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import made_models
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
    code = """
    def execute(self, requests):
        try:
            pb.load_model("nope")
        except pb.TritonModelException as error:
            raise ValueError(str(error))
"""
    status, answer = infer(server, HEAD + code)
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
