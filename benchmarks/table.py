"""Turns outcomes into rows of text, tables, and RESULTS.md."""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cases import Case, Kind
from .conductor import Outcome
from .worker import Window

NOTHING = "-"

_TIME_HEAD = (
    *("case", "client", "CPU", "ratio", "middle half"),
    *("median", "p99", "latency ratio", "budget", "met"),
)
_MEMORY_HEAD = ("case", "client", "memory", "budget", "met")


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratios of two sides in all rounds.

    Attributes:
        median: the middle one.
        low: a quarter of the ratios is smaller.
        high: a quarter of the ratios is larger.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """A side of a case, beside the side that it is compared with ("" for none)."""

    outcome: Outcome
    side: str
    against: str
    budget: float | None = None

    @property
    def case(self) -> Case:
        return self.outcome.case

    @property
    def cpu(self) -> float:
        """The median CPU of a call, in seconds."""
        return statistics.median(map(_cpu, self.outcome.windows[self.side]))

    @property
    def latencies(self) -> list[float]:
        """All latencies in seconds, sorted."""
        return sorted(x for window in self.outcome.windows[self.side] for x in window.latencies)

    @property
    def cpu_ratio(self) -> Ratio | None:
        return self._ratio(_cpu)

    @property
    def latency_ratio(self) -> Ratio | None:
        return self._ratio(lambda window: statistics.median(window.latencies))

    def _ratio(self, value: Callable[[Window], float]) -> Ratio | None:
        if not self.against:
            return None
        pairs = zip(
            self.outcome.windows[self.side], self.outcome.windows[self.against], strict=True
        )
        ratios = [value(one) / value(other) for one, other in pairs]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return Ratio(median, low, high)

    @property
    def memory(self) -> int:
        """The largest, in bytes."""
        return max(self.outcome.memory[self.side])

    @property
    def met(self) -> bool | None:
        """True if the budget is kept; None without one."""
        if self.budget is None:
            return None
        if self.case.kind.is_memory:
            return self.memory <= self.budget
        if self.case.kind is Kind.IMPORT:
            return self.cpu <= self.budget
        return self.cpu_ratio is not None and self.cpu_ratio.median <= self.budget


def _cpu(window: Window) -> float:
    return window.cpu / len(window.latencies)


# Words


def seconds(value: float) -> str:
    """Return a duration with three digits or so: `51.3 us`, `7.12 ms`."""
    for scale, unit in ((1e-3, "us"), (1.0, "ms")):
        if value < scale:
            return f"{_digits(value * 1e3 / scale)} {unit}"
    return f"{_digits(value)} s"


def size(value: float) -> str:
    """Return an amount of memory: `12.3 KiB`, `64 MiB`."""
    if abs(value) < 2**20:
        return f"{_digits(value / 2**10)} KiB"
    return f"{_digits(value / 2**20)} MiB"


def _digits(value: float) -> str:
    decimals = max(0, 2 - int(math.log10(max(abs(value), 1))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(value: float) -> str:
    """Return a ratio: `0.25x`, or `0.061x` where it is small."""
    return f"{value:.2f}x" if value >= 0.1 else f"{value:.3f}x"


def _budget(row: Row) -> str:
    if row.budget is None:
        return NOTHING
    if row.case.kind.is_memory:
        return size(row.budget)
    return seconds(row.budget) if row.case.kind is Kind.IMPORT else ratio(row.budget)


def _met(row: Row) -> str:
    return {True: "yes", False: "**no**", None: NOTHING}[row.met]


def line(row: Row) -> str:
    """Return one line on a row, for who waits."""
    verdict = f"  budget {_budget(row)}: {_met(row).strip('*')}" if row.budget else ""
    if row.case.kind.is_memory:
        return f"{row.side} {size(row.memory)}{verdict}"
    found = row.cpu_ratio
    compared = f" = {ratio(found.median)} of {row.against} ({_half(found)})" if found else ""
    return f"{row.side} {seconds(row.cpu)}{compared}{verdict}"


def _half(found: Ratio) -> str:
    return (
        f"{found.low:.3f}-{found.high:.3f}"
        if found.high < 0.1
        else (f"{found.low:.2f}-{found.high:.2f}")
    )


# Tables


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that is also easy to read as it stands; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    words = 2  # columns of text

    def row(cells: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(
                cell.ljust(width) if number < words else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            + " |"
        )

    rule = "|".join(
        "-" * (width + 2) if number < words else "-" * (width + 1) + ":"
        for number, width in enumerate(widths)
    )
    return "\n".join([row(head), f"|{rule}|", *map(row, rows)])


def time_table(rows: Sequence[Row]) -> str:
    """Return the table of CPU and latency; "" where there is no such row."""
    cells = [_time_cells(row) for row in rows if not row.case.kind.is_memory]
    return table(_TIME_HEAD, _without_repeats(cells)) if cells else ""


def _time_cells(row: Row) -> list[str]:
    latencies = row.latencies
    p99 = latencies[math.ceil(len(latencies) * 0.99) - 1]
    cpu, latency = row.cpu_ratio, row.latency_ratio
    return [
        *(row.case.title, row.side, seconds(row.cpu)),
        *((ratio(cpu.median), _half(cpu)) if cpu else (NOTHING, NOTHING)),
        *(seconds(statistics.median(latencies)), seconds(p99)),
        *(ratio(latency.median) if latency else NOTHING, _budget(row), _met(row)),
    ]


def memory_table(rows: Sequence[Row]) -> str:
    """Return the table of memory; "" where there is no such row."""
    cells = [
        [row.case.title, row.side, size(row.memory), _budget(row), _met(row)]
        for row in rows
        if row.case.kind.is_memory
    ]
    return table(_MEMORY_HEAD, _without_repeats(cells)) if cells else ""


def _without_repeats(rows: list[list[str]]) -> list[list[str]]:
    """Name a case in the first of its rows only."""
    titles = [""] + [row[0] for row in rows]
    return [
        ["" if row[0] == before else row[0], *row[1:]]
        for row, before in zip(rows, titles, strict=False)
    ]


def machine() -> dict[str, str]:
    """Return what is worth knowing of this machine."""
    load = os.getloadavg()[0]
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()} "
        f"{platform.machine()}",
        "load before the run": f"{load:.2f}" + (", so the machine was busy" if load > 0.7 else ""),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown processor"
