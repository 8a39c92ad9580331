"""Runs the example programs as people do: as processes, in their folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.servers.triton_installation import clean_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEADLINE = 60
AT_ONCE = 4  # they wait for servers, and for Python to start, as long as they compute


def command(python: str, name: str, address: str, *flags: str) -> list[str]:
    """The command of an example; warnings are errors, but for those of other packages."""
    strict = ["-W", "error"] if python == sys.executable else []
    return [python, *strict, f"{name}.py", "-u", address, *flags]


def run(
    name: str,
    address: str,
    *flags: str,
    python: str = sys.executable,
    variables: Mapping[str, str] = {},
) -> subprocess.CompletedProcess[str]:
    """Run an example against the server at an address, and wait for its end."""
    quiet = {"GRPC_VERBOSITY": "NONE", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command(python, name, address, *flags),
        cwd=EXAMPLES,
        env={**clean_environment(), **quiet, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def run_all(
    commands: Iterable[tuple[str, ...]], at_once: int = AT_ONCE
) -> list[subprocess.CompletedProcess[str]]:
    """Run several, each given as (python, name, address, *flags)."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda each: run(*each[1:], python=each[0]), commands))
