"""Comparing two summary files: what changed, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import exits
from ..exits import SetupError
from ..options.values import Assertion
from .summary import read

#: Changes below this share are not worth telling, however certain they are.
_SMALL = 0.01


def compare_files(before: str, after: str, assertions: Sequence[Assertion] = ()) -> int:
    """Print a comparison; the exit code says whether something became worse."""
    try:
        old, new = read(before), read(after)
    except (OSError, ValueError) as error:
        raise SetupError(f"--compare: {error}") from None
    if assertions:
        raise SetupError("--assert can't be used with --compare; give it to the run itself")
    print(f"A: {before} ({_what(old)})")
    print(f"B: {after} ({_what(new)})")
    worse = False
    pairs = _pairs(old, new)
    if not pairs:
        raise SetupError("--compare: the files have no load in common, so nothing can be compared")
    for one, other in pairs:
        print(f"\n{one['mode'].replace('_', ' ')} {one['value']:g}:")
        for name, unit, better, old_value, new_value, noise in _figures(one, other):
            verdict, bad = _verdict(old_value, new_value, noise, better)
            worse = worse or bad
            change = 100 * (new_value - old_value) / old_value if old_value else 0.0
            print(
                f"  {name:<22}{old_value:>12.6g}{new_value:>12.6g} {unit:<10}"
                f"{change:+7.1f}%  {verdict}"
            )
    return exits.ASSERTION_FAILED if worse else exits.SUCCESS


def _what(document: dict[str, Any]) -> str:
    return f"{document['model']['name']}, {document['service']['protocol']}"


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    known = {
        (each["mode"], each["value"]): each for each in old["loads"] if each["measured"] is not None
    }
    return [
        (known[key], each)
        for each in new["loads"]
        if each["measured"] is not None and (key := (each["mode"], each["value"])) in known
    ]


def _figures(
    one: dict[str, Any], other: dict[str, Any]
) -> list[tuple[str, str, int, float, float, float | None]]:
    """Name, unit, which way is better, both values, and the 95 % half width of their difference."""
    a, b = one["measured"], other["measured"]
    rows: list[tuple[str, str, int, float, float, float | None]] = [
        ("throughput", "infer/sec", 1, a["throughput"], b["throughput"],
         _together(a["throughput_ci95"], b["throughput_ci95"])),
        ("latency", "usec", -1, a["latency_us"], b["latency_us"],
         _together(a["latency_ci95_us"], b["latency_ci95_us"])),
    ]  # fmt: skip
    kind = "scheduled_latency" if one["mode"] == "request_rate" else "latency"
    for name in ("p50", "p90", "p99", "p99.9"):
        left = a["distributions"].get(kind)
        right = b["distributions"].get(kind)
        if left and right:
            rows.append(
                (
                    f"{name} latency",
                    "usec",
                    -1,
                    left["percentiles_us"][name],
                    right["percentiles_us"][name],
                    _percentile_noise(one, other, left, right, name),
                )
            )
    failed = [_error_rate(each) for each in (one, other)]
    if any(failed):
        rows.append(("errors", "%", -1, failed[0], failed[1], 0.0))
    return rows


def _together(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else float((a**2 + b**2) ** 0.5)


def _percentile_noise(
    one: dict[str, Any],
    other: dict[str, Any],
    left: dict[str, Any],
    right: dict[str, Any],
    name: str,
) -> float | None:
    """Noise of a percentile: that of its rank, and how the windows differ."""
    spread = 0.0
    for load, found in ((one, left), (other, right)):
        windows = [window["p99_us"] for window in load["windows"] if window["count"]]
        if len(windows) < 2:
            return None
        mean = sum(windows) / len(windows)
        deviation = (sum((each - mean) ** 2 for each in windows) / (len(windows) - 1)) ** 0.5
        relative = deviation / mean if mean else 0.0
        spread += (relative * found["percentiles_us"][name]) ** 2
    return float(2 * spread**0.5)


def _error_rate(load: dict[str, Any]) -> float:
    done, failed = load["requests"]["succeeded"], load["requests"]["failed"]
    return 100 * failed / (done + failed) if done + failed else 0.0


def _verdict(old: float, new: float, noise: float | None, better: int) -> tuple[str, bool]:
    """What a change means, and whether it is a change for the worse."""
    change = new - old
    if noise is None:
        return "(one window: noise unknown)", False
    if abs(change) <= noise:
        return "within noise", False
    if old and abs(change) < _SMALL * abs(old):
        return "no change worth telling", False
    good = change * better > 0
    return ("better, more than noise" if good else "WORSE, more than noise"), not good
