"""Virtual environments with other packages than this one, cached like the real Triton."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.servers.triton_installation import (
    Unavailable,
    build_once,
    cache_directory,
    make_environment,
)

RECIPE = 1  # part of the cache's key: raise it when what is installed changes


def python_with(name: str, requirements: Sequence[str]) -> str:
    """Return the Python of an environment with these packages; skip where they can't be had."""
    try:
        return build_python(name, requirements)
    except (Unavailable, OSError, ImportError) as error:
        pytest.skip(f"no environment with {', '.join(requirements)}: {error}")


def build_python(name: str, requirements: Sequence[str]) -> str:
    """Return the Python of an environment with these packages; made when it is not there yet.

    Raises:
        Unavailable: the packages can't be had.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    root = cache_directory() / f"{name}-r{RECIPE}-python{version}"
    build_once(root, functools.partial(_install, tuple(requirements)))
    return str(root / "venv" / "bin" / "python")


def _install(requirements: Sequence[str], where: Path) -> None:
    make_environment(sys.executable, where / "venv", requirements)
