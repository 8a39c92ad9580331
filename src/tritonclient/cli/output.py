"""What the commands print: tables, JSON, and progress."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

#: Seconds of work before progress is shown, and between lines of it.
QUIET = 2.0
_INTERVAL = 5.0


def say(text: str) -> None:
    """Print a line at once; when nobody reads the output any more, do nothing."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # as in `| head -1`
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def note(text: str) -> None:
    """Print a line to stderr, beside the output."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first row is the head; cells may have several lines."""
    lines: list[Sequence[str]] = []
    for row in rows:
        cells = [cell.splitlines() or [""] for cell in row]
        for index in range(max(map(len, cells))):
            lines.append([cell[index] if index < len(cell) else "" for cell in cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "+".join(["", *["-" * (width + 2) for width in widths], ""])
    drawn = [
        "|".join(
            ["", *[f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True)], ""]
        )
        for line in lines
    ]
    head = max(len(cell.splitlines()) for cell in rows[0])
    end = [rule] if len(rows) > 1 else []
    return "\n".join([rule, *drawn[:head], rule, *drawn[head:], *end])


def as_json(value: Any) -> str:
    """Return the JSON text of what a client returns; named tuples become objects."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


class Progress:
    """Shows how much of some work is done, on stderr, once it has taken two seconds.

    A terminal with `rich` installed gets a bar; all else gets a line every few seconds.

    Args:
        text: what is done, such as "classifying images".
        total: how many steps there are.
    """

    def __init__(self, text: str, total: int) -> None:
        self._text = text
        self._total = total
        self._done = 0
        self._begin = time.monotonic()
        self._next = self._begin + QUIET
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self._done += steps
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif now >= self._next:
            if now - self._begin < QUIET + _INTERVAL and self._make_bar():
                return
            self._next = now + _INTERVAL
            note(f"{self._text}: {self._done} of {self._total}{self._left(now)}")

    def _left(self, now: float) -> str:
        """Return the estimate of the time that is left."""
        seconds = (now - self._begin) / max(1, self._done) * (self._total - self._done)
        return f", about {seconds:.0f} s left" if self._done < self._total else ""

    def _make_bar(self) -> bool:
        if not sys.stderr.isatty():
            return False
        try:
            from rich.console import Console
            from rich.progress import Progress as Bar
        except ImportError:
            return False
        self._bar = Bar(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._text, total=self._total, completed=self._done)
        self._bar.start()
        return True


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Say every few seconds, on stderr, that the work of the block is not done yet."""
    with repeating(lambda since: note(f"{text} (since {since:.0f} s)"), QUIET, _INTERVAL):
        yield


@contextmanager
def repeating(report: Callable[[float], object], first: float, interval: float) -> Iterator[None]:
    """Call `report` from time to time, on a thread, until the block ends.

    Args:
        report: called with the seconds since the block began.
        first: seconds until the first call.
        interval: seconds between calls.
    """
    begin = time.monotonic()
    done = threading.Event()

    def repeat() -> None:
        pause = first
        while not done.wait(pause):
            pause = interval
            report(time.monotonic() - begin)

    thread = threading.Thread(target=repeat, name="tritonclient-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
