"""Which models and versions are served; loading and unloading."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import ECHO, FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import Internal, InvalidArgument, NotFound, ServerError, Unavailable
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

TELLS_VERSION = """
import numpy as np, triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.version = np.float32([args["model_version"]])
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", self.version)])]
"""


def versions_served(core: InferenceServer, name: str = "a") -> tuple[str, ...]:
    return core.handle(m.GetModelMetadata(name)).versions


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", ("10",)),
        ("version_policy { latest { num_versions: 2 } }", ("9", "10")),
        ("version_policy { all { } }", ("0", "1", "9", "10")),
        ("version_policy { specific { versions: [ 1, 9, 77 ] } }", ("1", "9")),
    ],
)
def test_version_policy(
    repository: RepositoryMaker, serve: Serve, policy: str, expected: tuple[str, ...]
) -> None:
    for version in (0, 1, 9, 10):
        repository.python("a", TELLS_VERSION, FP32_CONFIG + policy, version)
    for name in ("00", "007", "x1", ".2"):
        (repository.directory / "a" / name).mkdir()
    core = serve()
    assert versions_served(core) == expected
    answer = core.handle(m.Infer("a", (fp32("IN", [0]),)))
    assert answer.model_version == expected[-1]
    for version in expected:
        answer = core.handle(m.Infer("a", (fp32("IN", [0]),), version=version))
        assert answer.outputs[0].data == fp32("", [int(version)]).data


def test_unknown_models_and_versions(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    core = serve()
    for request in (m.GetModelMetadata, m.GetModelConfig, lambda *a: m.Infer(a[0], (), *a[1:])):
        with pytest.raises(NotFound, match="Request for unknown model: 'nope' is not found"):
            core.handle(request("nope"))
        with pytest.raises(NotFound, match="unknown model: 'a' version 2 is not found"):
            core.handle(request("a", "2"))
    with pytest.raises(InvalidArgument, match="requested model 'nope' is not available"):
        core.handle(m.GetStatistics("nope"))
    with pytest.raises(InvalidArgument, match="version is not available for model 'a'"):
        core.handle(m.GetStatistics("a", "2"))
    assert not core.handle(m.IsModelReady("nope"))
    assert not core.handle(m.IsModelReady("a", "2"))
    assert core.handle(m.IsModelReady("a", "1"))


def test_explicit_control(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    repository.python("b")
    core = serve(control_mode="explicit", load_models=["a"])
    ready = m.ModelIndex("a", "1", "READY")
    assert core.handle(m.GetRepositoryIndex()) == (ready, m.ModelIndex("b"))
    assert core.handle(m.GetRepositoryIndex(ready=True)) == (ready,)
    core.handle(m.LoadModel("b"))
    core.handle(m.UnloadModel("a"))
    assert core.handle(m.GetRepositoryIndex()) == (
        m.ModelIndex("a", "1", "UNAVAILABLE", "unloaded"),
        m.ModelIndex("b", "1", "READY"),
    )
    with pytest.raises(NotFound, match="unknown model: 'a' has no available versions"):
        core.handle(m.GetModelMetadata("a"))
    for request in (m.GetModelMetadata("a", "1"), m.GetModelConfig("a", "1")):
        with pytest.raises(Unavailable, match="model: 'a' version 1 is not at ready state"):
            core.handle(request)
    with pytest.raises(NotFound, match="unknown model: 'a' version 2 is not found"):
        core.handle(m.GetModelMetadata("a", "2"))
    assert not core.handle(m.IsModelReady("a", "1"))
    assert core.handle(m.IsServerReady())
    core.handle(m.UnloadModel("a"))
    core.handle(m.UnloadModel("nope"))
    core.handle(m.LoadModel("a"))
    assert core.handle(m.IsModelReady("a"))


def test_no_control_refuses_to_load(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    core = serve()
    for request in (m.LoadModel("a"), m.UnloadModel("a")):
        with pytest.raises(Unavailable, match="explicit model load / unload is not allowed"):
            core.handle(request)
    with pytest.raises(ValueError, match="'explicit' only"):
        serve(load_models=["a"])


def test_reload_takes_up_new_files_and_forgets_statistics(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("a", TELLS_VERSION)
    core = serve(control_mode="explicit", load_models=["*"])
    core.handle(m.Infer("a", (fp32("IN", [0]),)))
    repository.python("a", TELLS_VERSION, version=2)
    core.handle(m.LoadModel("a"))
    assert versions_served(core) == ("2",)
    assert core.handle(m.GetStatistics("a"))[0].inference_count == 0
    assert core.handle(m.GetRepositoryIndex())[0] == m.ModelIndex(
        "a", "1", "UNAVAILABLE", "unloaded"
    )


@pytest.mark.parametrize(
    ("code", "config", "error", "reason"),
    [
        (ECHO, 'name: "b"', Internal, None),
        (ECHO, "nonsense", Internal, None),
        (ECHO, 'backend: "x"', InvalidArgument, "unable to find backend library for backend 'x'"),
        ("1/0", FP32_CONFIG, InvalidArgument, "Internal: ZeroDivisionError: division by zero"),
        ("", FP32_CONFIG, InvalidArgument, "module '1.model' has no attribute 'TritonPythonModel'"),
        (ECHO, FP32_CONFIG + "version_policy { specific { } }", InvalidArgument, ""),
    ],
)
def test_loads_that_fail(
    repository: RepositoryMaker,
    serve: Serve,
    code: str,
    config: str,
    error: type[ServerError],
    reason: str | None,
) -> None:
    repository.python("a", code, config)
    core = serve(control_mode="explicit")
    with pytest.raises(error, match=r"failed to load 'a'|load failed for model 'a'") as caught:
        core.handle(m.LoadModel("a"))
    rows = core.handle(m.GetRepositoryIndex())
    if not reason:
        # As in Triton, a model without versions is not listed.
        assert rows == (() if reason == "" else (m.ModelIndex("a"),))
    else:
        (row,) = rows
        assert row.state == "UNAVAILABLE"
        assert reason in row.reason
        assert reason in str(caught.value)
    assert not core.handle(m.IsServerReady())
    with pytest.raises(Internal, match="failed to load all models"):
        serve()
    lenient = serve(exit_on_error=False, strict_readiness=False)
    assert lenient.handle(m.IsServerReady())


def test_failed_reload_leaves_the_old_model(repository: RepositoryMaker, serve: Serve) -> None:
    path = repository.python("a") / "1" / "model.py"
    core = serve(control_mode="explicit", load_models=["a"])
    path.write_text("1/0")
    with pytest.raises(InvalidArgument):
        core.handle(m.LoadModel("a"))
    assert core.handle(m.Infer("a", (fp32("IN", [1]),))).outputs
    assert core.handle(m.IsServerReady())


def test_a_version_that_fails_takes_the_others_along(
    repository: RepositoryMaker, serve: Serve
) -> None:
    config = FP32_CONFIG + "version_policy { all { } }"
    repository.python("a", config=config)
    repository.python("a", "1/0", config, version=2)
    core = serve(control_mode="explicit")
    with pytest.raises(InvalidArgument, match="version 2 is at UNAVAILABLE state"):
        core.handle(m.LoadModel("a"))
    first, second = core.handle(m.GetRepositoryIndex())
    assert (first.state, first.reason) == ("UNAVAILABLE", "unloaded")
    assert "ZeroDivisionError" in second.reason
    with pytest.raises(NotFound, match="has no available versions"):
        core.handle(m.Infer("a", (fp32("IN", [1]),)))


#: Set by, and awaited by, the model of the next test, which runs in this process.
EXECUTING, RELEASED = threading.Event(), threading.Event()


def test_a_model_in_execution_keeps_no_other_waiting(
    repository: RepositoryMaker, serve: Serve
) -> None:
    code = ECHO.replace(
        "        return", "        t.EXECUTING.set(); t.RELEASED.wait(30)\n        return"
    )
    repository.python("a", f"import {__name__} as t\n{code}")
    repository.python("b")
    # The model waits for an event of the test's process.
    core = serve(control_mode="explicit", load_models=["a"], in_process=True)
    answers: list[m.InferResponse] = []
    infer = threading.Thread(
        target=lambda: answers.append(core.handle(m.Infer("a", (fp32("IN", [1]),))))
    )
    unload = threading.Thread(target=core.handle, args=(m.UnloadModel("a"),))
    infer.start()
    assert EXECUTING.wait(30)
    unload.start()
    core.handle(m.LoadModel("b"))
    assert core.handle(m.IsModelReady("b"))
    assert not answers
    RELEASED.set()
    infer.join()
    unload.join()
    assert len(answers) == 1
    assert not core.handle(m.IsModelReady("a"))


def test_closed_server_refuses(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    core = serve(control_mode="explicit", load_models=["a"])
    core.close()
    for request in (m.LoadModel("a"), m.GetRepositoryIndex(), m.IsServerLive()):
        with pytest.raises(Unavailable, match="the server is closed"):
            core.handle(request)


def test_configuration_that_can_not_be_read(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    (repository.python("b", config=None) / "config.pbtxt").mkdir()
    core = serve(exit_on_error=False)
    assert core.handle(m.IsModelReady("a"))
    assert not core.handle(m.IsServerReady())


def test_missing_label_file_is_found_before_the_model_starts(
    repository: RepositoryMaker, serve: Serve
) -> None:
    code = "class TritonPythonModel:\n    def initialize(self, args): open(__file__ + '.up', 'w')"
    config = FP32_CONFIG.replace('"OUT"', '"OUT" label_filename: "labels.txt"')
    directory = repository.python("a", code, config)
    with pytest.raises(Internal, match=r"failed to open text file for read .*labels\.txt: No such"):
        serve()
    assert not list(directory.rglob("*.up"))


def test_configuration_override(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a")
    core = serve(control_mode="explicit", load_models=["a"])
    tensor = {"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]}
    config = {"backend": "python", "max_batch_size": 3, "input": [tensor]}
    core.handle(m.LoadModel("a", config=json.dumps(config)))
    assert core.handle(m.GetModelConfig("a"))["max_batch_size"] == 3
    with pytest.raises(Internal, match="failed to poll from model repository"):
        core.handle(m.LoadModel("a", config="{"))
    assert core.handle(m.GetModelConfig("a"))["max_batch_size"] == 3


def test_files_override(repository: RepositoryMaker, serve: Serve) -> None:
    core = serve(control_mode="explicit")
    files = {"7/model.py": TELLS_VERSION.encode()}
    with pytest.raises(Internal, match="failed to poll"):
        core.handle(m.LoadModel("new", files=files))
    tensors = {
        kind: [{"name": name, "data_type": "TYPE_FP32", "dims": [-1]}]
        for kind, name in (("input", "IN"), ("output", "OUT"))
    }
    config = json.dumps({"backend": "python", **tensors})
    core.handle(m.LoadModel("new", config=config, files=files))
    assert core.handle(m.Infer("new", (fp32("IN", [0]),))).model_version == "7"
    core.handle(m.UnloadModel("new"))
    assert core.handle(m.GetRepositoryIndex()) == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../1/model.py": b""}, "outside of the model's directory"),
        ({"/1/model.py": b""}, "outside of the model's directory"),
        ({"file:../model.py": b""}, "outside of the model's directory"),
        ({"1/..": b""}, "outside of the model's directory"),
        ({"1/\0": b""}, "null"),
        ({"1": b"", "1/model.py": b""}, "failed to poll from model repository"),
        ({"A" * 256: b""}, "failed to poll from model repository"),
    ],
)
def test_files_that_can_not_be_written_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    files: dict[str, bytes],
    message: str,
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    core = serve(control_mode="explicit")
    with pytest.raises((InvalidArgument, Internal), match=message):
        core.handle(m.LoadModel("new", config="{}", files=files))
    assert not list(folder.iterdir())


def test_names_can_not_leave_the_repository(repository: RepositoryMaker, serve: Serve) -> None:
    RepositoryMaker(repository.directory.parent / "other").python("a")
    core = serve(control_mode="explicit")
    (repository.directory / ".hidden" / "1").mkdir(parents=True)
    for name in ("../other/a", "..", ".", "", ".hidden", "a\0", "a" * 300):
        with pytest.raises(Internal, match="failed to poll"):
            core.handle(m.LoadModel(name))


def test_several_repositories(repository: RepositoryMaker) -> None:
    repository.python("a", TELLS_VERSION)
    other = RepositoryMaker(repository.directory.parent / "other")
    other.python("a", TELLS_VERSION, version=2)
    other.python("b")
    core = InferenceServer([repository.directory, other.directory])
    assert [row.name for row in core.handle(m.GetRepositoryIndex())] == ["a", "b"]
    assert versions_served(core) == ("1",)
    core.close()
    with pytest.raises(ValueError, match="no such directory"):
        InferenceServer([repository.directory / "missing"])


def test_a_given_configuration_stays_until_the_model_is_unloaded(
    repository: RepositoryMaker, serve: Callable[..., InferenceServer]
) -> None:
    """As in Triton: a plain load does not bring the file's configuration back."""
    repository.python("it")
    core = serve(control_mode="explicit")
    given = core_config(core, m.LoadModel("it"))
    core_config(core, m.LoadModel("it", config=json.dumps({**given, "max_batch_size": 3})))
    assert core_config(core, m.LoadModel("it"))["max_batch_size"] == 3
    core.handle(m.UnloadModel("it"))
    assert core_config(core, m.LoadModel("it"))["max_batch_size"] == 0


