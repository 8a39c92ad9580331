"""The Java client: its own tests and its examples, run by Maven and java."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import triton as real_triton
from tritonclient.server import Server

ROOT = Path(__file__).parents[1]
PATIENCE = 900  # seconds for one run of Maven: the first one fetches its plugins
MAVEN = ("mvn", "-B", "-ntp", "-q")
SUMS = [line for i in range(1, 17) for line in (f"{i} + {i} = {2 * i}", f"{i} - {i} = 0")]


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="module")
def tools() -> None:
    """Skips the tests, or fails them in continuous integration, where a tool is missing."""
    if missing := [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]:
        _unavailable(f"the Java client needs {', '.join(missing)}")


def _run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def _maven(arguments: Sequence[str], folder: Path) -> None:
    done = _run([*MAVEN, *arguments], folder)
    if done.returncode and "Could not transfer artifact" in done.stdout:
        _unavailable(f"Maven can't fetch what it needs: {done.stdout[-2000:]}")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> str:
    """The URL of a real Triton, or "" where there is none."""
    if real_triton.unavailable_reason() and not os.environ.get("CI"):
        return ""
    url: str = request.getfixturevalue("triton").http_url
    return url


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the library, built from a copy of `java/` and `proto/` alone."""
    root = tmp_path_factory.mktemp("java")
    for name in ("java", "proto"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("target"))
    _maven(["package", "-DskipTests", "-Ddir=programs"], root / "java")
    return root / "java"


def test_its_own_tests(embedded: Server, real: str) -> None:
    urls = [f"-Dtriton.url.embedded={embedded.http_url}", f"-Dtriton.url.real={real}"]
    _maven(["test", *urls], ROOT / "java")


def test_what_is_built(built: Path) -> None:
    (jar,) = built.glob("target/java-api-*.jar")
    assert jar.name.removeprefix("java-api-").removesuffix(".jar").count(".") == 2
    assert [path.name.split("-2")[0] for path in built.glob("target/lib/*")] == ["jackson-core"]
    assert sorted(path.name for path in built.glob("programs/*")) == [
        "MemoryGrowthTest.jar",
        "SimpleInferClient.jar",
        "SimpleInferPerf.jar",
    ]


@pytest.mark.parametrize("kind", ["embedded", "real"])
def test_classic_programs(
    built: Path, kind: str, embedded: Server, request: pytest.FixtureRequest
) -> None:
    url = embedded.http_url if kind == "embedded" else request.getfixturevalue("real")
    if not url:
        pytest.skip("no real Triton")
    address = url.removeprefix("http://")

    def run(name: str, *arguments: str) -> list[str]:
        done = _run(["java", "-jar", f"programs/{name}.jar", address, *arguments], built)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    assert run("SimpleInferClient") == SUMS
    assert run("MemoryGrowthTest") == []
    first, *lines = run("SimpleInferPerf", "200")
    assert first == "Testing simple with 8 threads."
    assert sum("[GAP] Requests: 100, avg latency(ms): " in line for line in lines) == 16
    assert sum("[TOTAL] avg latency(ms): " in line for line in lines) == 8
    assert lines[-4] == lines[-1] == "=" * len(lines[-1])
    assert lines[-3].startswith("[ALL]         QPS: ")
    assert lines[-2].startswith("[ALL] Latency(ms): ")
