"""When windows agree well enough to be reported."""

from __future__ import annotations

from collections.abc import Sequence

from ..load import shared as c
from ..options.settings import Settings
from .figures import Figures

#: Windows in a row that have to agree.
WINDOWS = 3


def judged_latency(figures: Figures, settings: Settings) -> float:
    """The latency that stability, limits and the closing lines go by, in microseconds.

    It is the mean, or the percentile that was asked for; in rate modes from the intended send.
    """
    scheduled = settings.open_loop
    if settings.percentile > 0:
        return figures.percentile(settings.percentile, c.PLANNED if scheduled else c.SERVICE)
    return figures.scheduled_latency if scheduled else figures.latency


def over_limit(figures: Figures, settings: Settings) -> bool:
    """True if the latency limit is reached."""
    limit = settings.latency_threshold
    return bool(limit) and judged_latency(figures, settings) / 1000 >= limit


def throughput_stable(windows: Sequence[Figures], settings: Settings) -> bool:
    """True if the throughput of the last windows agrees."""
    return _agree([window.throughput for window in windows], settings)


def latency_stable(windows: Sequence[Figures], settings: Settings) -> bool:
    """True if the latency of the last windows agrees."""
    return _agree([judged_latency(window, settings) for window in windows], settings)


def _agree(values: Sequence[float], settings: Settings) -> bool:
    last = values[-WINDOWS:]
    if len(last) < WINDOWS or min(last) <= 0:
        return False
    return max(last) / min(last) <= 1 + settings.stability_percentage / 100
