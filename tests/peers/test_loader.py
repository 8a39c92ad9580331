"""`tritonclient.bulk.Model` in the workers of torch's DataLoader.

The wheels of torch and what they need are several gigabytes. So the test uses the torch of this
Python, or that of Debian (package python3-torch), and installs the rest for Debian's numpy.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.environments import RECIPE
from tests.support.servers.triton_installation import build_once, cache_directory, run_quietly
from tritonclient.server import Server

PROGRAM = Path(__file__).parent / "programs" / "loader.py"
PACKAGES = ("pyarrow>=15,<20", "hpack", "protobuf")
SOURCE = Path(__file__).parents[2] / "src"


def python_with_torch() -> str:
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
            return python
    reason = "no Python here has torch; on Debian: apt-get install python3-torch"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def install(python: str, where: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--only-binary=:all:")
    run_quietly(*pip, "--no-deps", "--target", str(where / "packages"), *PACKAGES)


def test_data_loader(doubling: Server, tmp_path: Path) -> None:
    python = python_with_torch()
    root = cache_directory() / f"torch-r{RECIPE}"
    build_once(root, functools.partial(install, python))
    done = subprocess.run(
        [python, str(PROGRAM), doubling.http_url, doubling.grpc_url],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(SOURCE), str(root / "packages")]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
