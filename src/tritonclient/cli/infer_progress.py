"""What `tritonclient infer` shows while it works: a bar, lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from .output import note, say

#: Seconds between lines.
_INTERVAL = 5.0


class InferProgress:
    """Shows rows, rows per second, errors and time left.

    A terminal with `rich` installed gets a bar; all else gets a line every few seconds.

    Args:
        total: returns how many rows there are, or None while that is unknown.
        as_json: print JSON lines to standard output instead.
        first: rows that were done before.
    """

    def __init__(self, total: Callable[[], int | None], as_json: bool) -> None:
        self._total = total
        self._json = as_json
        self._first: int | None = None
        self._begin = self._next = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self.rows = self.errors = 0
        self._trouble = ""

    def __enter__(self) -> InferProgress:
        if not self._json and sys.stderr.isatty():
            self._make_bar()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()

    def update(self, rows: int, errors: int) -> None:
        """Show how far the work is."""
        if self._first is None:
            self._first, self._begin = rows, time.monotonic()
            self._next = self._begin + _INTERVAL
        self.rows, self.errors = rows, errors
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.2 if self._bar is not None else _INTERVAL)
        if self._bar is not None:
            self._draw()
        elif self._json:
            say(json.dumps({"status": "running", **self.figures()}))
        else:
            note(self._line())

    def trouble(self, text: str) -> None:
        """Show that the server is away, or with "" that it is back."""
        if text and self._trouble:
            return
        self._trouble = text
        if self._json:
            say(json.dumps({"status": "waiting" if text else "running", "message": text}))
        else:
            note(f"waiting for the server: {text}" if text else "the server is back")

    def figures(self) -> dict[str, Any]:
        """Return the figures; what is unknown is None."""
        seconds = time.monotonic() - self._begin
        done = self.rows - (self._first or 0)
        rate = done / seconds if seconds > 0 else 0.0
        total = self._total()
        left = (total - self.rows) / rate if total is not None and rate > 0 else None
        return {
            "rows": self.rows,
            "total": total,
            "errors": self.errors,
            "rows_per_second": round(rate, 1),
            "seconds": round(seconds, 3),
            "seconds_left": None if left is None else round(max(0.0, left), 1),
        }

    def _line(self) -> str:
        figures = self.figures()
        of = "" if figures["total"] is None else f" of {figures['total']}"
        left = figures["seconds_left"]
        end = "" if left is None else f", about {left:.0f} s left"
        return (
            f"{self.rows}{of} rows, {figures['rows_per_second']:.0f} rows/s, "
            f"{self.errors} failed{end}"
        )

    def _make_bar(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError:
            return
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("starting", total=None)
        self._bar.start()

    def _draw(self) -> None:
        line = self._line().split(", about")[0]
        total = self._total()
        self._bar.update(self._task, completed=self.rows, total=total, description=line)
