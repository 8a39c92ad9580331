"""Modules of Python models: packages of their own, imported at any time."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from tests.server.backends.python.test_backend import TEXT_CONFIG
from tests.server.conftest import RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

CODE = """
from __future__ import annotations
import importlib, pickle, threading
from dataclasses import dataclass
import numpy as np
import triton_python_backend_utils as pb_utils
{head}

@dataclass
class Point:
    x: int

def late(statement, name):
    found = {{}}
    def run():
        exec(statement, globals(), found)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[name]

def execute():
    return {expression}

class TritonPythonModel:
    def execute(self, requests):
        array = np.array([str(execute())], object)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)]) for _ in requests]
"""


@pytest.fixture
def in_process() -> bool:
    return True  # what the loader keeps apart, a process per instance keeps apart anyway


def answer(core: InferenceServer, name: str) -> str:
    (output,) = core.handle(m.Infer(name, (fp32("IN", [0]),))).outputs
    return bytes(output.data or b"")[4:].decode()


@pytest.mark.parametrize(
    ("head", "expression", "expected"),
    [
        ("", "Point(1)", "Point(x=1)"),
        ("", "pickle.loads(pickle.dumps(Point(2)))", "Point(x=2)"),
        ("from .helper import NUMBER", "NUMBER", "{}"),
        ("import helper", "helper.NUMBER", "{}"),
        ("import folder.inner", "folder.inner.NUMBER", "{}"),
        ("", "late('import helper', 'helper').NUMBER", "{}"),
        ("found = importlib.import_module('helper')", "found.NUMBER", "{}"),
        ("", "importlib.import_module('helper').NUMBER", "{}"),
        ("", "importlib.import_module('folder.inner').NUMBER", "{}"),
        ("", "importlib.import_module('.helper', __package__).NUMBER", "{}"),
        ("", "importlib.import_module('triton_python_backend_utils') is pb_utils", "True"),
        ("from importlib import import_module", "import_module('helper').NUMBER", "{}"),
        (
            "import importlib.metadata",
            "importlib.metadata.PackageNotFoundError.__name__",
            "PackageNotFoundError",
        ),
        (
            "from importlib import metadata",
            "metadata.PackageNotFoundError.__name__",
            "PackageNotFoundError",
        ),
        ("from importlib.util import find_spec", "find_spec('json').name", "json"),
        ("", "late('import triton_python_backend_utils as u', 'u') is pb_utils", "True"),
    ],
)
def test_imports(
    repository: RepositoryMaker, serve: Serve, head: str, expression: str, expected: str
) -> None:
    for name in ("a", "b"):
        code = CODE.format(head=head, expression=expression)
        home = repository.python(name, code, TEXT_CONFIG) / "1"
        (home / "helper.py").write_text(f"NUMBER = {name!r}")
        (home / "folder").mkdir()
        (home / "folder" / "__init__.py").touch()
        (home / "folder" / "inner.py").write_text("from helper import NUMBER")
    path, finders, modules = list(sys.path), list(sys.meta_path), set(sys.modules)
    core = serve(control_mode="explicit", load_models=["*"])
    assert [answer(core, name) for name in ("a", "b")] == [expected.format(n) for n in ("a", "b")]
    for name in ("a", "b"):
        core.handle(m.UnloadModel(name))
    new = set(sys.modules) - modules  # servers of other tests may have models
    assert not [name for name in new if name.startswith("triton_model_")]
    assert not {"helper", "triton_python_backend_utils"} & new
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not list(repository.directory.rglob("__pycache__"))


@pytest.mark.parametrize("head", ["import signal", "from signal import *\nimport signal"])
def test_signals_belong_to_the_server(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture, head: str
) -> None:
    expression = "signal.signal(signal.SIGUSR1, signal.SIG_IGN) == signal.getsignal(signal.SIGUSR1)"
    code = CODE.format(head=head, expression=expression)
    repository.python("a", code, TEXT_CONFIG)
    before = signal.getsignal(signal.SIGUSR1)
    core = serve()
    assert answer(core, "a") == "True"
    assert signal.getsignal(signal.SIGUSR1) == before
    assert "of a model has no effect: it shares this process with the server" in caplog.text
