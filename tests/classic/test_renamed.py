"""The packages of old names: `tritonhttpclient` and its like."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import pytest

NAMES = {
    "tritonclientutils": "tritonclient.utils",
    "tritonhttpclient": "tritonclient.http",
    "tritongrpcclient": "tritonclient.grpc",
    "tritongrpcclient.grpc_service_pb2": "tritonclient.grpc.service_pb2",
    "tritongrpcclient.grpc_service_pb2_grpc": "tritonclient.grpc.service_pb2_grpc",
    "tritongrpcclient.model_config_pb2": "tritonclient.grpc.model_config_pb2",
    "tritonshmutils": "tritonclient.utils",
    "tritonshmutils.shared_memory": "tritonclient.utils.shared_memory",
    "tritonshmutils.cuda_shared_memory": "tritonclient.utils.cuda_shared_memory",
}


@pytest.fixture(autouse=True)
def forget():
    """Each test imports the old names for the first time."""
    for name in NAMES:
        sys.modules.pop(name, None)


def imported(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(name)
    return module, caught


@pytest.mark.parametrize("name", NAMES)
def test_importing_one_is_warned_of(name):
    filters = list(warnings.filters)
    _, caught = imported(name)
    assert warnings.filters == filters
    text = (
        f"The package `{name}` is deprecated and will be removed in a future version. Please use "
        f"instead `{NAMES[name]}`"
    )
    assert [(str(each.message), each.category) for each in caught][-1] == (text, DeprecationWarning)


@pytest.mark.parametrize("name", NAMES)
def test_they_have_what_the_new_ones_have(name):
    module, _ = imported(name)
    new = importlib.import_module(NAMES[name])
    for each in new.__all__:
        assert getattr(module, each) is getattr(new, each)
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


def test_star_imports():
    code = """
from tritonclientutils import *
from tritongrpcclient import *
print(KeepAliveOptions.__module__)
from tritongrpcclient.grpc_service_pb2 import *
print(ModelInferRequest.__module__)
from tritonhttpclient import *
from tritonshmutils.shared_memory import *
print(np_to_triton_dtype(np.float32), InferenceServerClient.__module__.split(".")[0])
print(create_shared_memory_region.__module__)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "tritonclient.grpc._channel",
        "tritonclient.grpc.service_pb2",
        "FP32",
        "tritonclient",
        "tritonclient.utils.shared_memory",
    ]


def test_the_warning_names_the_line_that_imports():
    code = "import sys\n\nimport tritonclientutils"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "<string>:3: DeprecationWarning: The package `tritonclientutils`" in done.stderr
