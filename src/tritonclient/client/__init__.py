"""The modern clients: `Client`, `AsyncClient`, and what they are made of.

Modules here import the transports, the codecs and what lies below them; nothing below imports them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aio import AsyncClient
    from .blocking import Client
    from .models import AsyncModel, Model

__all__ = ["AsyncClient", "AsyncModel", "Client", "Model"]

_HOMES = {"AsyncClient": "aio", "AsyncModel": "models", "Client": "blocking", "Model": "models"}


def _get(name: str) -> Any:
    # Imported when first used: asyncio alone takes longer to import than all of a blocking client.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = _get
