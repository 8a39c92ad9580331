"""Processes that models start with `multiprocessing`, and what models see of their own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

#: Answers with the texts of what an expression gives.
CODE = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import numpy as np
import triton_python_backend_utils as pb_utils
from .helper import twice
import helper

@dataclass
class Item:
    number: int

def square(item):
    return Item(twice(item.number) * helper.twice(item.number) // 4)

def pool(method):
    with multiprocessing.get_context(method).Pool(2) as workers:
        return [each.number for each in workers.map(square, [Item(2), Item(3)])]

def executor(method):
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as workers:
        return [each.number for each in workers.map(square, [Item(2), Item(3)])]

class TritonPythonModel:
    def execute(self, requests):
        text = str({expression})
        output = pb_utils.Tensor("OUT", np.array([text], object))
        return [pb_utils.InferenceResponse([output]) for _ in requests]
"""
CONFIG = 'backend: "python" output { name: "OUT" data_type: TYPE_STRING dims: 1 }'


@pytest.fixture
def in_process() -> bool:
    return False


def ask(repository: RepositoryMaker, serve: Serve, expression: str) -> str:
    path = repository.python("m", CODE.replace("{expression}", expression), CONFIG)
    (path / "1" / "helper.py").write_text("def twice(number):\n    return 2 * number\n")
    data = serve().handle(m.Infer("m", ())).outputs[0].data
    return bytes(data or b"")[4:].decode()


def test_pools_of_forked_processes_end(repository: RepositoryMaker, serve: Serve) -> None:
    # A pool ends its processes by SIGTERM, perhaps before they have begun.
    assert ask(repository, serve, "[pool('fork') for _ in range(20)][-1]") == "[4, 9]"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["pool", "executor"])
def test_processes_without_a_fork_have_the_models_modules(
    repository: RepositoryMaker, serve: Serve, kind: str, method: str
) -> None:
    assert ask(repository, serve, f"{kind}('{method}')") == "[4, 9]"


def test_a_model_is_a_module_of_its_version(repository: RepositoryMaker, serve: Serve) -> None:
    text = "('1.model', '1', '1.helper', [''])"
    names = "(__name__, __package__, twice.__module__, sys.argv)"
    assert ask(repository, serve, names) == text
