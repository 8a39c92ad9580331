"""`RepositoryWatch`: what changed is loaded, and a broken file ends nothing."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.conftest import ECHO, RepositoryMaker, fp32
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import NotFound
from tritonclient.server.core import InferenceServer
from tritonclient.server.repository.watch import RepositoryWatch

Serve = Callable[..., InferenceServer]

ADDS = ECHO.replace("t.as_numpy()", "t.as_numpy() + NUMBER")


def adding(number: int) -> str:
    return ADDS.replace("NUMBER", str(number))


def watch(core: InferenceServer, *, every: bool = True) -> RepositoryWatch:
    return RepositoryWatch(core._repository, every=every)


def answer(core: InferenceServer, name: str = "a") -> bytes:
    return bytes(core.handle(m.Infer(name, (fp32("IN", [1]),))).outputs[0].data or b"")


def expected(value: float) -> bytes:
    return bytes(fp32("", [value]).data or b"")


def write(directory: Path, code: str) -> None:
    """Write a file so that its time differs, which some file systems count in seconds."""
    path = directory / "1" / "model.py"
    path.write_text(code)
    about = path.stat()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000_000))


def test_a_changed_file_reloads_its_model_only(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.python("a", adding(1))
    repository.python("b")
    core = serve()
    watching = watch(core)
    assert watching.check() == []
    write(directory, adding(2))
    assert watching.check() == ["a"]
    assert answer(core) == expected(3)
    assert watching.check() == []


def test_a_broken_file_leaves_the_old_version_until_it_is_mended(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    directory = repository.python("a", adding(1))
    core = serve()
    watching = watch(core)
    reasons = {"def (": "SyntaxError", "1 / 0": "division by zero", "": "TritonPythonModel"}
    for broken, reason in reasons.items():
        write(directory, broken)
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            assert watching.check() == ["a"]
        assert answer(core) == expected(2)
        messages = [record.getMessage() for record in caplog.records]
        assert "'a' is not reloaded, though 1/model.py changed" in messages[-1]
        assert len([each for each in messages if reason in each]) == 1, messages
    write(directory, adding(5))
    watching.check()
    assert answer(core) == expected(6)


def test_configurations_versions_and_helpers_count(
    repository: RepositoryMaker, serve: Serve
) -> None:
    directory = repository.python("a", "from .helper import N\n" + ADDS.replace("NUMBER", "N"))
    helper = directory / "1" / "helper.py"
    helper.write_text("N = 1\n")
    core = serve()
    watching = watch(core)
    helper.write_text("N = 100\n")
    assert watching.check() == ["a"]
    assert answer(core) == expected(101)
    (directory / "2").mkdir()
    (directory / "2" / "model.py").write_text(adding(7))
    assert watching.check() == ["a"]
    assert answer(core) == expected(8)
    config = directory / "config.pbtxt"
    config.write_text(config.read_text() + "max_batch_size: 4")
    assert watching.check() == ["a"]
    assert core.handle(m.GetModelConfig("a"))["max_batch_size"] == 4


def test_models_come_and_go(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.python("a")
    core = serve()
    watching = watch(core)
    repository.python("b", adding(1))
    assert watching.check() == ["b"]
    assert answer(core, "b") == expected(2)
    shutil.rmtree(directory)
    assert watching.check() == ["a"]
    with pytest.raises(NotFound):
        answer(core)


def test_files_of_editors_and_of_python_are_left_out(
    repository: RepositoryMaker, serve: Serve
) -> None:
    directory = repository.python("a")
    watching = watch(serve())
    (directory / "1" / "__pycache__").mkdir()
    for name in ("__pycache__/model.pyc", ".model.py.swp", "model.py~", "x.tmp"):
        (directory / "1" / name).write_text("")
    (directory / "1" / "again").symlink_to(directory)
    assert watching.check() == []


def test_loaded_models_only(repository: RepositoryMaker, serve: Serve) -> None:
    directories = {name: repository.python(name, adding(1)) for name in ("a", "b", "c")}
    broken = repository.python("broken", "1 / 0")
    core = serve(control_mode="explicit", load_models=["a", "b", "broken"], exit_on_error=False)
    core.handle(m.UnloadModel("b"))
    watching = watch(core, every=False)
    for directory in (*directories.values(), broken):
        write(directory, adding(2))
    repository.python("new")
    assert watching.check() == ["a", "broken"]
    assert answer(core) == answer(core, "broken") == expected(3)
    for name in ("b", "c", "new"):
        with pytest.raises(NotFound):
            answer(core, name)


def test_an_ensemble_follows_its_steps(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.python("a", adding(1))
    (repository.directory / "all" / "1").mkdir(parents=True)
    (repository.directory / "all" / "config.pbtxt").write_text(
        """
        platform: "ensemble"
        input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
        output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
        ensemble_scheduling { step {
          model_name: "a" model_version: -1
          input_map { key: "IN" value: "IN" } output_map { key: "OUT" value: "OUT" } } }
        """
    )
    core = serve()
    watching = watch(core)
    write(directory, adding(4))
    assert watching.check() == ["a"]
    assert answer(core, "all") == expected(5)


def test_the_server_watches(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.python("a", adding(1))
    core = serve(watch_interval=0.01)
    write(directory, adding(2))
    eventually(lambda: answer(core) == expected(3))
    core.close()
    assert not [each for each in threading.enumerate() if each.name == "tritonclient-watch"]
