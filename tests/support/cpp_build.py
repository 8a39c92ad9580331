"""Build the C++ client once for all tests, where its compiler and libraries are."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "tests"
INSTALLED = ROOT / "build" / "tests-installed"
PATIENCE = 3000  # seconds; on a busy machine the first build takes many minutes

COMMANDS = ("cmake", "c++", "pkg-config", "protoc", "grpc_cpp_plugin")
HEADERS = {
    "curl/curl.h": "libcurl4-openssl-dev",
    "zlib.h": "zlib1g-dev",
    "grpcpp/grpcpp.h": "libgrpc++-dev",
    "google/protobuf/message.h": "libprotobuf-dev",
    "rapidjson/document.h": "rapidjson-dev",
    "gtest/gtest.h": "libgtest-dev",
    "stb/stb_image_resize.h": "libstb-dev",
}


@functools.cache
def missing() -> list[str]:
    """What is not there: commands, and the packages of headers."""
    lacking = [command for command in COMMANDS if shutil.which(command) is None]
    if "c++" in lacking:
        return lacking
    for header, package in HEADERS.items():
        done = subprocess.run(
            ["c++", "-x", "c++", "-fsyntax-only", "-"],
            input=f"#if !__has_include(<{header}>)\n#error missing\n#endif\n",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lacking.append(package)
    return lacking


def run(*command: str | Path, folder: Path = ROOT, **variables: str) -> str:
    """Run a command; return what it printed, and fail with that when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "GRPC_VERBOSITY": "NONE", "CCACHE_NOHASHDIR": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-20000:]}"
    return done.stdout


def configure(*options: str) -> None:
    """Configure the build of the tests, with options that are not in its preset."""
    tools = [f"-DCMAKE_INSTALL_PREFIX={INSTALLED}"]
    if shutil.which("ninja"):
        tools += ["-G", "Ninja"]
    if shutil.which("ccache"):
        tools += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    run("cmake", "--preset", "tests", *tools, *options)


@functools.cache
def _build() -> Path:
    configure()
    run("cmake", "--build", BUILD, "--parallel", str(min(4, os.cpu_count() or 1)))
    return BUILD / "cpp"


def built() -> Path:
    """Build all once, and return the folder of the C++ parts; skip the test where that can't be.

    What was built before is kept, so that only what changed is compiled.
    """
    if lacking := missing():
        reason = f"the C++ client needs {', '.join(lacking)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return _build()
