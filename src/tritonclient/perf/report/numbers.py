"""Numbers as the official reports write them."""

from __future__ import annotations


def general(value: float) -> str:
    """A number with 6 significant digits, as C++ streams write it."""
    return f"{value:g}" if value == value else "0"


def usec(value: float) -> int:
    """Microseconds as a whole number."""
    return int(value)


def percentile_name(percent: float) -> str:
    """How a percentile is named: p95, p99.9."""
    return f"p{percent:g}"


def percentiles(chosen: float) -> list[float]:
    """The percentiles of a report, with the chosen one in its place."""
    wanted = {50.0, 90.0, 95.0, 99.0}
    if chosen > 0:
        wanted.add(chosen)
    return sorted(wanted)
