"""Environments of other servers and packages: skipped where they can't be had, but not in CI."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from tests.support.servers.environments import build_python
from tests.support.servers.triton_installation import Unavailable


def python_or_skip(name: str, requirements: Sequence[str]) -> str:
    """Return the Python of an environment with these packages."""
    try:
        return build_python(name, requirements)
    except (Unavailable, OSError) as error:
        reason = f"no environment with {', '.join(requirements)}: {error}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
