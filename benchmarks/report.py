"""Turns measurements into tables, and these into RESULTS.md."""

from __future__ import annotations

import datetime
import math
import os
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cases import Case, Kind
from .measure import Measurement

NOISY = 0.15  # a spread beyond this is worth a warning
NOTHING = "-"

_READING = """\
Both clients are measured in one run, each round in a fresh process, the two sides taking turns.
Of the rounds of a side the one with the least CPU counts, for its median and p99 too.

- **CPU**: seconds of CPU, user and system, that the client's process spends per request, all its
  threads included. The server's is not in it. This is the number that budgets limit: unlike
  latency it does not depend on how fast the model and the server are.
- **median, p99**: of the time from a request's beginning until its outputs are numpy arrays. With
  fewer than 100 requests in a round, p99 is the slowest. Client and server share the machine.
- **ratio**: ours divided by the official client's; 0.25x is a quarter of it.
- **budget**: what the project demands of itself; `-` where it demands nothing.
- **spread**: by how much the worst round of each side exceeds its best one in CPU. Differences
  between the clients that are smaller than this mean nothing.

"Our codec through grpcio" is the modern front with `Grpcio()`: the same requests, carried by the
library that the official client uses. The official client builds its inputs for every request, as
in its examples; "request built once" reuses them on both sides. "Classic front" means the same
calls, of the official client's names in this one. Threads share one client of ours; the official
client says that it must not be shared, so each thread has its own. Serialise and deserialise need
no server: they are the
official client's `serialize_byte_tensor` and `deserialize_bytes_tensor` against `pack_bytes` and
`unpack_bytes`. Import is `from tritonclient.http import InferenceServerClient` of the official
client against `from tritonclient import Client`, in a process that has imported numpy; the CPU is
the least of several tries, and the budget limits it in seconds.
"""

_READING_LATENCY = """\
Small blocking calls, and perf_analyzer 2.48 with a concurrency of 1, taking turns on one server:
"""

_READING_MEMORY = """\
The peak of the client process's resident memory, started anew (`/proc/self/clear_refs`) when the
input exists and all modules are loaded, less that beginning and less the answer. Nothing of the
tensors may be in what is left: a client that copies one of them once shows 64 MiB. In flight: 200
requests wait at a server that is kept from answering; connections included, divided by 200. Of
the rounds the largest counts.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rounds of a case."""

    case: Case
    official: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]

    @property
    def best(self) -> tuple[Measurement, Measurement]:
        """The official client's and our round with the least CPU."""
        return min(self.official, key=_cpu), min(self.ours, key=_cpu)

    @property
    def memory(self) -> tuple[int, int]:
        """The official client's and our largest."""
        return max(m.memory for m in self.official), max(m.memory for m in self.ours)

    @property
    def cpu_ratio(self) -> float:
        official, ours = self.best
        return ours.cpu / official.cpu

    @property
    def median_ratio(self) -> float:
        official, ours = self.best
        return ours.median / official.median

    @property
    def spreads(self) -> tuple[float, float]:
        """By which fraction the worst round exceeds the best one."""
        official, ours = self.best
        worst = max(map(_cpu, self.official)), max(map(_cpu, self.ours))
        return worst[0] / official.cpu - 1, worst[1] / ours.cpu - 1

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        budget = self.case.budget
        if budget is None:
            return None
        if self.case.kind.is_memory:
            return self.memory[1] <= budget
        if self.case.kind is Kind.IMPORT:
            return self.best[1].cpu <= budget
        return self.cpu_ratio <= budget


def _cpu(measurement: Measurement) -> float:
    return measurement.cpu


# Words


def seconds(value: float) -> str:
    """A duration, with three digits or so: `51.3 us`, `7.12 ms`."""
    for scale, unit in ((1e-3, "us"), (1.0, "ms")):
        if value < scale:
            return f"{_digits(value * 1e3 / scale)} {unit}"
    return f"{_digits(value)} s"


def size(value: float) -> str:
    """An amount of memory: `12.3 KiB`, `64 MiB`."""
    if abs(value) < 2**20:
        return f"{_digits(value / 2**10)} KiB"
    return f"{_digits(value / 2**20)} MiB"


