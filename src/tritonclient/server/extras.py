"""Imports of optional packages that the embedded server needs."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .. import extras


def optional_import(package: str) -> AbstractContextManager[None]:
    """Import a package in the block; if it is missing, the error names what to install."""
    return extras.needs(package, "the embedded server", "server")
