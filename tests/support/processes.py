"""What is known of other processes (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def runs(pid: int) -> bool:
    """Return True if a process exists and is no zombie."""
    return _stat(pid)[:1] not in ([], ["Z"])


def parent(pid: int) -> int:
    """Return the number of the parent of a process."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """Return state, parent and so on; nothing if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Return the children of a process, zombies among them, and theirs."""
    children: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended
            children += map(int, path.read_text().split())
    return [*children, *(each for child in children for each in descendants(child))]


def threads(pid: int) -> int:
    """Return the number of threads of a process; 0 if it is gone."""
    stat = _stat(pid)
    return int(stat[17]) if stat else 0


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process; 0 if it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
