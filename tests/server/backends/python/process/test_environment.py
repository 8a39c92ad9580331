"""The interpreter of a model's process."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.backends.python.test_backend import TEXT_CONFIG
from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import InvalidArgument
from tritonclient.server.backends.python.environment import (
    remove_leftovers,
    remove_leftovers_once,
)
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

#: Answers with a variable that only the environment's interpreter sets.
CODE = """
import os
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        text = os.environ.get("FROM_ENVIRONMENT", "none")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([text], object))])]
"""


def environment(folder: Path, text: str) -> Path:
    """Make a folder whose bin/python is this interpreter with a variable set."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nFROM_ENVIRONMENT={text} exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return folder


def config(path: object) -> str:
    value = f'key: "EXECUTION_ENV_PATH" value {{ string_value: "{path}" }}'
    return f"{TEXT_CONFIG}\nparameters {{ {value} }}"


def answer(core: InferenceServer) -> bytes:
    return bytes(core.handle(m.Infer("m", (fp32("IN", [1]),))).outputs[0].data)[4:]


@pytest.fixture
def in_process() -> bool:
    return False


def test_the_server_has_an_interpreter_for_all_models(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path
) -> None:
    repository.python("m", CODE, TEXT_CONFIG)
    python = environment(tmp_path / "env", "server") / "bin" / "python"
    assert answer(serve(python=str(python))) == b"server"
    assert answer(serve()) == b"none"


def test_a_model_has_a_folder_of_its_own(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path
) -> None:
    directory = repository.python("m", CODE, config("$$TRITON_MODEL_DIRECTORY/env"))
    environment(directory / "env", "folder")
    assert answer(serve()) == b"folder"


def test_a_model_has_an_archive_of_its_own(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path
) -> None:
    archive = tmp_path / "env.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(environment(tmp_path / "env", "archive"), ".")
    repository.python("m", CODE, config(archive))
    assert answer(serve()) == b"archive"


@pytest.mark.parametrize("in_process", [True, False])
@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_an_environment_that_is_none_refuses_the_model(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "env.tar.gz"
    if content is not None:
        path.write_bytes(content)
    repository.python("m", CODE, config(path))
    core = serve(control_mode="explicit")
    with pytest.raises(InvalidArgument, match="EXECUTION_ENV_PATH is "):
        core.handle(m.LoadModel("m"))


def test_an_interpreter_that_is_not_there_refuses_the_model(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("m", CODE, FP32_CONFIG)
    core = serve(control_mode="explicit", python="/nowhere/python")
    with pytest.raises(InvalidArgument, match="/nowhere/python"):
        core.handle(m.LoadModel("m"))


def test_in_process_a_model_is_executed_without_its_environment(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    directory = repository.python("m", CODE, config("$$TRITON_MODEL_DIRECTORY/env"))
    environment(directory / "env", "folder")
    assert answer(serve(in_process=True)) == b"none"
    text = f"model 'm' asks for the environment '{directory / 'env'}', and is executed without it"
    assert [text in each.getMessage() for each in caplog.records].count(True) == 1


#: Unpacks an archive and waits.
UNPACKING = """
import sys
from pathlib import Path
from tritonclient.server.backends.python.environment import interpreter
parameter = {"EXECUTION_ENV_PATH": {"string_value": sys.argv[1]}}
print(interpreter({"parameters": parameter}, Path(), ""), flush=True)
sys.stdin.read()
"""


def test_a_killed_server_leaves_its_environment_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "env.tar"
    with tarfile.open(archive, "w") as file:
        file.add(environment(tmp_path / "env", "archive"), ".")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    other = folder / "tritonclient-environment-no-folder"
    other.symlink_to(tmp_path)
    command = [sys.executable, "-c", UNPACKING, str(archive)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        python = Path(server.stdout.readline().strip())
        remove_leftovers()
        assert python.exists()
        server.kill()
        server.wait()
        assert python.exists()
        remove_leftovers()
        assert not python.exists()
    assert list(folder.iterdir()) == [other]
    assert archive.exists()


def test_leftovers_are_removed_when_the_first_model_is_loaded(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tritonclient-environment-left"
    environment(folder, "left")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remove_leftovers_once.cache_clear()
    repository.python("m", CODE, TEXT_CONFIG)
    serve()
    assert not folder.exists()
