"""Waiting in tests for what other threads and processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds; fail when it takes longer than anything that works could."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)


def deadlines(first: float) -> Iterator[float]:
    """Yield deadlines in seconds, each twice the last, until the caller has seen what it wants.

    A call that has to come to some point before its deadline may be held up on a busy machine.
    """
    seconds = first
    while seconds < 60:
        yield seconds
        seconds *= 2
    raise AssertionError("no deadline was long enough")
