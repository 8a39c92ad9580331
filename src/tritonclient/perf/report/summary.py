"""The summary file: all figures and histograms of a run as JSON.

Its schema is `summary.schema.json` beside this module.

Files of one load from several hosts can be added, since histograms can (`report.merge`).
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from ..load import histogram
from ..load import shared as c
from ..measure.figures import Figures, Point, confidence
from ..measure.stability import judged_latency
from ..options.settings import Settings
from ..services.service import Service

FORMAT = 1
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
#: Names of the histograms.
_KINDS = {
    "latency": c.SERVICE,
    "scheduled_latency": c.PLANNED,
    "schedule_lag": c.LAG,
    "time_to_first_token": c.TTFT,
    "inter_token_latency": c.ITL,
}


def schema() -> dict[str, Any]:
    """The JSON schema of summary files."""
    text = (
        files(__name__.rpartition(".")[0])
        .joinpath("summary.schema.json")
        .read_text(encoding="utf-8")
    )
    value: dict[str, Any] = json.loads(text)
    return value


def document(points: Sequence[Point], settings: Settings, service: Service) -> dict[str, Any]:
    """The content of the file."""
    return {
        "format": FORMAT,
        "program": "perf_analyzer",
        "version": version("tritonclient"),
        "written": time.time(),
        "host": platform.node(),
        "arguments": list(settings.arguments),
        "model": {"name": settings.model_name, "version": service.model.version},
        "service": {
            "kind": settings.service_kind,
            "protocol": settings.protocol,
            "url": settings.url,
        },
        "batch_size": settings.batch_size,
        "open_loop": settings.open_loop,
        "percentile": settings.percentile if settings.percentile > 0 else None,
        "loads": [_load(point, settings) for point in points],
    }


def write(value: dict[str, Any], path: str) -> None:
    """Write a file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def _load(point: Point, settings: Settings) -> dict[str, Any]:
    figures = point.reported
    found: dict[str, Any] = {
        "mode": point.mode,
        "value": point.value,
        "stable": point.stable,
        "over_limit": point.over_limit,
        "interrupted": point.interrupted,
        "server_lost": point.lost,
        "requests": {
            "succeeded": point.total_done,
            "failed": point.total_failed,
            "errors": {
                kind: {"count": count, "example": text}
                for kind, (count, text) in point.errors.items()
            },
        },
        "windows": [_window(each, settings) for each in point.windows],
        "series": [list(each) for each in map(_sample, point.samples)],
        "measured": None,
    }
    if figures is not None and figures.count:
        found["measured"] = _measured(point, figures, settings)
    return found


def _sample(sample: Any) -> tuple[float, ...]:
    return (
        sample.at / 1e9,
        sample.rate,
        sample.errors,
        sample.p50,
        sample.p95,
        sample.p99,
        sample.in_flight,
    )


def _window(figures: Figures, settings: Settings) -> dict[str, Any]:
    return {
        "seconds": figures.seconds,
        "count": figures.count,
        "failed": figures.failed,
        "throughput": figures.throughput,
        "latency_us": judged_latency(figures, settings),
        "p99_us": figures.percentile(99, c.PLANNED if settings.open_loop else c.SERVICE),
    }


def _measured(point: Point, figures: Figures, settings: Settings) -> dict[str, Any]:
    interval = confidence([each.throughput for each in point.reported_windows])
    latencies = confidence([judged_latency(each, settings) for each in point.reported_windows])
    found: dict[str, Any] = {
        "seconds": figures.seconds,
        "windows": len(point.reported_windows),
        "count": figures.count,
        "failed": figures.failed,
        "throughput": figures.throughput,
        "throughput_ci95": None if interval is None else interval.half,
        "latency_us": judged_latency(figures, settings),
        "latency_ci95_us": None if latencies is None else latencies.half,
        "response_throughput": figures.response_throughput,
        "send_rate": figures.send_rate,
        "delayed": figures.delayed,
        "dropped": figures.dropped,
        "sequences": figures.sequences,
        "client": {
            "send_us": figures.send,
            "wait_us": figures.wait,
            "receive_us": figures.receive,
            "overhead_percent": figures.overhead,
            "cpu": figures.cpu,
            "cpu_us_per_request": figures.cpu_per_request,
            "workers": figures.workers,
        },
        "server": _server(figures),
        "distributions": {
            name: distribution(figures.histogram(kind), _mean(name, figures))
            for name, kind in _KINDS.items()
            if figures.histogram(kind).any()
        },
    }
    if settings.service_kind == "openai":
        found["tokens"] = {
            "output": figures.tokens,
            "output_per_second": figures.token_throughput,
            "input": int(figures.counted.cells[c.INPUT_TOKENS]),
            "goodput": figures.goodput if settings.goodput else None,
        }
    if point.metrics is not None:
        found["gpu"] = point.metrics.to_json()
    return found


def _mean(name: str, figures: Figures) -> float | None:
    """The exact mean where the sum is known."""
    if name == "latency":
        return figures.latency
    return figures.scheduled_latency if name == "scheduled_latency" else None


def distribution(counts: histogram.Counts, mean: float | None = None) -> dict[str, Any]:
    """A histogram and what it says, in microseconds."""
    return {
        "count": int(counts.sum()),
        "mean_us": histogram.mean(counts) / 1000 if mean is None else mean,
        "std_us": histogram.deviation(counts) / 1000,
        "min_us": histogram.smallest(counts) / 1000,
        "max_us": histogram.largest(counts) / 1000,
        "percentiles_us": {
            f"p{percent:g}": histogram.percentile(counts, percent) / 1000 for percent in PERCENTILES
        },
        "histogram": histogram.to_json(counts),
    }


def _server(figures: Figures) -> Any:
    server = figures.server
    if server is None:
        return None
    return [
        {
            "model": side.name,
            "version": side.version,
            "inference_count": side.inferences,
            "execution_count": side.executions,
            "durations": {
                name: {"count": count, "ns": ns} for name, (count, ns) in side.durations.items()
            },
        }
        for side in (server.model, *server.composing)
    ]


def read(path: str) -> dict[str, Any]:
    """A summary file.

    Raises:
        ValueError: it is none.
        OSError: it can't be read.
    """
    with open(path, encoding="utf-8") as file:
        try:
            value = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict) or value.get("program") != "perf_analyzer":
        raise ValueError(f"{path} is no summary file, expected one that --summary-file wrote")
    if value.get("format") != FORMAT:
        raise ValueError(f"{path} has the format {value.get('format')!r}, expected {FORMAT}")
    return value
