"""Packages of old names, which stand for those of today."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def renamed(old: str, new: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module of an old name, whose import is warned of here.

    What it has is looked up when it is used, so that the old name of a module can be imported
    without what the module needs.
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
