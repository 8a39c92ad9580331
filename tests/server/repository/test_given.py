"""Models that are given one by one, and what is said about directories that are no repository."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tests.server.conftest import ECHO, FP32_CONFIG, MODELS, RepositoryMaker
from tritonclient.server import Server

DIGITS = MODELS / "digits" / "1" / "model.onnx"


def test_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("NUMBER = 7\n")
    (tmp_path / "net.py").write_text("import helper\nassert helper.NUMBER == 7\n" + ECHO)
    identity = str(MODELS / "identity_fp32")
    models = {"own": DIGITS, "identity_fp32": identity, "net": tmp_path / "net.py"}
    with Server(models=models) as server, tc.Client(server.http_url) as client:
        assert [each.status for each in server.models()] == ["READY"] * 3
        spec = client.model("own").spec
        (name,) = spec.inputs
        shape = [1 if size == -1 else size for size in spec.inputs[name].shape]
        assert client.infer("own", {name: np.zeros(shape, np.float32)})
    assert DIGITS.exists()
    assert (tmp_path / "helper.py").exists()


def test_the_temporary_repository_goes_with_the_server() -> None:
    before = set(Path(tempfile.gettempdir()).glob("tritonclient-models-*"))
    server = Server(models={"a": lambda X: {"Y": X}})
    for _ in range(2):  # a server may be started again
        with server:
            made = set(Path(tempfile.gettempdir()).glob("tritonclient-models-*")) - before
            assert any((each / "a" / "config.pbtxt").exists() for each in made)
            own = server._given.directory  # type: ignore[union-attr]
        assert not own.exists()


def test_they_come_beside_a_repository(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory, models={"b": DIGITS}) as server:
        assert [each.name for each in server.models()] == ["a", "b"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", 7, "a\n", "a\0", "a" * 256])
def test_names_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises((TypeError, ValueError), match="name of a model"):
        Server(models={name: DIGITS}).start()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        Server(models={"a": tmp_path / "model.onnx"}).start()
    (tmp_path / "model.pt").touch()
    with pytest.raises(ValueError, match=r"a file that ends with \.onnx or \.py"):
        Server(models={"a": tmp_path / "model.pt"}).start()
    with pytest.raises(ValueError, match="has no version directory; expected"):
        Server(models={"a": tmp_path}).start()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{}/modle.onnx", "there is no file '.*modle.onnx'; did you mean 'model.onnx'"),
        ("{}/model", "did you mean 'model.onnx'"),
        ("{}/none/model.onnx", "there is no directory '.*none' either"),
        ("s3://bucket/model.onnx", "is a URL, and this server reads files of this machine"),
    ],
)
def test_a_file_that_is_not_there(tmp_path: Path, path: str, words: str) -> None:
    shutil.copy(DIGITS, tmp_path)
    with pytest.raises(ValueError, match=words):
        Server(models={"a": path.format(tmp_path)}).start()


def test_what_to_do_about_a_failure(tmp_path: Path, repository: RepositoryMaker) -> None:
    (tmp_path / "f.py").write_text("def f(X):\n    return {'Y': X}\n")
    with pytest.raises(tc.ServerError, match="a function is served from Python: Server"):
        Server(models={"f": tmp_path / "f.py"}).start()
    repository.python("first")
    explicit: Any = {"model_control_mode": "explicit"}
    with pytest.raises(tc.ServerError, match="no model 'frist'; did you mean 'first'"):
        Server(repository.directory, load_models=["frist"], **explicit).start()
    with pytest.raises(tc.ServerError, match="no model 'x'; its models are first"):
        Server(repository.directory, load_models=["x"], **explicit).start()
    with pytest.raises(
        ValueError, match="for the control mode 'explicit' only: --model-control-mode"
    ):
        Server(repository.directory, load_models=["first"]).start()
    with pytest.raises(ValueError, match="python is 'nothere', expected the path of an interp"):
        Server(repository.directory, python="nothere")


def test_nothing_to_serve_is_an_error() -> None:
    with pytest.raises(TypeError, match="give model_repository or models"):
        Server()
    with pytest.raises(ValueError, match="nothing to serve: models is empty"):
        Server(models={}).start()
    with pytest.raises(ValueError, match="model 'a' is '', expected the path"):
        Server(models={"a": ""}).start()
    with pytest.raises(TypeError, match="models is list, expected a mapping"):
        Server(models=[DIGITS])  # type: ignore[arg-type]


def test_models_given_as_a_repository() -> None:
    function: Any = lambda X: {"Y": X}  # noqa: E731
    for given, kind in (
        (function, "function"),
        ({"a": function}, "dict"),
        ([function], "function"),
    ):
        with pytest.raises(TypeError, match=f"model_repository is {kind}, .* given as models="):
            Server(given)


def test_objects_of_libraries() -> None:
    class Classifier:
        def predict(self, X: Any) -> Any:
            return X

    classifier: Any = Classifier()
    with pytest.raises(TypeError, match=r"lambda X: \{\"Y\": model\.predict\(X\)\}"):
        Server(models={"a": classifier}).start()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("port", "here it is http_port or grpc_port of a Server"),
        ("modles", "did you mean 'models'"),
        ("repository", "here it is model_repository"),
    ],
)
def test_misspelt_arguments(name: str, hint: str) -> None:
    unknown: Any = {name: 1}
    with pytest.raises(TypeError, match=f"'{name}' is not an argument; {hint}"):
        Server("models", **unknown)


@pytest.mark.parametrize(
    ("layout", "served", "message"),
    [
        ({}, "", "there are no models in .*; a model repository has a directory per model"),
        (
            {"model.onnx": DIGITS},
            "model.onnx",
            r"is a file .* `tritonclient serve model\.onnx`",
        ),
        ({"net.onnx": DIGITS}, "", r"holds 'net\.onnx' itself .* move it to '.*net/1/model\.onnx'"),
        (
            {"r/iris/1/model.onnx": DIGITS},
            "r/iris",
            "holds the version .*parent: '.*/r'",
        ),
        ({"r/iris/1/model.onnx": DIGITS}, "r/iris/1", "is a version of a model .* give '.*/r'"),
        ({"r/iris/1/model.onnx": DIGITS}, "", "'r', .*'.*/r' holds models, so it is a repository"),
        ({"iris/model.onnx": DIGITS}, "", r"backend for .*; .* move it to '.*iris/1/model\.onnx'"),
        ({"iris/1/net.onnx": DIGITS}, "", r"iris/1' holds 'net\.onnx', expected model\.onnx"),
        ({"iris/readme.txt": None}, "", "has no version directory; expected '.*iris/1/model.onnx'"),
        (
            {"iris/1/model.onnx": DIGITS, "iris/config.pbtxt": "max_batchsize: 4"},
            "",
            'failed to load .*has no field named "max_batchsize"',
        ),
        ({"nothing": None}, "elsewhere", "no such directory"),
    ],
)
def test_the_exception_says_what_is_wrong(
    layout: dict[str, Path | str | None], served: str, message: str, tmp_path: Path
) -> None:
    for name, content in layout.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copy(content, path)
        else:
            path.write_text(content or "")
    with pytest.raises((ValueError, tc.ServerError), match=message):
        Server(tmp_path / served).start()


def test_clients_get_the_text_of_triton(tmp_path: Path) -> None:
    (tmp_path / "iris").mkdir()
    shutil.copy(DIGITS, tmp_path / "iris" / "model.onnx")
    server = Server(tmp_path, model_control_mode="explicit")
    with server, tc.Client(server.http_url) as client:
        with pytest.raises(tc.ServerError) as caught:
            client.load_model("iris")
    assert caught.value.message() == "failed to load 'iris', failed to poll from model repository"


def test_a_config_beside_the_repository_is_found(repository: RepositoryMaker) -> None:
    repository.python("a", config=FP32_CONFIG)
    with Server(models={"a": repository.directory / "a"}) as server:
        assert [each.status for each in server.models()] == ["READY"]
