"""Naming the extra that brings a missing package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(package: str, what: str, extra: str) -> Iterator[None]:
    """Import an optional package inside; when it is missing, the error says how to get it.

    Args:
        what: what needs the package.
        extra: the extra that brings it.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{what} needs {package} ({error}): pip install 'tritonclient[{extra}]'",
            name=error.name,
        ) from error
