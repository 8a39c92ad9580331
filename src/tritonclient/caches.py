"""Caches that are bounded by bytes as well as by count."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: What the arguments of a remembered call may take together, in characters or items.
LARGEST = 1024


def small_cache(count: int) -> Callable[[F], F]:
    """Return a decorator that remembers results of a function of texts, tuples and numbers.

    Only calls whose arguments are small are remembered, because names come from programs and
    peers, which may make them as long as they like.

    Args:
        count: how many results to remember.
    """

    def decorate(function: F) -> F:
        remembered = lru_cache(count)(function)

        @wraps(function)
        def call(*arguments: Any) -> Any:
            size = 0
            for argument in arguments:
                kind = type(argument)
                if kind is str or kind is tuple:
                    size += len(argument)
            return remembered(*arguments) if size <= LARGEST else function(*arguments)

        call.cache_info = remembered.cache_info  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate
