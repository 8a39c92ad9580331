"""Packages that depend on the official client, run with this one in its place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.environments import python_or_skip

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
REQUIREMENTS = [
    *("nvidia-pytriton", "tritony", "triton-shm-client"),
    # What the official client would have brought along for them.
    *("aiohttp", "gevent", "hpack", "protobuf"),
]


#: Model Analyzer reads what protobuf 7 no longer has.
ANALYZER = ["triton-model-analyzer", "gevent", "hpack", "protobuf<7"]


@pytest.fixture(scope="module")
def python():
    return python_or_skip("dependents", REQUIREMENTS)


@pytest.fixture(scope="module")
def analyzer_python():
    return python_or_skip("model_analyzer", ANALYZER)


def run(python, *arguments):
    """Run a program whose `tritonclient` is this source, not the one that was installed."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_it_is_this_package(python):
    code = "import tritonclient; print(tritonclient.__file__)"
    assert run(python, "-c", code).startswith(str(SOURCE))


@pytest.mark.parametrize("package", ["pytriton", "late", "tritony", "shm_client"])
def test_packages(embedded, python, package):
    program = str(HERE / "programs" / "dependents.py")
    run(python, program, package, embedded.http_url, embedded.grpc_url)


def test_model_analyzer(embedded, analyzer_python):
    program = str(HERE / "programs" / "dependents.py")
    run(analyzer_python, program, "model_analyzer", embedded.http_url, embedded.grpc_url)
