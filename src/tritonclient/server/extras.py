"""Naming the extra that brings what the embedded server needs."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .. import extras


def needs(package: str) -> AbstractContextManager[None]:
    """Import an optional package inside; when it is missing, the error says how to get it."""
    return extras.needs(package, "the embedded server", "server")
