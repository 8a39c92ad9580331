"""Which loads are measured: one after the other, or by halving."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..options.settings import Settings
from .figures import Point


def linear(settings: Settings, measure: Callable[[float], Point]) -> Iterator[Point]:
    """Measure from the start to the end of the range, until one is unstable or over the limit."""
    load = settings.load_range
    value = load.start
    while True:
        point = measure(value)
        yield point
        if not point.stable or point.over_limit or point.interrupted or point.lost:
            return
        if load.single:
            return
        # Counted in whole steps, so that no rounding adds up.
        steps = round((value - load.start) / load.step) + 1
        value = load.start + steps * load.step
        if load.end and value > load.end + 1e-9:
            return


def binary(settings: Settings, measure: Callable[[float], Point]) -> Iterator[Point]:
    """Find the largest load of the range that keeps the limit, by halving."""
    load = settings.load_range
    low, high = load.start, float(load.end or load.start)
    for value in dict.fromkeys((low, high)):
        point = measure(value)
        yield point
        if point.interrupted or point.lost:
            return
        met = point.stable and not point.over_limit
        if met != (value == low):
            return  # the start fails, or the end does not
    whole = not settings.request_rate_range
    while high - low > load.step:
        middle = (low + high) / 2
        if whole:
            middle = float((int(low) + int(high)) // 2)
        point = measure(middle)
        yield point
        if point.interrupted or point.lost:
            return
        if point.stable and not point.over_limit:
            low = middle
        else:
            high = middle
