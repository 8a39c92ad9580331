"""Caches that are bounded by bytes as well as by count."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: Largest size of the arguments of a cached call together, in characters.
LARGEST = 1024


def small_cache(count: int) -> Callable[[F], F]:
    """Return a decorator that caches results of a function of texts.

    Only calls with small arguments are cached, because names come from programs and peers, and can
    have any length.

    Args:
        count: largest number of results.
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
