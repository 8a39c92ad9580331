"""Conditions on the figures, for continuous integration."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from ..load import shared as c
from ..measure.figures import Figures, Point
from ..options.settings import Settings
from ..options.values import Assertion

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def broken(points: Sequence[Point], settings: Settings) -> list[str]:
    """What does not hold, in words; each condition must hold for each load."""
    found = []
    for assertion in settings.assertions:
        for point in points:
            figures = point.reported
            if figures is None:
                found.append(f"{assertion.text}: nothing was measured at {point.value:g}")
                continue
            value = figure(assertion, figures, point, settings)
            if not _COMPARE[assertion.operator](value, assertion.limit):
                found.append(
                    f"{assertion.text}: {assertion.figure} is {shown(assertion, value)} at "
                    f"{point.mode.replace('_', ' ')} {point.value:g}"
                )
    return found


def figure(assertion: Assertion, figures: Figures, point: Point, settings: Settings) -> float:
    """A figure by its name; latencies in microseconds, in rate modes as scheduled."""
    name = assertion.figure
    if name == "throughput":
        return figures.throughput
    if name == "goodput":
        return figures.goodput
    if name == "output_tokens":
        return figures.token_throughput
    if name == "errors":
        total = point.total_done + point.total_failed
        if assertion.unit != "%":
            return point.total_failed
        return 100 * point.total_failed / total if total else 0.0
    kinds = (("lag", c.LAG), ("ttft", c.TTFT), ("itl", c.ITL))
    for prefix, kind in kinds:
        if name == prefix:
            return figures.percentile(99, kind)
        if name.startswith(f"{prefix}_p"):
            return figures.percentile(float(name[len(prefix) + 2 :]), kind)
    scheduled = settings.open_loop or name.startswith("scheduled_")
    name = name.removeprefix("scheduled_")
    if name == "avg":
        return figures.scheduled_latency if scheduled else figures.latency
    return figures.percentile(float(name[1:]), c.PLANNED if scheduled else c.SERVICE)


def shown(assertion: Assertion, value: float) -> str:
    """A value in the unit of its condition."""
    scale = {"ms": 1e3, "s": 1e6}.get(assertion.unit, 1.0)
    value /= scale
    return f"{value:.0f}{assertion.unit}" if value >= 1e6 else f"{value:.6g}{assertion.unit}"
