"""The server's side of a time: differences of its statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...messages import ModelStatistics
from ..data.model import ModelInfo

_DURATIONS = (
    "success",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)


@dataclass(frozen=True)
class ModelSide:
    """What one model did.

    Attributes:
        durations: by name of the statistic a count and nanoseconds.
    """

    name: str
    version: str
    inferences: int = 0
    executions: int = 0
    durations: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __add__(self, other: ModelSide) -> ModelSide:
        durations = {
            name: (
                self.durations[name][0] + other.durations[name][0],
                self.durations[name][1] + other.durations[name][1],
            )
            for name in self.durations
        }
        return ModelSide(
            self.name,
            self.version,
            self.inferences + other.inferences,
            self.executions + other.executions,
            durations,
        )

    def count(self, name: str) -> int:
        """How often something happened."""
        return self.durations.get(name, (0, 0))[0]

    def average(self, name: str) -> int:
        """Its mean time in microseconds, cut off as the official tool does."""
        count, ns = self.durations.get(name, (0, 0))
        return ns // (count * 1000) if count else 0

    @property
    def successes(self) -> int:
        """Requests that succeeded."""
        return self.count("success")

    @property
    def hit(self) -> int:
        """Mean time of a cache hit, over all requests that asked the cache or computed."""
        return self._shared("cache_hit")

    @property
    def miss(self) -> int:
        """Mean time of a cache miss with its computing, likewise."""
        return sum(map(self._shared, ("cache_miss", "compute_input", "compute_infer",
                                      "compute_output")))  # fmt: skip

    def _shared(self, name: str) -> int:
        total = self.count("compute_infer") + self.count("cache_hit")
        return self.durations.get(name, (0, 0))[1] // (total * 1000) if total else 0

    @property
    def compute(self) -> int:
        """Mean time of computing, with its input and output."""
        return sum(map(self.average, ("compute_input", "compute_infer", "compute_output")))


@dataclass(frozen=True)
class ServerSide:
    """What the server did in a time: the model, and those that it is composed of."""

    model: ModelSide
    composing: tuple[ModelSide, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: ServerSide) -> ServerSide:
        mine = {(each.name, each.version): each for each in self.composing}
        for each in other.composing:
            key = (each.name, each.version)
            mine[key] = mine[key] + each if key in mine else each
        warnings = tuple(dict.fromkeys((*self.warnings, *other.warnings)))
        return ServerSide(self.model + other.model, tuple(mine.values()), warnings)

    @property
    def parts(self) -> tuple[ModelSide, ...]:
        """Whose times add up: the composing models, or the model itself."""
        return self.composing or (self.model,)

    @property
    def request(self) -> int:
        """Mean time of a request in the server."""
        return self.model.average("success")

    @property
    def queue(self) -> int:
        """Mean time in the queue."""
        return sum(each.average("queue") for each in self.parts)

    @property
    def compute(self) -> int:
        """Mean time of computing."""
        return sum(each.compute for each in self.parts)

    def average(self, name: str) -> int:
        """Mean time of something, added up over composing models."""
        return sum(each.average(name) for each in self.parts)

    @property
    def hit(self) -> int:
        """Mean time of cache hits."""
        return sum(each.hit for each in self.parts)

    @property
    def miss(self) -> int:
        """Mean time of cache misses with their computing."""
        return sum(each.miss for each in self.parts)


def difference(
    before: Mapping[tuple[str, str], ModelStatistics] | None,
    after: Mapping[tuple[str, str], ModelStatistics] | None,
    model: ModelInfo,
) -> ServerSide | None:
    """What the server did between two looks at its statistics; None when it has none."""
    if before is None or after is None:
        return None
    warnings: list[str] = []
    own = _model(before, after, model.name, model.version, warnings)
    if own is None:
        return None
    composing = []
    for name, version in model.composing:
        found = _model(before, after, name, version, warnings)
        if found is not None:
            composing.append(found)
    return ServerSide(own, tuple(composing), tuple(warnings))


def _model(
    before: Mapping[tuple[str, str], ModelStatistics],
    after: Mapping[tuple[str, str], ModelStatistics],
    name: str,
    version: str,
    warnings: list[str],
) -> ModelSide | None:
    """The version that was asked for, or the one whose requests grew."""
    sides = [
        _side(before.get(key), statistics)
        for key, statistics in sorted(after.items(), key=lambda pair: _order(pair[0][1]))
        if key[0] == name and version in ("", key[1])
    ]
    grown = [side for side in sides if side.successes or side.count("queue")]
    if len(grown) > 1:
        warnings.append(
            f"several versions of model {name!r} took requests; version {grown[-1].version} is "
            "reported"
        )
    chosen = grown or sides
    return chosen[-1] if chosen else None


def _order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (0, version)


def _side(before: ModelStatistics | None, after: ModelStatistics) -> ModelSide:
    old: Any = before or ModelStatistics()
    durations = {}
    for name in _DURATIONS:
        ours = getattr(after.inference_stats, name)
        theirs = getattr(old.inference_stats, name)
        # A model that was loaded anew in between begins from nothing.
        durations[name] = (max(0, ours[0] - theirs[0]), max(0, ours[1] - theirs[1]))
    return ModelSide(
        after.name,
        after.version,
        max(0, after.inference_count - old.inference_count),
        max(0, after.execution_count - old.execution_count),
        durations,
    )
