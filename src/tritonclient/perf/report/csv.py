"""The CSV file, and those of composing models."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import Any

from ..data.model import ModelInfo
from ..measure.figures import Figures, Point
from ..measure.server import ModelSide
from ..options.settings import Settings
from .numbers import general, percentile_name, percentiles, usec


def write(points: Sequence[Point], settings: Settings, model: ModelInfo) -> list[str]:
    """Write the files; their paths."""
    shown = sorted(
        (point for point in points if point.shown),
        key=lambda point: point.reported.throughput,  # type: ignore[union-attr]
    )
    path = settings.csv_file
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_header(settings, model, shown))
        for point in shown:
            writer.writerow(_row(point, settings, model, shown))
    return [path, *_composing(shown, settings, model)]


def _first(settings: Settings) -> str:
    return "Request Rate" if settings.open_loop else "Concurrency"


def _has_server(shown: Sequence[Point]) -> bool:
    return any(point.reported and point.reported.server for point in shown)


def _server_columns(model: ModelInfo) -> list[str]:
    columns = ["Network+Server Send/Recv", "Server Queue", "Server Compute Input",
               "Server Compute Infer", "Server Compute Output"]  # fmt: skip
    return [*columns, "Server Cache Hit", "Server Cache Miss"] if model.cached else columns


def _header(settings: Settings, model: ModelInfo, shown: Sequence[Point]) -> list[str]:
    columns = [_first(settings), "Inferences/Second"]
    if model.decoupled:
        columns.append("Response Throughput")
    columns.append("Client Send")
    if _has_server(shown):
        columns += _server_columns(model)
    columns.append("Client Recv")
    columns += [f"{percentile_name(p)} latency" for p in percentiles(settings.percentile)]
    if settings.verbose_csv:
        if settings.percentile <= 0:
            columns.append("Avg latency")
        columns += ["request/response", "response wait"]
        if settings.collect_metrics:
            columns += ["Avg GPU Utilization", "Avg GPU Power Usage", "Max GPU Memory Usage",
                        "Total GPU Memory"]  # fmt: skip
    return columns


def _row(point: Point, settings: Settings, model: ModelInfo, shown: Sequence[Point]) -> list[Any]:
    figures = point.reported
    assert figures is not None
    send, receive = usec(figures.send), usec(figures.receive)
    row: list[Any] = [general(point.value), general(figures.throughput)]
    if model.decoupled:
        row.append(general(figures.response_throughput))
    if not _library(settings, model):
        send = receive = 0
    row.append(send)
    if _has_server(shown):
        row += _server(figures, model, send, receive)
    row.append(receive)
    row += [usec(figures.percentile(p)) for p in percentiles(settings.percentile)]
    if settings.verbose_csv:
        if settings.percentile <= 0:
            row.append(usec(figures.latency))
        row += [send + receive, usec(figures.wait)]
        if settings.collect_metrics:
            row += point.metrics.cells() if point.metrics is not None else [""] * 4
    return row


def _library(settings: Settings, model: ModelInfo) -> bool:
    return settings.service_kind != "triton_c_api" and not model.decoupled


def _server(figures: Figures, model: ModelInfo, send: int, receive: int) -> list[Any]:
    server = figures.server
    if server is None:
        return [""] * len(_server_columns(model))
    own = server.model
    times = [own.average(name) for name in ("queue", "compute_input", "compute_infer",
                                            "compute_output")]  # fmt: skip
    cache = [own.average("cache_hit"), own.average("cache_miss")] if model.cached else []
    rest = usec(figures.latency) - send - receive - sum(times) - sum(cache)
    return [max(0, rest), *times, *cache]


def _composing(shown: Sequence[Point], settings: Settings, model: ModelInfo) -> list[str]:
    """A file for each composing model."""
    rows: dict[tuple[str, str], list[list[Any]]] = {}
    for point in shown:
        figures = point.reported
        assert figures is not None
        if figures.server is None:
            continue
        whole = figures.server.model.successes
        for each in figures.server.composing:
            ratio = each.successes / whole if whole else 1.0
            row = _composing_row(each, model)
            head = [general(point.value), general(figures.throughput * ratio), 0]
            rows.setdefault((each.name, each.version), []).append([*head, *row, 0])
    folder, name = os.path.split(settings.csv_file)
    paths = []
    for (each_name, version), lines in rows.items():
        path = os.path.join(folder, f"{each_name.replace('/', '_')}_v{version}.{name}")
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([_first(settings), "Inferences/Second", "Client Send",
                             *_server_columns(model), "Client Recv"])  # fmt: skip
            writer.writerows(lines)
        paths.append(path)
    return paths


def _composing_row(side: ModelSide, model: ModelInfo) -> list[int]:
    times = [side.average(name) for name in ("queue", "compute_input", "compute_infer",
                                             "compute_output")]  # fmt: skip
    cache = [side.average("cache_hit"), side.average("cache_miss")] if model.cached else []
    rest = side.average("success") - sum(times) - sum(cache)
    return [max(0, rest), *times, *cache]
