"""Packages with old names, which forward to the current ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def renamed(old: str, new: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module with an old name, and warn of its import.

    Names are looked up when they are used, so the old module can be imported without the optional
    packages of the new one.
    """
    warnings.warn(
        f"The package `{old}` is deprecated and will be removed in a future version. Please use "
        f"instead `{new}`",
        DeprecationWarning,
        stacklevel=3,
    )

    def look_up(name: str) -> Any:
        if name == "__path__":  # asked of every module from which something is imported
            raise AttributeError(name)
        return getattr(import_module(new), name)

    return look_up
