"""Bulk inference in engines that run on many machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.environments import python_or_skip
from tritonclient.server import Server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REQUIREMENTS = ["ray[data]", "datasets", "pandas", "pyarrow", "rich"]


@pytest.fixture(scope="module")
def python() -> str:
    return python_or_skip("engines", REQUIREMENTS)


@pytest.mark.parametrize("kind", ["cluster", "ray_data", "datasets"])
def test_engines(kind: str, python: str, embedded: Server, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    program = str(HERE / "programs" / "engines.py")
    done = subprocess.run(
        [python, program, kind, embedded.http_url, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
