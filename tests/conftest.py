"""What all tests share: the servers that they run against."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pytest

from tests import official
from tests import triton as real_triton

if TYPE_CHECKING:
    from tritonclient.server import Server

MODELS = Path(__file__).parent.parent / "models"


def pytest_report_header() -> list[str]:
    return [f"numpy: {numpy.__version__}", f"real Triton: {real_triton.describe()}"]


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_triton.RunningServer]:
    """A real Triton that serves all of `models/`, with model control and tracing at hand.

    It is shared by the whole session: a test that unloads a model loads it again.
    """
    if reason := real_triton.unavailable_reason():
        if os.environ.get("CI"):
            pytest.fail(f"no real Triton: {reason}")
        pytest.skip(f"no real Triton: {reason}")
    # It needs onnxruntime, which those who test without servers may lack.
    from tests.twins import build_repository

    repository = tmp_path_factory.mktemp("triton") / "models"
    build_repository(MODELS, repository)
    with real_triton.start(
        repository, control_mode="explicit", extra_args=real_triton.CONTROLLED
    ) as server:
        yield server


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """The embedded server with all of `models/`, shared by the whole session."""
    from tritonclient.server import Server

    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


@pytest.fixture(scope="session")
def official_python() -> str:
    """The Python of an environment that has the official client."""
    if reason := official.unavailable_reason():
        if os.environ.get("CI"):
            pytest.fail(f"no official client: {reason}")
        pytest.skip(f"no official client: {reason}")
    return str(official.ensure_official())
