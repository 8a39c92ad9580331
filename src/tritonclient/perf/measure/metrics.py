"""The server's GPU metrics, polled while windows run."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..exits import SetupError
from ..options.settings import Settings
from ..services.addresses import url_of

#: Names of the metrics, as Triton gives them.
_METRICS = {
    "utilization": "nv_gpu_utilization",
    "power": "nv_gpu_power_usage",
    "used": "nv_gpu_memory_used_bytes",
    "total": "nv_gpu_memory_total_bytes",
}
_LINE = re.compile(
    r'^(\w+)\{[^}]*?gpu_uuid="([^"]*)"[^}]*\}\s+([-+0-9.eE]+)(?:\s+\d+)?\s*$', re.MULTILINE
)
_TIMEOUT = 5.0
_MOST_BYTES = 16 << 20


def parse(text: str) -> dict[str, dict[str, float]]:
    """By metric and GPU the values in a page of metrics."""
    found: dict[str, dict[str, float]] = {name: {} for name in _METRICS}
    names = {full: name for name, full in _METRICS.items()}
    for match in _LINE.finditer(text):
        name = names.get(match[1])
        if name is not None:
            try:
                found[name][match[2]] = float(match[3])
            except ValueError:
                continue
    return found


def plain(value: float) -> str:
    """A number as the official report writes it."""
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


@dataclass
class GpuMetrics:
    """What was seen during a load, by metric and GPU."""

    seen: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {name: {} for name in _METRICS}
    )

    def add(self, values: dict[str, dict[str, float]]) -> None:
        """Add what a poll has found."""
        for name, by_gpu in values.items():
            for gpu, value in by_gpu.items():
                self.seen[name].setdefault(gpu, []).append(value)

    def value(self, name: str) -> dict[str, float]:
        """By GPU the mean, the largest (memory used) or the first (memory in all)."""
        found = {}
        for gpu, values in self.seen[name].items():
            if name == "used":
                found[gpu] = max(values)
            elif name == "total":
                found[gpu] = values[0]
            else:
                found[gpu] = sum(values) / len(values)
        return found

    def groups(self) -> list[tuple[str, str, dict[str, str]]]:
        """For the console: heading, unit, and values by GPU."""
        heads = (
            ("utilization", "Avg GPU Utilization", "%", 100.0),
            ("power", "Avg GPU Power Usage", " watts", 1.0),
            ("used", "Max GPU Memory Usage", " bytes", 1.0),
            ("total", "Total GPU Memory", " bytes", 1.0),
        )
        return [
            (head, unit, {gpu: plain(v * scale) for gpu, v in self.value(name).items()})
            for name, head, unit, scale in heads
        ]

    def cells(self) -> list[str]:
        """For the CSV file."""
        return [
            "".join(f"{gpu}:{plain(value)};" for gpu, value in self.value(name).items())
            for name in _METRICS
        ]

    def to_json(self) -> dict[str, Any]:
        """For the summary."""
        return {name: self.value(name) for name in _METRICS}


class Poller:
    """Polls metrics in a thread between `begin` and `end`.

    Raises:
        SetupError: there are no metrics at the URL.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self._url = _url(settings)
        self._interval = settings.metrics_interval / 1000
        self._warn = warn
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._metrics = GpuMetrics()
        self._failed = ""
        try:
            first = self._fetch()
        except (OSError, ValueError) as error:
            raise SetupError(
                "Unable to connect to Metrics endpoint "
                f"{self._url.removeprefix('http://')}: {error}"
            ) from None
        for name, full in _METRICS.items():
            if not first[name]:
                warn(f"WARNING: Unable to parse '{full}' metric.")

    def _fetch(self) -> dict[str, dict[str, float]]:
        with urllib.request.urlopen(self._url, timeout=_TIMEOUT) as answer:
            return parse(answer.read(_MOST_BYTES).decode("utf-8", "replace"))

    def begin(self) -> None:
        """Begin to poll."""
        self._metrics = GpuMetrics()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                values = self._fetch()
            except (OSError, ValueError) as error:
                self._failed = str(error)
            else:
                with self._lock:
                    self._metrics.add(values)
            if self._stop.wait(self._interval):
                return

    def end(self) -> GpuMetrics:
        """End polling; what was seen."""
        self.close()
        if self._failed:
            self._warn(f"WARNING: GPU metrics are incomplete: {self._failed}")
            self._failed = ""
        with self._lock:
            return self._metrics

    def close(self) -> None:
        """End polling."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(_TIMEOUT)


def _url(settings: Settings) -> str:
    given = settings.metrics_url
    if given:
        return given if "://" in given else f"http://{given}"
    host = url_of(settings).split("://", 1)[1].split("/", 1)[0].rpartition(":")[0]
    return f"http://{host}:8002/metrics"
