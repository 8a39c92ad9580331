"""`tritonclient serve` with single models, the demo models, and flags without effect."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.server.conftest import MODELS, RepositoryMaker
from tests.server.test_serve import running, without_progress
from tritonclient.cli import main, serve, serve_models

DIGITS = MODELS / "digits" / "1" / "model.onnx"


def test_a_file(tmp_path: Path, repository: RepositoryMaker) -> None:
    file = shutil.copy(DIGITS, tmp_path / "net.onnx")
    repository.python("a")
    given = (str(file), f"other={DIGITS}", str(repository.directory))
    with running(*given, "--id=me", "--rate-limit", "off") as (process, _, printed):
        rows = re.findall(r"^\| (\w+) +\| 1 +\| READY", printed, re.MULTILINE)
        assert rows == ["a", "net", "other"]
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert without_progress(errors) == "warning: these have no effect: --id, --rate-limit\n"


def test_the_demo_models() -> None:
    with running("--demo") as (_, _, printed):
        assert re.search(r"\| simple +\| 1 +\| READY", printed)


def test_only_this_machine_can_connect_by_default() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    arguments = parser.parse_args(["model.onnx"])
    assert arguments.http_address == arguments.grpc_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a/net.onnx", "b/net.onnx"], "a/net.onnx and b/net.onnx are both named 'net'"),
        (["nope.onnx"], "there is no file '.*nope.onnx'"),
    ],
)
def test_what_cannot_be_served(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *given, "--http-port=0", "--grpc-port=0"]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_mistyped_pattern_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--demo", "--http-header-forward-pattern=("])
    assert ended.value.code == 2
    assert "'(' is not a regular expression" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("net.onnx", "net"),
        ("iris/1/model.onnx", "iris"),
        ("iris/model.onnx", "model"),
        ("/1/model.onnx", "model"),
    ],
)
def test_names_of_files(path: str, name: str) -> None:
    assert serve_models.name_of(Path(path)) == name


@pytest.mark.slow
def test_the_wheel_has_the_demo_models(tmp_path: Path) -> None:
    root = MODELS.parent
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*pip, str(root)], check=True, timeout=600)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "tritonclient/server/demo_models/simple/config.pbtxt" in names
    assert not [name for name in names if "__pycache__" in name]


def test_an_empty_argument() -> None:
    """It is not the current directory."""
    with pytest.raises(ValueError, match="'' is not a model; expected the path of a file"):
        serve_models.split([""])
