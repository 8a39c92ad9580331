"""Modules of Python that models of one process see differently: `signal` and `importlib`.

In Triton a model has a process and its main thread to itself.
"""

from __future__ import annotations

import importlib
import logging
import signal
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

_log = logging.getLogger(__name__)


class StandIn(ModuleType):
    """A copy of a module, in which some names are others; what is new in the module is found too.

    Args:
        changed: values by name.
    """

    def __init__(self, module: ModuleType, **changed: Any) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(vars(module), **changed)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


def signals() -> ModuleType:
    """Return `signal` for models; where only the main thread may change signals, it warns."""

    def change(signalnum: int, handler: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return signal.signal(signalnum, handler)
        _log.warning(
            "signal.signal(%r, ...) of a model has no effect: it shares this process with the "
            "server, which the signals belong to",
            signalnum,
        )
        return signal.getsignal(signalnum)

    return StandIn(signal, signal=change)


def importing(find: Callable[[str], ModuleType | None]) -> ModuleType:
    """Return `importlib` for a model.

    Args:
        find: returns the model's own module of a name, None for other names.
    """

    def import_module(name: str, package: str | None = None) -> ModuleType:
        own = None if name.startswith(".") else find(name)
        return own or importlib.import_module(name, package)

    return StandIn(importlib, import_module=import_module)
