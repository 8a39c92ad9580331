"""`tritonclient.bulk.Model` in Spark, Ray Data and Hugging Face datasets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.environments import python_or_skip
from tritonclient.server import Server

PROGRAM = Path(__file__).parent / "programs" / "engines.py"
SOURCE = Path(__file__).parents[2] / "src"
REQUIREMENTS = {
    "spark": ["pyspark>=4", "pandas", "pyarrow"],
    "datasets": ["datasets>=3"],
    "ray": ["ray[data]"],
}


def needs_java() -> None:
    if shutil.which("java") is None:
        reason = "Spark needs Java 17, and there is no command `java`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.parametrize("engine", REQUIREMENTS)
def test_engines(engine: str, doubling: Server, tmp_path: Path) -> None:
    if engine == "spark":
        needs_java()
    python = python_or_skip(engine, REQUIREMENTS[engine])
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    done = subprocess.run(
        [python, str(PROGRAM), engine, doubling.http_url],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
