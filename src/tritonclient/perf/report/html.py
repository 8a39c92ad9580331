"""The HTML report: one file that needs no other, made of a summary.

Its charts are SVG that is written here: a library for charts would be a hundred times as large as
all that the report says.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from ..load import histogram
from . import charts
from .charts import Axis, Line

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --paper: #fff;
  --card: #f9fafb; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --soft: #9ca3af; --line: #374151;
  --paper: #111827; --card: #1f2937; --bad: #f87171; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.note, figcaption { color: var(--soft); margin: .25rem 0; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .6rem 1rem; min-width: 8rem; }
.tiles b { display: block; font-size: 1.25rem; } .tiles .bad b { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3rem .45rem; font-size: 14px;
  border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.text { text-align: left;
  white-space: normal; }
figure { margin: .5rem 0 1.5rem; } svg { width: 100%; height: auto; display: block; }
svg .grid { stroke: var(--line); } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.legend { display: flex; flex-wrap: wrap; gap: 1rem; font-size: 13px; color: var(--soft);
  padding-left: 74px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px;
  margin-right: 5px; }
"""
_QUANTILES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)


def write(document: dict[str, Any], path: str) -> None:
    """Write the report of a summary."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(render(document))


def render(document: dict[str, Any]) -> str:
    """The report of a summary."""
    model = document["model"]["name"]
    title = f"Performance of {model}"
    return "".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            *_head(document, title),
            *_tiles(document),
            *_table(document),
            *_knee(document),
            *_spectrum(document),
            *_series(document),
            *_errors(document),
            "</body></html>\n",
        ]
    )


def _head(document: dict[str, Any], title: str) -> Iterator[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(document["written"]))
    service = document["service"]
    yield f"<h1>{escape(title)}</h1>"
    where = f"{service['kind']} over {service['protocol']}"
    if document.get("merged", 1) > 1:
        where += f", {document['merged']} files together"
    yield f'<p class="note">{escape(where)} &middot; {when} &middot; {escape(document["host"])}</p>'
    yield f"<p><code>perf_analyzer {escape(shlex.join(document['arguments']))}</code></p>"


def _measured(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [load for load in document["loads"] if load["measured"] is not None]


def _judged(document: dict[str, Any], load: dict[str, Any]) -> dict[str, Any]:
    """The latency distribution that counts: in rate modes the one from the intended send."""
    name = "scheduled_latency" if document["open_loop"] else "latency"
    found: dict[str, Any] = load["measured"]["distributions"][name]
    return found


def _name(load: dict[str, Any]) -> str:
    if load["mode"] == "request_rate":
        return f"{load['value']:g}/s"
    return f"concurrency {load['value']:g}"


def _tiles(document: dict[str, Any]) -> Iterator[str]:
    loads = _measured(document)
    if not loads:
        yield '<p class="note">Nothing was measured.</p>'
        return
    best = max(loads, key=lambda load: float(load["measured"]["throughput"]))
    found = _judged(document, best)
    failed = sum(load["requests"]["failed"] for load in document["loads"])
    yield '<div class="tiles">'
    yield f"<div>best throughput<b>{charts.short(best['measured']['throughput'])}/s</b></div>"
    yield f"<div>at<b>{_name(best)}</b></div>"
    for name in ("p50", "p99", "p99.9"):
        yield f"<div>{name} there<b>{_time(found['percentiles_us'][name])}</b></div>"
    kind = ' class="bad"' if failed else ""
    yield f"<div{kind}>failed requests<b>{failed}</b></div></div>"


def _time(usec: float) -> str:
    if usec >= 1e6:
        return f"{usec / 1e6:.3g} s"
    return f"{usec / 1e3:.3g} ms" if usec >= 1e3 else f"{usec:.0f} us"


def _table(document: dict[str, Any]) -> Iterator[str]:
    heads = ("load", "throughput/s", "&plusmn; 95%", "mean", "p50", "p90", "p95", "p99", "p99.9",
             "p99.99", "max", "failed", "stable")  # fmt: skip
    yield '<h2>Loads</h2><div class="wide"><table><tr>'
    yield "".join(f"<th>{head}</th>" for head in heads) + "</tr>"
    for load in document["loads"]:
        measured = load["measured"]
        if measured is None:
            yield f"<tr><td>{_name(load)}</td>" + "<td></td>" * (len(heads) - 3)
            yield f"<td>{load['requests']['failed']}</td><td>no</td></tr>"
            continue
        found = _judged(document, load)
        percentiles = found["percentiles_us"]
        interval = measured["throughput_ci95"]
        cells = [
            charts.short(measured["throughput"]),
            "" if interval is None else charts.short(interval),
            _time(found["mean_us"]),
            *(_time(percentiles[name]) for name in heads[4:10]),
            _time(found["max_us"]),
            str(load["requests"]["failed"]),
            "yes" if load["stable"] else "no",
        ]
        yield f"<tr><td>{_name(load)}</td>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
    yield "</table></div>"
    if document["open_loop"]:
        yield '<p class="note">Latencies count from when a request was to be sent.</p>'


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def _knee(document: dict[str, Any]) -> Iterator[str]:
    loads = sorted(_measured(document), key=lambda load: float(load["value"]))
    if not loads:
        return
    lines = []
    for name in ("p50", "p95", "p99"):
        points = []
        for load in loads:
            x = load["measured"]["throughput"]
            y = _judged(document, load)["percentiles_us"][name] / 1000
            points.append((x, y, f"{_name(load)}: {charts.short(x)}/s, {name} {y:.4g} ms"))
        lines.append(Line(name, points, dots=True))
    xs = [x for line in lines for x, _, _ in line.points]
    ys = [y for line in lines for _, y, _ in line.points]
    drawing = charts.chart(
        "Latency against throughput",
        charts.linear("throughput (inferences per second)", xs),
        charts.linear("latency (ms)", ys),
        lines,
    )
    yield "<h2>Latency against throughput</h2>"
    yield _figure(drawing, "Where latency begins to rise steeply, more load gains little.")


def _spectrum(document: dict[str, Any]) -> Iterator[str]:
    lines = []
    for load in _measured(document)[:6]:
        counts = histogram.from_json(_judged(document, load)["histogram"])
        lines.append(Line(_name(load), _tail(counts)))
    if not lines:
        return
    ticks = [(1 / (1 - q), f"p{100 * q:g}") for q in _QUANTILES if q]
    high = max(10.0, max(x for line in lines for x, _, _ in line.points))
    axis = Axis(
        "percentile",
        1.0,
        high,
        [(at, text) for at, text in ticks if at <= high * 1.001],
        lambda value: float(np.log10(max(value, 1.0))),
    )
    ys = [y for line in lines for _, y, _ in line.points]
    drawing = charts.chart(
        "Latency by percentile", axis, charts.logarithmic("latency (ms)", ys), lines
    )
    yield "<h2>Latency by percentile</h2>"
    yield _figure(
        drawing,
        "The further to the right, the rarer the latency: from p90 to p99 it is ten times as rare.",
    )


def _tail(counts: histogram.Counts) -> list[tuple[float, float, str]]:
    """Points of a distribution, evenly spaced towards rare values."""
    total = int(counts.sum())
    points = []
    rare = 1.0
    while rare <= max(total, 10) and rare <= 1e6:
        percent = 100 * (1 - 1 / rare)
        value = histogram.percentile(counts, percent) / 1e6
        points.append((rare, max(value, 1e-6), f"p{percent:.6g}: {value:.4g} ms"))
        rare *= 10**0.1
    return points


def _series(document: dict[str, Any]) -> Iterator[str]:
    samples = [sample for load in document["loads"] for sample in load["series"]]
    if len(samples) < 2:
        return
    begin = min(sample[0] for sample in samples)
    xs = [sample[0] - begin for sample in samples]
    time_axis = charts.linear("time (s)", xs)

    def line(name: str, index: int, scale: float = 1.0) -> Line:
        points = [
            (sample[0] - begin, sample[index] / scale, f"{sample[0] - begin:.2f} s: "
             f"{sample[index] / scale:.4g}")
            for sample in samples
        ]  # fmt: skip
        return Line(name, points)

    rates = [line("succeeded", 1)]
    if any(sample[2] for sample in samples):
        rates.append(line("failed", 2))
    yield "<h2>Over time</h2>"
    yield _figure(
        _over_time("Requests per second", "requests per second", time_axis, rates),
        "Requests per second that ended, all loads one after the other.",
    )
    latencies = [line("p50", 3, 1e3), line("p95", 4, 1e3), line("p99", 5, 1e3)]
    yield _figure(
        _over_time("Latency", "latency (ms)", time_axis, latencies),
        "Latency of the requests that ended in each quarter of a second.",
    )


def _over_time(title: str, label: str, time_axis: Axis, lines: list[Line]) -> str:
    ys = [y for line in lines for _, y, _ in line.points]
    return charts.chart(title, time_axis, charts.linear(label, ys), lines)


def _errors(document: dict[str, Any]) -> Iterator[str]:
    rows = [
        (load, kind, found)
        for load in document["loads"]
        for kind, found in load["requests"]["errors"].items()
    ]
    if not rows:
        return
    yield '<h2>Errors</h2><div class="wide"><table>'
    yield "<tr><th>load</th><th>kind</th><th>count</th><th>such as</th></tr>"
    for load, kind, found in rows:
        yield (
            f"<tr><td>{_name(load)}</td><td>{escape(kind)}</td><td>{found['count']}</td>"
            f'<td class="text">{escape(found["example"][:300])}</td></tr>'
        )
    yield "</table></div>"
