"""A model repository that tests fill with the models that they need."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritonclient import messages as m
from tritonclient.server.core import IN_PROCESS, InferenceServer

MODELS = Path(__file__).parents[2] / "models"

ECHO = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor(t.name().replace("IN", "OUT"), t.as_numpy()) for t in r.inputs()]
            )
            for r in requests
        ]
"""
FP32_CONFIG = """
backend: "python"
input [ { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""


class RepositoryMaker:
    """Puts models into a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def python(
        self, name: str, code: str = ECHO, config: str | None = FP32_CONFIG, version: int = 1
    ) -> Path:
        """Add a Python-backend model; its directory."""
        place = self.directory / name / str(version)
        place.mkdir(parents=True)
        (place / "model.py").write_text(code)
        if config is not None:
            (place.parent / "config.pbtxt").write_text(config)
        return place.parent

    def copy(self, name: str, config: str | None = None) -> Path:
        """Add a model of the project's own repository, with another configuration if given."""
        target = shutil.copytree(MODELS / name, self.directory / name)
        if config is not None:
            (target / "config.pbtxt").write_text(config)
        return target


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryMaker:
    return RepositoryMaker(tmp_path / "repository")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let modules with `IN_BOTH = True` execute models in the test's process, and in their own."""
    names = metafunc.fixturenames
    if getattr(metafunc.module, "IN_BOTH", False) and {"in_process", "gate"} & {*names} == {
        "in_process"
    }:
        metafunc.parametrize("in_process", [True, False], ids=["in_process", "process"])


@pytest.fixture
def in_process(request: pytest.FixtureRequest) -> bool:
    """Where Python models are executed: as by default, but for tests that say why they differ.

    A gate is in the test's process, so models that wait at it are executed there.
    """
    return IN_PROCESS or "gate" in request.fixturenames


@pytest.fixture
def serve(
    repository: RepositoryMaker, in_process: bool
) -> Iterator[Callable[..., InferenceServer]]:
    """Makes cores over the repository, closed when the test ends."""
    with ExitStack() as stack:

        def make(**options: object) -> InferenceServer:
            options.setdefault("in_process", in_process)
            core = InferenceServer([repository.directory], **options)  # type: ignore[arg-type]
            stack.callback(core.close)
            return core

        yield make


@pytest.fixture
def simple(repository: RepositoryMaker, serve: Callable[..., InferenceServer]) -> InferenceServer:
    repository.copy("simple")
    return serve()


class Gate:
    """Where a model, which runs in the test's process, waits; it tells what it executes."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self._entered = threading.Semaphore(0)
        self._released = threading.Semaphore(0)

    def execute(self, batch: list[Any]) -> None:
        """Called by the model: wait to be released."""
        self.batches.append(batch)
        self._entered.release()
        assert self._released.acquire(timeout=30)

    def wait(self) -> None:
        """Wait until the model executes once more."""
        assert self._entered.acquire(timeout=30)

    def release(self) -> None:
        """Release one execution."""
        self._released.release()

    def open(self) -> None:
        """Release all executions, also later ones."""
        self._released.release(1000)


#: The gate of the test that runs.
GATES: list[Gate] = []


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate, which models find as the last of `GATES`."""
    GATES.append(Gate())
    yield GATES[-1]
    GATES.pop().open()


def fp32(name: str, values: object) -> m.InferTensor:
    """An FP32 input."""
    array = np.asarray(values, "<f4")
    return m.InferTensor(name, "FP32", array.shape, array.tobytes())


def int32(name: str, values: object) -> m.InferTensor:
    """An INT32 input."""
    array = np.asarray(values, "<i4")
    return m.InferTensor(name, "INT32", array.shape, array.tobytes())


def texts(*values: str) -> m.InferTensor:
    """An input IN of BYTES."""
    data = b"".join(len(v.encode()).to_bytes(4, "little") + v.encode() for v in values)
    return m.InferTensor("IN", "BYTES", (len(values),), data)
