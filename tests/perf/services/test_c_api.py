"""Triton in process, through its C API."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.conftest import MODELS
from tests.perf import running
from tests.support.servers import triton as real_triton
from tests.support.servers.triton_installation import ensure_installed
from tests.support.servers.twins import build_repository


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A folder as --triton-server-directory wants it, and the environment that it needs."""
    if reason := real_triton.unavailable_reason():
        pytest.skip(f"no real Triton: {reason}")
    installation = ensure_installed()
    folder = tmp_path_factory.mktemp("c_api")
    (library,) = (installation.root / "wheel").rglob("libtritonserver*.so*")
    (folder / "lib").mkdir()
    (folder / "lib" / "libtritonserver.so").symlink_to(library)
    (folder / "backends").symlink_to(installation.home / "backends")
    build_repository(MODELS, folder / "all")
    for name in ("simple", "simple_sequence", "repeat_int32", "failing"):
        shutil.copytree(folder / "all" / name, folder / "models" / name)
    environment = dict(os.environ)
    environment["LD_LIBRARY_PATH"] = str(library.parent)
    environment["PATH"] = f"{installation.environment_bin}:{environment['PATH']}"
    return folder, environment


def run(directory, *arguments):
    folder, environment = directory
    return running.run(
        "--service-kind", "triton_c_api", "--triton-server-directory", str(folder),
        "--model-repository", str(folder / "models"), *arguments,
        timeout=300, environment=environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    "load", [(), ("--concurrency-range", "4", "-b", "2"), ("--request-rate-range", "30")]
)
def test_outputs_are_validated(directory, tmp_path, load):
    a, b = list(range(16)), [3] * 16
    expected = {"OUTPUT0": [x + 3 for x in a], "OUTPUT1": [x - 3 for x in a]}
    document = {"data": [{"INPUT0": a, "INPUT1": b}], "validation_data": [expected]}
    path, export = tmp_path / "data.json", tmp_path / "e.json"
    path.write_text(json.dumps(document))
    report = run(directory, "-m", "simple", "--input-data", str(path), "--request-count", "50",
                 *load, "--profile-export-file", str(export))  # fmt: skip
    assert report.code == 0, report.out + report.err
    assert "  Service Kind: TRITON_C_API\n" in report.out
    assert report.number("Request count") == report.number("Successful request count") == 50
    requests = json.loads(export.read_text())["experiments"][0]["requests"]
    assert requests[0]["response_outputs"][0]["OUTPUT0"][:16] == expected["OUTPUT0"]
    document["validation_data"][0]["OUTPUT0"][5] += 1
    path.write_text(json.dumps(document))
    report = run(directory, "-m", "simple", "--input-data", str(path), "--request-count", "50",
                 *load)  # fmt: skip
    assert report.code == 4
    assert "wrong output: 50" in report.out


def test_sequences_and_decoupled_models(directory, tmp_path):
    report = run(directory, "-m", "simple_sequence", "--request-count", "60",
                 "--concurrency-range", "3", "--sequence-length", "5")  # fmt: skip
    assert report.code == 0, report.out + report.err
    assert report.number("Sequence count") >= 8
    path = tmp_path / "data.json"
    step = {"IN": [4, 2, 0], "DELAY": [1, 1, 1], "WAIT": [0]}
    path.write_text(json.dumps({"data": [step]}))
    report = run(directory, "-m", "repeat_int32", "--request-count", "10", "--input-data",
                 str(path), "--streaming", "--async")  # fmt: skip
    assert report.code == 0, report.out + report.err
    ratio = report.number("Response Throughput") / report.number("    Throughput")
    assert ratio == pytest.approx(3, rel=0.01)


def test_errors(directory, tmp_path):
    report = run(directory, "-m", "failing", "--request-count", "5")
    assert report.code == 4
    assert "server error: 5" in report.out
    report = run(directory, "-m", "nothing")
    assert report.code == 99
    assert "nothing" in report.err
    report = run(directory, "-m", "simple", "--triton-server-directory", str(tmp_path))
    assert report.code == 99
    assert "libtritonserver.so" in report.err
