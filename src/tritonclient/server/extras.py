"""Optional packages of the embedded server."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .. import extras


def optional_import(package: str) -> AbstractContextManager[None]:
    """Import an optional package in the body; a missing one raises an error with the cure."""
    return extras.optional_import(package, "the embedded server", "server")
