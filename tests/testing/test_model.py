"""`load_model`: models that are called without a server."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import MODELS, RepositoryMaker
from tritonclient.errors import InferenceServerException, ServerError
from tritonclient.testing import load_model

CALLING = """
import os, threading
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.factor = float(args["model_version"])

    def execute(self, requests):
        assert os.getpid() == PID
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "IN")
            call = pb_utils.InferenceRequest(
                model_name="inner", requested_output_names=["OUT"], inputs=[tensor]
            )
            inner = call.exec()
            if inner.has_error():
                raise pb_utils.TritonModelException(inner.error().message())
            value = inner.output_tensors()[0].as_numpy() * self.factor
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", value)]))
        return responses

    def finalize(self):
        open(FILE, "w").close()
"""
THREE = np.array([1, 2, 3], np.float32)


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryMaker:
    return RepositoryMaker(tmp_path / "repository")


def test_a_model_is_called_with_arrays(repository: RepositoryMaker, tmp_path: Path) -> None:
    finalized = tmp_path / "finalized"
    code = CALLING.replace("PID", str(os.getpid())).replace("FILE", repr(str(finalized)))
    repository.python("inner")
    directory = repository.python("outer", code, version=3)
    with load_model(directory, with_models=["inner"]) as model:
        assert model(THREE)["OUT"].tolist() == [3, 6, 9]
        assert model(IN=[1, 2])["OUT"].tolist() == [3, 6]
        result = model.infer({"IN": THREE}, outputs=["OUT"], id="seven")
        assert result.id == "seven"
        assert (model.name, result.model_version, model.config["backend"]) == (
            "outer",
            "3",
            "python",
        )
        import triton_python_backend_utils as pb_utils

        assert pb_utils.Tensor("A", THREE).shape() == [3]
        with pytest.raises(ValueError, match="has no input 'X'"):
            model(X=THREE)
    assert finalized.exists()
    model.close()
    assert not [each for each in threading.enumerate() if each.name == "tritonclient-outer"]


def test_models_that_it_calls_are_named(repository: RepositoryMaker) -> None:
    code = CALLING.replace("assert os.getpid() == PID", "").replace("FILE", repr("/dev/null"))
    with load_model(repository.python("outer", code)) as model:
        with pytest.raises(InferenceServerException, match="Model 'inner' is not ready"):
            model(THREE)


def test_a_debugger_stops_in_its_code(repository: RepositoryMaker) -> None:
    """As a debugger does: by a function that the threads of this process call for each line."""
    directory = repository.python("it")
    seen: list[str] = []

    def trace(frame, event, argument):  # type: ignore[no-untyped-def]
        if frame.f_code.co_filename == str(directory / "1" / "model.py"):
            seen.append(frame.f_code.co_name)
        return trace

    threading.settrace(trace)
    try:
        with load_model(directory) as model:
            model(THREE)
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    assert "execute" in seen


@pytest.mark.parametrize("inside", ["", "1", "1/model.py"])
def test_each_path_of_a_model(repository: RepositoryMaker, inside: str) -> None:
    directory = repository.python("it")
    with load_model(directory / inside) as model:
        assert model.name == "it"
        assert model(THREE)["OUT"].tolist() == [1, 2, 3]


def test_a_version(repository: RepositoryMaker) -> None:
    directory = repository.python("it")
    (directory / "config.pbtxt").write_text(
        (directory / "config.pbtxt").read_text() + "version_policy { all {} }"
    )
    (directory / "2").symlink_to(directory / "1")
    for path, version, expected in ((directory, "", "2"), (directory, "1", "1")):
        with load_model(path, version=version) as model:
            assert model(THREE).model_version == expected
    with load_model(directory / "1") as model:
        assert model(THREE).model_version == "1"


def test_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "halve.py").write_text(
        """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(0)
        return config

    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("OUT", r.inputs()[0].as_numpy() / 2)])
            for r in requests
        ]
"""
    )
    with load_model(tmp_path / "halve.py") as model:
        assert model(THREE)["OUT"].tolist() == [0.5, 1, 1.5]


def test_a_decoupled_model_streams() -> None:
    with load_model(MODELS / "repeat_int32") as model:
        inputs = {
            "IN": np.array([4, 2, 0], np.int32),
            "DELAY": np.zeros(3, np.uint32),
            "WAIT": np.zeros(1, np.uint32),
        }
        assert [each["OUT"].item() for each in model.stream(inputs)] == [4, 2, 0]
        with pytest.raises(ValueError, match=r"input 'WAIT'.*is missing"):
            next(model.stream({"IN": inputs["IN"], "DELAY": inputs["DELAY"]}))


def test_what_cannot_be_loaded(repository: RepositoryMaker, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist; expected the directory or the file"):
        load_model(tmp_path / "nothing")
    with pytest.raises(ServerError, match="ZeroDivisionError"):
        load_model(repository.python("broken", "1 / 0"))
    with pytest.raises(ValueError, match="expected a file that ends with"):
        (tmp_path / "notes.txt").write_text("")
        load_model(tmp_path / "notes.txt")
    with pytest.raises(ServerError, match="has no version directory"):
        (repository.directory / "empty").mkdir()
        load_model(repository.directory / "empty")
    repository.python("fine")
    with pytest.raises(InferenceServerException, match="'fine'"):
        load_model(repository.directory / "fine", version="7")
    assert not [each for each in threading.enumerate() if each.name == "tritonclient-fine"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (((lambda X: X),), TypeError, "a function is served by FaultServer.models="),
        ((None,), TypeError, "path is None, expected the directory or the file of a model"),
        (("",), TypeError, "path is '', expected the directory"),
        ((MODELS,), ValueError, "is a repository, expected one of its models, such as '.*models/"),
        ((MODELS / "simple" / "config.pbtxt",), ValueError, "give its directory: '.*simple'"),
    ],
)
def test_what_is_no_path_of_a_model(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        load_model(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"version": 1}, TypeError, "version is 1, expected str"),
        ({"with_models": "digits"}, TypeError, "is 'digits', expected a list of names"),
        ({"with_models": ["digitz"]}, ValueError, "has 'digitz', which .* did you mean 'digits'"),
        ({"with_model": []}, TypeError, "did you mean 'with_models'"),
    ],
)
def test_wrong_arguments(options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        load_model(MODELS / "simple", **options)


def test_a_closed_model() -> None:
    with load_model(MODELS / "simple") as model:
        with pytest.raises(TypeError, match=r"outputs is 'OUTPUT0', expected a sequence"):
            model.infer({}, outputs="OUTPUT0")
        for name, words in (("predict", "here it is infer"), ("strem", "did you mean 'stream'")):
            with pytest.raises(AttributeError, match=f"'LocalModel' .* '{name}'; {words}"):
                getattr(model, name)
        with pytest.raises(TypeError, match="can't be pickled or copied, as it runs in this"):
            pickle.dumps(model)
    for call in (lambda: model(THREE), lambda: model.infer({}), lambda: list(model.stream({}))):
        with pytest.raises(RuntimeError, match="the model 'simple' is closed; load it again"):
            call()
