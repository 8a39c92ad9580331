"""When requests of an open loop are due: one absolute schedule, dealt to workers by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_BLOCK = 4096
_SECOND = 1_000_000_000


class Schedule(NamedTuple):
    """A schedule of requests.

    Attributes:
        rate: requests per second; 0 where `gaps` or `times` say when.
        poisson: whether the gaps are exponentially distributed.
        seed: of their generator.
        gaps: nanoseconds between requests, repeated.
        times: nanoseconds after the start, by number; each once.
        ramp: nanoseconds over which the rate rises evenly from nothing.
    """

    rate: float = 0.0
    poisson: bool = False
    seed: int = 0
    gaps: tuple[int, ...] = ()
    times: tuple[int, ...] = ()
    ramp: int = 0

    def due(self, worker: int, workers: int) -> Iterator[tuple[int, int]]:
        """A worker's share, as (number of the request, nanoseconds after the start)."""
        if self.times:
            ordered = sorted(enumerate(self.times), key=lambda each: each[1])
            yield from ordered[worker::workers]
        elif self.gaps:
            yield from self._by_gaps(worker, workers)
        elif self.poisson:
            yield from self._poisson(worker, workers)
        else:
            yield from self._constant(worker, workers)

    def _constant(self, worker: int, workers: int) -> Iterator[tuple[int, int]]:
        number = worker
        # While the rate rises, n requests are due after sqrt(2 n ramp / rate) seconds.
        rising = int(self.rate * self.ramp / _SECOND / 2)
        while number < rising:
            yield number, int((2 * number * self.ramp / self.rate * _SECOND) ** 0.5)
            number += workers
        while True:
            yield number, self.ramp + int((number - rising) * _SECOND / self.rate)
            number += workers

    def _poisson(self, worker: int, workers: int) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng(self.seed)
        at = float(self.ramp)
        number = 0
        while True:
            times = at + np.cumsum(rng.exponential(_SECOND / self.rate, _BLOCK))
            at = float(times[-1])
            for index in range((worker - number) % workers, _BLOCK, workers):
                yield number + index, int(times[index])
            number += _BLOCK

    def _by_gaps(self, worker: int, workers: int) -> Iterator[tuple[int, int]]:
        number = at = 0
        while True:
            for gap in self.gaps:
                at += gap
                if number % workers == worker:
                    yield number, at
                number += 1

    @property
    def mean_rate(self) -> float:
        """Requests per second in the long run."""
        if self.gaps:
            return len(self.gaps) * _SECOND / sum(self.gaps)
        if self.times:
            span = max(self.times) - min(self.times)
            return (len(self.times) - 1) * _SECOND / span if span else 0.0
        return self.rate