def _digits(value: float) -> str:
    decimals = max(0, 2 - int(math.log10(max(abs(value), 1))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(value: float) -> str:
    return f"{value:.2f}x" if value >= 0.1 else f"{value:.3f}x"


def budget(case: Case) -> str:
    """A case's budget in its own unit."""
    if case.budget is None:
        return NOTHING
    if case.kind.is_memory:
        return size(case.budget)
    return seconds(case.budget) if case.kind is Kind.IMPORT else ratio(case.budget)


def met(outcome: Outcome) -> str:
    return {True: "yes", False: "**no**", None: NOTHING}[outcome.met]


def line(outcome: Outcome) -> str:
    """One line on a case, for who waits."""
    case = outcome.case
    verdict = f"budget {budget(case)}: {met(outcome).strip('*')}" if case.budget else ""
    if case.kind.is_memory:
        official, ours = map(size, outcome.memory)
        return f"official {official}, ours {ours}  {verdict}"
    official, ours = (seconds(found.cpu) for found in outcome.best)
    spread = ", ".join(f"{value:.0%}" for value in outcome.spreads)
    found = f"CPU: official {official}, ours {ours}, {ratio(outcome.cpu_ratio)}"
    return f"{found} (spread {spread})  {verdict}"


# Tables


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is also easy to read as it stands; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def row(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in rest)]) + " |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([row(head), f"|{rule}|", *map(row, rows)])


def time_table(outcomes: Sequence[Outcome]) -> str:
    """CPU and latency of both sides."""
    sides = [f"{side} {what}" for side in ("official", "ours") for what in ("CPU", "median", "p99")]
    head = ["case", *sides, "CPU ratio", "median ratio", "budget", "met", "spread"]
    rows = []
    for outcome in outcomes:
        times = [seconds(t) for found in outcome.best for t in (found.cpu, found.median, found.p99)]
        ratios = [ratio(outcome.cpu_ratio), ratio(outcome.median_ratio)]
        spread = " / ".join(f"{value:.0%}" for value in outcome.spreads)
        rows.append(
            [outcome.case.title, *times, *ratios, budget(outcome.case), met(outcome), spread]
        )
    return table(head, rows)


def memory_table(outcomes: Sequence[Outcome]) -> str:
    """Memory of both sides."""
    rows = [
        [outcome.case.title, *map(size, outcome.memory), budget(outcome.case), met(outcome)]
        for outcome in outcomes
    ]
    return table(["case", "official", "ours", "budget", "met"], rows)


def tables(outcomes: Sequence[Outcome]) -> list[str]:
    """The tables of times and of memory, as far as there is something in them."""
    kinds: list[tuple[Callable[[Sequence[Outcome]], str], bool]] = [
        (time_table, False),
        (memory_table, True),
    ]
    chosen = [(make, [o for o in outcomes if o.case.kind.is_memory is m]) for make, m in kinds]
    return [make(some) for make, some in chosen if some]


def noise(outcomes: Sequence[Outcome]) -> str:
    """A sentence on how far the rounds agree."""
    spreads = sorted(s for o in outcomes if not o.case.kind.is_memory for s in o.spreads)
    if not spreads:
        return ""
    middle = spreads[len(spreads) // 2]
    verdict = "the machine was busy, measure again" if middle > NOISY else "the machine was quiet"
    return (
        f"Rounds differ in CPU by {middle:.0%} in the median case "
        f"and by {spreads[-1]:.0%} in the worst: {verdict}."
    )


# The page


def page(
    outcomes: Sequence[Outcome], facts: dict[str, str], rounds: int, latencies: Sequence[str]
) -> str:
    """RESULTS.md; `latencies` are the lines of `perf_analyzer`."""
    times, memory = tables(outcomes)
    beside = "\n".join(["## Latency beside the C++ client", "", _READING_LATENCY, *latencies, ""])
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"""\
# Speed and memory beside the official client

Written by `make bench`, {datetime.date.today().isoformat()}, {rounds} rounds.

{listed}

## Time

{times}

{noise(outcomes)}

{_READING}
## Memory

{memory}

{_READING_MEMORY}
{beside if latencies else ""}"""


def machine() -> dict[str, str]:
    """What is worth knowing of this machine."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return {
        "machine": f"{cores} cores, {_processor()}, {platform.system()} {platform.machine()}",
        "load before the run": f"{load:.2f}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown processor"
