"""Adding summary files of one load from several hosts, or of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..load import histogram
from .summary import distribution, read


def merge_files(paths: Sequence[str]) -> dict[str, Any]:
    """The summary of several files together.

    Counts, rates and histograms are added: the files are of loads that ran at the same time.

    Raises:
        ValueError: they are not of the same loads.
        OSError: one can't be read.
    """
    documents = [read(path) for path in paths]
    first = documents[0]
    for path, other in zip(paths[1:], documents[1:], strict=True):
        for name in ("model", "batch_size", "percentile"):
            if other[name] != first[name]:
                raise ValueError(
                    f"{path} has {name} {other[name]!r}, expected {first[name]!r} as {paths[0]} has"
                )
        if [each["mode"] for each in other["loads"]] != [each["mode"] for each in first["loads"]]:
            raise ValueError(
                f"{path} has the loads {_names(other)}; expected as many of the same kind as "
                f"{paths[0]} has: {_names(first)}"
            )
    merged = dict(first)
    merged["merged"] = sum(each.get("merged", 1) for each in documents)
    merged["host"] = ", ".join(dict.fromkeys(each["host"] for each in documents))
    merged["written"] = max(each["written"] for each in documents)
    merged["loads"] = [
        _load([each["loads"][index] for each in documents], first)
        for index in range(len(first["loads"]))
    ]
    return merged


def _names(document: dict[str, Any]) -> str:
    """The loads of a summary in words."""
    return ", ".join(
        f"{load['mode'].replace('_', ' ')} {load['value']:g}" for load in document["loads"]
    )


def _load(loads: list[dict[str, Any]], document: dict[str, Any]) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    for load in loads:
        for kind, found in load["requests"]["errors"].items():
            known = errors.setdefault(kind, {"count": 0, "example": found["example"]})
            known["count"] += found["count"]
    measured = [load["measured"] for load in loads if load["measured"] is not None]
    return {
        "mode": loads[0]["mode"],
        "value": sum(load["value"] for load in loads),
        "stable": all(load["stable"] for load in loads),
        "over_limit": any(load["over_limit"] for load in loads),
        "interrupted": any(load["interrupted"] for load in loads),
        "server_lost": any(load["server_lost"] for load in loads),
        "requests": {
            "succeeded": sum(load["requests"]["succeeded"] for load in loads),
            "failed": sum(load["requests"]["failed"] for load in loads),
            "errors": errors,
        },
        "windows": [window for load in loads for window in load["windows"]],
        "series": sorted(sample for load in loads for sample in load["series"]),
        "measured": _measured(measured, document) if measured else None,
    }


_SUMS = ("count", "failed", "delayed", "dropped", "sequences", "throughput",
         "response_throughput", "send_rate")  # fmt: skip


def _measured(found: list[dict[str, Any]], document: dict[str, Any]) -> dict[str, Any]:
    merged = dict(found[0])
    for name in _SUMS:
        merged[name] = sum(each[name] for each in found)
    merged["seconds"] = max(each["seconds"] for each in found)
    merged["windows"] = min(each["windows"] for each in found)
    # Errors of independent sums add up by their squares.
    intervals = [each["throughput_ci95"] for each in found]
    merged["throughput_ci95"] = (
        None if None in intervals else sum(value**2 for value in intervals) ** 0.5
    )
    merged["latency_ci95_us"] = None
    count = max(1, merged["count"])
    client = dict(found[0]["client"])
    for name in client:
        if name in ("cpu", "workers"):
            client[name] = sum(each["client"][name] for each in found)
        else:
            client[name] = sum(each["client"][name] * each["count"] for each in found) / count
    merged["client"] = client
    names = dict.fromkeys(name for each in found for name in each["distributions"])
    merged["distributions"] = {name: _distribution(found, name) for name in names}
    judged = "scheduled_latency" if document["open_loop"] else "latency"
    values = merged["distributions"].get(judged, {})
    percent = document["percentile"]
    if percent is None:
        merged["latency_us"] = values.get("mean_us", 0.0)
    elif values:
        counts = histogram.from_json(values["histogram"])
        merged["latency_us"] = histogram.percentile(counts, percent) / 1000
    return merged


def _distribution(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    total = histogram.empty()
    weighted = 0.0
    for each in found:
        if name in each["distributions"]:
            counts = histogram.from_json(each["distributions"][name]["histogram"])
            total = total + counts
            weighted += each["distributions"][name]["mean_us"] * int(counts.sum())
    return distribution(total, weighted / max(1, int(total.sum())))
