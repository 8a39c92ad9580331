"""The live view: what happens at the moment, on a terminal or, without one, as plain lines."""

from __future__ import annotations

import sys
import time
from typing import Any

from ...extras import optional_import
from ..measure.figures import Point, Sample
from ..options.settings import Settings

_BARS = "▁▂▃▄▅▆▇█"
#: Seconds between plain lines.
_PAUSE = 1.0


def make(settings: Settings) -> Any:
    """The view that fits where the report goes to; None when there is none."""
    if sys.stderr.isatty():
        try:
            with optional_import("rich", "the live view", "perf"):
                import rich  # noqa: F401
        except ImportError:
            if settings.live == "on":
                raise
            return None
        return Terminal(settings)
    return Lines(settings) if settings.live == "on" else None


def describe(point: Point, sample: Sample, left: float) -> str:
    """A moment in one line."""
    text = (
        f"{sample.rate:,.0f} req/s  in flight {sample.in_flight}  "
        f"p50 {_time(sample.p50)}  p95 {_time(sample.p95)}  p99 {_time(sample.p99)}"
    )
    if sample.errors:
        text += f"  errors {sample.errors:,.0f}/s"
    if left > 0:
        text += f"  at most {left:.0f} s left"
    return text


def _time(usec: float) -> str:
    if usec >= 1e6:
        return f"{usec / 1e6:.2f} s"
    return f"{usec / 1e3:.2f} ms" if usec >= 1e3 else f"{usec:.0f} us"


def time_left(settings: Settings, begun: float) -> float:
    """Seconds that a load may still take; 0 where that is not known."""
    if settings.request_count or settings.fixed_schedule or settings.periodic_concurrency_range:
        return 0.0
    whole = settings.duration or (
        settings.max_trials * settings.measurement_interval / 1000 * 1.2
        if settings.measurement_mode == "time_windows"
        else 0.0
    )
    if not whole:
        return 0.0
    return max(0.0, settings.warmup + settings.ramp + whole - (time.monotonic() - begun))


class _View:
    """What both views have in common: the load that they show, and when it began."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._point: Point | None = None
        self._begun = 0.0

    def _left(self, point: Point) -> float:
        if point is not self._point:
            self._point, self._begun = point, time.monotonic()
        return time_left(self._settings, self._begun)


class Lines(_View):
    """A line a second on standard error."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._last = 0.0

    def show(self, point: Point, sample: Sample) -> None:
        """Write a line if a second has passed."""
        left = self._left(point)
        now = time.monotonic()
        if now - self._last >= _PAUSE:
            self._last = now
            sys.stderr.write(f"  {describe(point, sample, left)}\n")

    def hide(self) -> None:
        """Nothing: lines stay."""


class Terminal(_View):
    """A few lines on a terminal that go when the report is written."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        from rich.console import Console

        self._console = Console(stderr=True)
        self._live: Any = None

    def show(self, point: Point, sample: Sample) -> None:
        """Show a moment."""
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        text = Text(f"  {_sparkline(point)}\n", style="cyan")
        text.append(f"  {describe(point, sample, self._left(point))}", style="bold")
        failed = sum(count for count, _ in point.errors.values())
        if failed:
            text.append(f"\n  {failed} errors", style="red")
        self._live.update(text, refresh=True)

    def hide(self) -> None:
        """Take the view away, so that the report can be written."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _sparkline(point: Point) -> str:
    """The rate of the last samples."""
    rates = [sample.rate for sample in point.samples[-60:]]
    top = max(rates, default=0.0) or 1.0
    return "".join(_BARS[min(7, int(rate / top * 7.999))] for rate in rates)
