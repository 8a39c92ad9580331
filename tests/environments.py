"""Virtual environments with other packages than this one, cached like the real Triton."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.triton_installation import Unavailable, build_once, cache_directory, make_environment

RECIPE = 1  # part of the cache's key: raise it when what is installed changes


def python_with(name: str, requirements: Sequence[str]) -> str:
    """The Python of an environment with these packages, which is made when it is not there yet.

    A test that needs one is skipped where the packages can't be had.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    root = cache_directory() / f"{name}-r{RECIPE}-python{version}"
    try:
        build_once(root, functools.partial(_install, tuple(requirements)))
    except (Unavailable, OSError, ImportError) as error:
        pytest.skip(f"no environment with {', '.join(requirements)}: {error}")
    return str(root / "venv" / "bin" / "python")


def _install(requirements: Sequence[str], where: Path) -> None:
    make_environment(sys.executable, where / "venv", requirements)
