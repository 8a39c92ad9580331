"""Waiting in tests for what other threads and processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds; fail when it takes longer than anything that works could."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.005)
