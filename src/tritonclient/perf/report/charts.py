"""Charts as SVG: lines over axes, drawn without a library so that a report is small and whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 18, 16, 46
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2")


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        points: x, y, and what a reader sees who points at it.
        dots: whether each point is marked.
    """

    name: str
    points: Sequence[tuple[float, float, str]]
    dots: bool = False


class Axis(NamedTuple):
    """An axis: its label, its range, where it has marks, and how numbers are placed on it."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    place: Callable[[float], float] = float


def short(value: float) -> str:
    """A number in few characters."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = {"G": 1e9, "M": 1e6, "k": 1e3}[letter]
            return f"{value / scale:.4g}{letter}"
    return f"{value:.4g}"


def linear(label: str, values: Sequence[float], zero: bool = True) -> Axis:
    """An axis with round numbers that holds all values."""
    low = 0.0 if zero else min(values, default=0.0)
    high = max(values, default=1.0)
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    ticks = [(index * step, short(index * step)) for index in range(first, last + 1)]
    return Axis(label, first * step, last * step, ticks)


def logarithmic(label: str, values: Sequence[float]) -> Axis:
    """An axis with powers of ten that holds all values above 0."""
    above = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(above)))
    high = math.ceil(math.log10(max(above)) + 1e-9)
    ticks = [(10.0**power, short(10.0**power)) for power in range(low, high + 1)]
    return Axis(label, 10.0**low, 10.0**high, ticks, lambda value: math.log10(max(value, 1e-12)))


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """A chart as an SVG element."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    to_x = _scale(x, _LEFT, WIDTH - _RIGHT)
    to_y = _scale(y, HEIGHT - _BOTTOM, _TOP)
    for value, text in y.ticks:
        at = to_y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{at + 4}" text-anchor="end">{text}</text>'
        )
    for value, text in x.ticks:
        at = to_x(value)
        parts.append(
            f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
        )
        parts.append(
            f'<text class="tick" x="{at}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
    parts.append(
        f'<text class="label" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{escape(x.label)}</text>'
    )
    parts.append(
        f'<text class="label" transform="translate(15 {HEIGHT / 2 - 12}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.label)}</text>'
    )
    for index, line in enumerate(lines):
        parts.append(_drawn(line, COLORS[index % len(COLORS)], to_x, to_y))
    return "".join([*parts, "</svg>", _legend(lines)])


def _scale(axis: Axis, begin: float, end: float) -> Callable[[float], float]:
    low, high = axis.place(axis.low), axis.place(axis.high)
    span = high - low or 1.0

    def to(value: float) -> float:
        return round(begin + (axis.place(value) - low) / span * (end - begin), 1)

    return to


def _drawn(
    line: Line, color: str, to_x: Callable[[float], float], to_y: Callable[[float], float]
) -> str:
    path = " ".join(f"{to_x(x)},{to_y(y)}" for x, y, _ in line.points)
    parts = [f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{path}"/>']
    for x, y, text in line.points if line.dots or len(line.points) <= 120 else ():
        radius = 4 if line.dots else 2
        parts.append(
            f'<circle cx="{to_x(x)}" cy="{to_y(y)}" r="{radius}" fill="{color}">'
            f"<title>{escape(text)}</title></circle>"
        )
    return "".join(parts)


def _legend(lines: Sequence[Line]) -> str:
    if len(lines) < 2:
        return ""
    entries = "".join(
        f'<span><i style="background:{COLORS[index % len(COLORS)]}"></i>{escape(line.name)}</span>'
        for index, line in enumerate(lines)
    )
    return f'<div class="legend">{entries}</div>'
