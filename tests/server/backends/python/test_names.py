"""`triton_python_backend_utils` and its stub have the public names and signatures of Triton.

The behaviour of each name is in test_pb_utils.py, test_metrics.py and test_model_calls.py.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.backends.python import names
from tritonclient.server.backends.python.pb_utils import metrics, response, response_iterator
from tritonclient.server.backends.python.pb_utils import module as pb_utils
from tritonclient.server.backends.python.pb_utils import request as requests
from tritonclient.server.core import InferenceServer

PAGE = Path(__file__).parents[4] / "docs" / "python_models.md"
TABLE = names.names()
#: What Triton 2.51 has, as its module says (`dir()`), without what numpy and json have there.
MODULE_OF_TRITON = """
InferenceRequest InferenceResponse Logger MetricFamily ModelConfig PreferredMemory
TRITONSERVER_MEMORY_CPU TRITONSERVER_MEMORY_GPU TRITONSERVER_REQUEST_FLAG_SEQUENCE_END
TRITONSERVER_REQUEST_FLAG_SEQUENCE_START TRITONSERVER_REQUEST_RELEASE_ALL
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE TRITONSERVER_RESPONSE_COMPLETE_FINAL TRITON_STRING_TO_NUMPY
Tensor TritonError TritonModelException deserialize_bytes_tensor get_input_config_by_name
get_input_tensor_by_name get_model_dir get_output_config_by_name get_output_tensor_by_name
is_model_ready load_model numpy_to_triton_type serialize_byte_tensor triton_string_to_numpy
triton_to_numpy_type unload_model using_decoupled_model_transaction_policy
"""
MEMBERS_OF_TRITON = {
    "InferenceRequest": "async_exec correlation_id exec flags get_response_sender inputs "
    "is_cancelled parameters request_id requested_output_names set_flags set_release_flags "
    "timeout trace",
    "InferenceResponse": "error has_error output_tensors",
    "Logger": "ERROR INFO LogLevel VERBOSE WARNING log log_error log_info log_verbose log_warn",
    "MetricFamily": "COUNTER GAUGE HISTOGRAM Metric",
    "ModelConfig": "add_input add_output as_dict set_dynamic_batching set_max_batch_size "
    "set_model_transaction_policy",
    "PreferredMemory": "",
    "Tensor": "as_numpy from_dlpack is_cpu name shape to_dlpack triton_dtype",
    "TritonError": "ALREADY_EXISTS CANCELLED INTERNAL INVALID_ARG NOT_FOUND UNAVAILABLE UNKNOWN "
    "UNSUPPORTED code message",
    "_InferenceResponseSender": "is_cancelled send",
    "_InferenceTrace": "get_context",
    "_Metric": "increment observe set value",
    "_ResponseIterator": "",
}
#: What later versions have in addition.
LATER = {"InferenceResponse.parameters", "_ResponseIterator.cancel"}
#: What the server uses of these classes.
INTERNAL = {
    "InferenceRequest": {"of", "host", "is_rescheduled", "may_call", "uses_sender"},
    "MetricFamily": {"metrics"},
    "Tensor": {"of"},
}
#: Classes that no name of the module leads to.
HIDDEN: dict[str, type] = {
    "_InferenceResponseSender": response.InferenceResponseSender,
    "_InferenceTrace": requests.InferenceTrace,
    "_Metric": metrics.Metric,
    "_ResponseIterator": response_iterator.ResponseIterator,
}


@pytest.fixture
def module(serve: Callable[..., InferenceServer]) -> Any:
    return pb_utils.of_model(serve(exit_on_error=False), "/nowhere")


def public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def of_class(name: str) -> set[str]:
    return {each.partition(".")[2] for each in TABLE if each.startswith(f"{name}.")}


def found(module: Any, name: str) -> Any:
    top, _, member = name.partition(".")
    owner = HIDDEN.get(top) or getattr(module, top)
    return getattr(owner, member) if member else owner


def test_the_module_has_these_names_only(module: Any) -> None:
    named = {name for name in TABLE if "." not in name and not name.startswith("_")}
    assert public(module) == named == set(MODULE_OF_TRITON.split())


@pytest.mark.parametrize("name", MEMBERS_OF_TRITON)
def test_classes_have_these_names_only(module: Any, name: str) -> None:
    members = public(found(module, name)) - INTERNAL.get(name, set())
    later = {each.partition(".")[2] for each in LATER if each.startswith(f"{name}.")}
    assert members == of_class(name) == {*MEMBERS_OF_TRITON[name].split(), *later}


def test_every_class_was_compared() -> None:
    assert {name.partition(".")[0] for name in TABLE if "." in name} <= set(MEMBERS_OF_TRITON)


@pytest.mark.parametrize(
    "name", [name for name, each in TABLE.items() if each.parameters is not None]
)
def test_the_signature(module: Any, name: str) -> None:
    wanted = TABLE[name].parameters
    assert wanted is not None
    thing = found(module, name)
    signature = inspect.signature(thing)
    mandatory = [each for each in wanted if not each.optional]
    me = [] if isinstance(thing, type) or not inspect.isfunction(thing) else [None]
    me = me if "." in name and "self" in signature.parameters else []
    # All by keyword, and as few as possible.
    for chosen in (wanted, mandatory):
        places = [None for each in chosen if not each.keyword]
        words = {each.name: None for each in chosen if each.keyword}
        signature.bind(*me, *places, **words)
    # By position, in this order.
    parameters = [each for each in signature.parameters if each != "self"]
    assert [each.name for each in wanted if each.keyword] == parameters[-len(wanted) :][
        sum(not each.keyword for each in wanted) :
    ]


def test_every_name_has_a_meaning_and_is_on_the_page() -> None:
    assert [name for name, each in TABLE.items() if not each.meaning] == []
    assert names.table() in PAGE.read_text("utf-8"), "put names.table() into the page"


RIGHT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(
        self, requests: list[pb_utils.InferenceRequest]
    ) -> list[pb_utils.InferenceResponse]:
        family = pb_utils.MetricFamily("n", "text", pb_utils.MetricFamily.COUNTER)
        family.Metric(labels={"a": "b"}).increment(len(requests))
        tensor = pb_utils.get_input_tensor_by_name(requests[0], "IN")
        assert tensor is not None
        for response in requests[0].exec(decoupled=True):
            response.has_error()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor.as_numpy())])]
"""
WRONG = """
import numpy as np
import triton_python_backend_utils as pb_utils

pb_utils.Tensor(name="OUT", array=np.zeros(1))
pb_utils.InferenceResponse(outputs=[])
pb_utils.NoSuchName
pb_utils.MetricFamily("n", "text", "COUNTER")
"""


@pytest.mark.slow
def test_mypy_uses_the_stub(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed; see `make check`")
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    done = subprocess.run(
        [*command, "--cache-dir", "cache", "right.py", "wrong.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(names.STUB.parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(": ")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert set(lines) == {f"wrong.py:{number}" for number in (5, 6, 7, 8)}, done.stdout
    assert not done.stderr
