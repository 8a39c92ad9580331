"""Requests to models with optional inputs: the inputs are counted, on both servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import made_models
from tests.support.made_models import ask

TEXT = {"name": "OUT", "data_type": "TYPE_STRING", "dims": [1]}
CODE = """
import numpy as np
import triton_python_backend_utils as pb
class TritonPythonModel:
    def execute(self, requests):
        return [self.seen(each) for each in requests]
    def seen(self, request):
        found = {name: pb.get_input_tensor_by_name(request, name) for name in "ABCD"}
        text = "".join(name for name in "ABCD" if found[name] is not None)
        names = "".join(sorted(each.name() for each in request.inputs()))
        assert names == text
        return pb.InferenceResponse([pb.Tensor("OUT", np.array([text], object))])
"""
CALLER = """
import numpy as np
import triton_python_backend_utils as pb
class TritonPythonModel:
    def execute(self, requests):
        one = pb.Tensor("A", np.ones(1, np.int32)), pb.Tensor("C", np.ones(1, np.int32))
        call = pb.InferenceRequest(
            model_name="optional_inputs", requested_output_names=["OUT"], inputs=list(one)
        )
        return [pb.InferenceResponse(call.exec().output_tensors()) for each in requests]
"""
MODELS = ("optional_inputs", "optional_inputs_caller")


def inputs(optional: str) -> list[dict[str, Any]]:
    """Return inputs A to D of a configuration, some of them optional."""
    return [
        {"name": name, "data_type": "TYPE_INT32", "dims": [1], "optional": name in optional}
        for name in "ABCD"
    ]


@pytest.fixture(autouse=True)
def model(server: Any) -> Iterator[None]:
    """Load a model that needs A and B, and takes C and D."""
    config = {"backend": "python", "input": inputs("CD"), "output": [TEXT]}
    assert made_models.load(server, config, CODE, MODELS[0])[0] == 200
    yield
    for each in reversed(MODELS):
        made_models.unload(server, each)


def infer(server: Any, model: str, names: str) -> tuple[int, str]:
    """Return the status, and the output or the error."""
    given = [{"name": name, "datatype": "INT32", "shape": [1], "data": [1]} for name in names]
    status, answer = ask(server, f"models/{model}/infer", {"inputs": given})
    return status, answer["outputs"][0]["data"][0] if status == 200 else answer["error"]


@pytest.mark.parametrize("names", ["AB", "AC", "CD", "ACD", "ABCD"])
def test_any_inputs_will_do_if_they_are_enough(server: Any, names: str) -> None:
    assert infer(server, MODELS[0], names) == (200, names)


@pytest.mark.parametrize(
    ("names", "text"),
    [("C", "between 2 and 4 but got 1"), ("AX", "unexpected inference input 'X'")],
)
def test_too_few_or_unknown_inputs(server: Any, names: str, text: str) -> None:
    status, error = infer(server, MODELS[0], names)
    assert (status, text in error) == (400, True)


def test_models_may_leave_out_inputs_as_well(server: Any) -> None:
    config = {"backend": "python", "input": [], "output": [TEXT]}
    assert made_models.load(server, config, CALLER, MODELS[1])[0] == 200
    assert infer(server, MODELS[1], "") == (200, "AC")
