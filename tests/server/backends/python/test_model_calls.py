"""Python models that call other models."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.server.backends.python.test_backend import TEXT_CONFIG
from tests.server.conftest import RepositoryMaker, fp32
from tests.server.test_streaming import ALL, CODE, DECOUPLED
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
Serve = Callable[..., InferenceServer]

#: A model that answers what an expression gives, as JSON; `ask` makes a request to another.
CALLER = """
import asyncio, json, threading
import numpy as np
import triton_python_backend_utils as pb_utils

def ask(model="echo", values=(1, 2), outputs=("OUT",), **options):
    tensor = pb_utils.Tensor("IN", np.array(values, np.float32))
    return pb_utils.InferenceRequest(
        model_name=model, requested_output_names=outputs, inputs=[tensor], **options
    )

def show(response):
    if response.has_error():
        return response.error().message()
    return [[t.name(), t.as_numpy().tolist()] for t in response.output_tensors()]

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer() for _ in requests]

    def answer(self):
        result = {expression}
        text = json.dumps(result)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([text], object))])

async def later():
    return await ask().async_exec()

async def several():
    return await asyncio.gather(ask().async_exec(), ask(values=[3]).async_exec())

async def stream():
    return await ask("decoupled").async_exec(decoupled=True)

def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found
"""
#: Answers with what it was told of the request.
TOLD = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        (r,) = requests
        told = [
            r.request_id(), r.correlation_id(), r.flags(), r.timeout(), json.loads(r.parameters())
        ]
        tensor = pb_utils.Tensor("OUT", np.array([json.dumps(told)], object))
        return [pb_utils.InferenceResponse([tensor])]
"""
ECHOED = [["OUT", [1.0, 2.0]]]
PREFIX = "Model {} - Error when running inference: "


@pytest.fixture
def call(repository: RepositoryMaker, serve: Serve) -> Callable[[str], object]:
    """Return the value of an expression in a model, with other models to call."""
    repository.python("echo")
    repository.python(
        "decoupled", CODE.format(test=__name__, body=ALL.replace("\n", "\n        ")), DECOUPLED
    )
    repository.python("raising", "class TritonPythonModel:\n    def execute(self, r): 1/0")
    repository.python("told", TOLD, TEXT_CONFIG)

    def run(expression: str) -> object:
        repository.python("caller", CALLER.replace("{expression}", expression), TEXT_CONFIG)
        core = serve(control_mode="explicit", load_models=["*"])
        answer = core.handle(m.Infer("caller", (fp32("IN", [0]),)))
        return json.loads(bytes(answer.outputs[0].data or b"")[4:])

    return run


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("show(ask().exec())", ECHOED),
        ("show(ask(outputs=()).exec())", ECHOED),
        ("show(ask(model_version=1).exec())", ECHOED),
        ("show(asyncio.run(later()))", ECHOED),
        ("[show(r) for r in ask().exec(decoupled=True)]", [ECHOED]),
        (
            "[show(r) for r in ask('decoupled').exec(decoupled=True)]",
            [[["OUT", [1.0]]], [["OUT", [2.0]]], []],
        ),
        ("[show(r) for r in asyncio.run(several())]", [ECHOED, [["OUT", [3.0]]]]),
        (
            "[show(r) for r in asyncio.run(stream())]",
            [[["OUT", [1.0]]], [["OUT", [2.0]]], []],
        ),
        ("in_thread(lambda: show(ask().exec()))", [ECHOED]),
    ],
)
def test_calls(call: Callable[[str], object], expression: str, expected: object) -> None:
    assert call(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "show(ask('nope').exec())",
            PREFIX.format("nope")
            + "Failed for execute the inference request. Model 'nope' is not ready.",
        ),
        (
            "show(ask(model_version=9).exec())",
            PREFIX.format("echo")
            + "Failed for execute the inference request. Model 'echo' is not ready.",
        ),
        (
            "show(ask(outputs=['X']).exec())",
            PREFIX.format("echo") + "unexpected inference output 'X' for model 'echo'",
        ),
        (
            "show(ask(values=[[1]]).exec())",
            PREFIX.format("echo") + "[request id: <id_unknown>] unexpected shape for input 'IN' "
            "for model 'echo'. Expected [-1], got [1,1]. ",
        ),
        (
            "show(ask('decoupled').exec())",
            PREFIX.format("decoupled") + "Model decoupled is using the decoupled. The current BLS "
            "request call doesn't support models using the decoupled transaction policy. Please "
            "use 'decoupled=True' argument to the 'exec' or 'async_exec' calls for decoupled "
            "models.'",
        ),
        (
            "[show(r) for r in ask('nope').exec(decoupled=True)]",
            [
                PREFIX.format("nope")
                + "Failed for execute the inference request. Model 'nope' is not ready."
            ],
        ),
    ],
)
def test_refusals(call: Callable[[str], object], expression: str, expected: object) -> None:
    assert call(expression) == expected


def test_failures_are_told_as_they_are(call: Callable[[str], object]) -> None:
    text = call("show(ask('raising').exec())")
    assert isinstance(text, str)
    assert text.startswith("Failed to process the request(s) for model 'raising_0', message: Zero")


def test_what_is_passed_on(call: Callable[[str], object]) -> None:
    found = call(
        "ask('told', request_id='i', correlation_id=7, flags=3, timeout=9, parameters={'x': 1})"
        ".exec().output_tensors()[0].as_numpy().item().decode()"
    )
    assert isinstance(found, str)
    assert json.loads(found) == ["i", 7, 3, 9, {"x": 1}]


@pytest.mark.parametrize("value", ["1.5", "[1]", "None"])
def test_parameters_of_wrong_kinds(call: Callable[[str], object], value: str) -> None:
    with pytest.raises(Exception, match="Expect parameters values to have type bool/int/str"):
        call(f"ask(parameters={{'a': {value}}})")


def test_models_manage_models(call: Callable[[str], object]) -> None:
    assert call(
        "[pb_utils.is_model_ready('echo'), pb_utils.unload_model('echo'), "
        "pb_utils.is_model_ready('echo'), pb_utils.load_model('echo'), "
        "pb_utils.is_model_ready('echo'), pb_utils.is_model_ready('echo', '9')]"
    ) == [True, None, False, None, True, False]


def test_the_module_belongs_to_the_model(repository: RepositoryMaker, serve: Serve) -> None:
    """Also on threads that the model started, and also when another was loaded later."""
    code = CALLER.replace("{expression}", "in_thread(pb_utils.get_model_dir)")
    directory = repository.python("a", code, TEXT_CONFIG)
    repository.python("b")
    answer = serve().handle(m.Infer("a", (fp32("IN", [0]),)))
    assert json.loads(bytes(answer.outputs[0].data or b"")[4:]) == [str(directory / "1")]
