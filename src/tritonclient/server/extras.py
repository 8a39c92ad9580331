"""Naming the extra that brings a missing package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Import an optional package inside; when it is missing, the error says how to get it."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"the embedded server needs {package} ({error}): pip install tritonclient[server]",
            name=error.name,
        ) from error
