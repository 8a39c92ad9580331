"""Says what is being fetched for the tests, how much of it is there, and since when."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonclient.cli.output import repeating

#: Megabytes that each kind of directory holds when it is complete.
SIZES = {"nvidia-pytriton": 370, "tritonclient": 180, "protobuf": 105, "bench": 120}
#: Seconds until the first line about progress, and between such lines.
INTERVAL = 10.0

#: The stderr of the test session, which pytest does not capture; None to say nothing.
terminal: int | None = None


@contextmanager
def announced(target: Path, partial: Path) -> Iterator[None]:
    """Say that `target` is fetched, and how far it is while the block runs.

    Args:
        partial: the directory that is being filled.
    """
    expected = next((size for kind, size in SIZES.items() if target.name.startswith(kind)), 0)
    estimate = f" of about {expected} MB" if expected else ""
    size = f", about {expected} MB" if expected else ""
    _say(f"fetching {target.name}{size}, once, into {target.parent}")
    begin = time.monotonic()

    def report(since: float) -> None:
        _say(f"{target.name}: {megabytes(partial)} MB{estimate} after {since:.0f} s")

    with repeating(report, INTERVAL, INTERVAL):
        yield
    _say(f"{target.name} is there after {time.monotonic() - begin:.0f} s")


def megabytes(directory: Path) -> int:
    """Return the size of all files below a directory, also while it changes."""
    total = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # it has gone meanwhile
                continue
    return total // 1_000_000


def _say(text: str) -> None:
    if terminal is not None:
        os.write(terminal, f"\n{text}\n".encode())