def core_config(core: InferenceServer, load: m.LoadModel) -> dict[str, Any]:
    """Return the configuration of a model after a load."""
    core.handle(load)
    return core.handle(m.GetModelConfig(load.model))


@pytest.mark.parametrize("text", ["1", "01", "+1", " 1", "1 ", "1.5", "1x"])
def test_versions_are_read_as_triton_reads_them(
    repository: RepositoryMaker, serve: Serve, text: str
) -> None:
    repository.python("a")
    core = serve()
    answer = core.handle(m.Infer("a", (fp32("IN", [0]),), version=text))
    assert answer.model_version == "1"
    assert core.handle(m.GetModelMetadata("a", text)).versions == ("1",)
    assert core.handle(m.IsModelReady("a", text))
    assert [each.version for each in core.handle(m.GetStatistics("a", text))] == ["1"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x", InvalidArgument, "failed to get model version from specified version string 'x'"),
        ("-1", InvalidArgument, "invalid model version specified '-1' , version should be"),
        ("9223372036854775808", InvalidArgument, "details: stol"),
        ("9" * 100_000, InvalidArgument, "details: stol"),
        ("0", NotFound, "'a' version 0 is not found"),
        ("007", NotFound, "'a' version 7 is not found"),
        ("9223372036854775807", NotFound, "version 9223372036854775807 is not found"),
    ],
)
def test_versions_that_are_not_there(
    repository: RepositoryMaker, serve: Serve, text: str, error: type[Exception], message: str
) -> None:
    repository.python("a")
    core = serve()
    for request in (m.Infer("a", (fp32("IN", [0]),), version=text), m.GetModelConfig("a", text)):
        with pytest.raises(error, match=message):
            core.handle(request)
