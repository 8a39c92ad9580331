"""The official Triton client, in an environment of its own, to hold ours against it.

Both install the package `tritonclient`, so the official one gets a virtual environment of its own,
in the same cache outside the source tree as the real Triton of the tests.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from tests.support.servers.triton_installation import (
    Unavailable,
    build_once,
    cache_directory,
    make_environment,
)

VERSION = "2.73.0"
RECIPE = 1  # part of the cache's key: raise it when what is installed changes
REQUIREMENTS = (f"tritonclient[http,grpc]=={VERSION}",)


def ensure_official() -> Path:
    """Return the Python of an environment that has the official client, installed if need be."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    root = cache_directory() / f"tritonclient-{VERSION}-r{RECIPE}-python{version}"
    build_once(root, functools.partial(_install, sys.executable))
    return root / "venv" / "bin" / "python"


@functools.cache
def unavailable_reason() -> str | None:
    """Say why the official client can't be had here, or None when it is installed now."""
    try:
        ensure_official()
    except (Unavailable, OSError, ImportError) as error:
        return str(error)
    return None


def _install(python: str, where: Path) -> None:
    make_environment(python, where / "venv", REQUIREMENTS)
