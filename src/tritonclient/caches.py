"""Caches that are bounded by bytes as well as by count."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: What the arguments of a remembered call may take together, in characters.
LARGEST = 1024


def small_cache(count: int) -> Callable[[F], F]:
    """Return a decorator that remembers results of a function of texts.

    Only calls whose arguments are small are remembered, because names come from programs and
    peers, which may make them as long as they like.

    Args:
        count: how many results to remember.
    """

    def decorate(function: F) -> F:
        remembered = lru_cache(count)(function)

        @wraps(function)
        def call(*texts: Any) -> Any:
            try:
                fit = sum(map(len, texts)) <= LARGEST
            except TypeError:  # no texts, which the function itself refuses
                fit = False
            return remembered(*texts) if fit else function(*texts)

        call.cache_info = remembered.cache_info  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate
