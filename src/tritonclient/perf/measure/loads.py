"""The loads that workers are given for a concurrency or a rate."""

from __future__ import annotations

import time
from typing import Any

from ..data.dataset import Dataset
from ..exits import SetupError
from ..load.manager import processors
from ..load.plan import Load
from ..load.schedule import Schedule
from ..options.settings import Settings

_SECOND = 1_000_000_000
#: Requests a second that one worker sends with ease.
_RATE_OF_ONE = 12_000
#: Time for workers to open connections before the first request is due.
_HEAD_START = 30_000_000
_SYNC_THREADS = 4
#: Requests in flight in asynchronous rate mode with shared memory, which needs a bound.
_SHARED_PLACES = 64


def workers_for(settings: Settings, data: Dataset) -> int:
    """How many worker processes there are."""
    if settings.service_kind == "triton_c_api":
        return 1
    load = settings.load_range
    most = max(load.start, load.end or 0)
    if load.end == 0:
        most = max(most, settings.max_threads or 16)
    if settings.periodic_concurrency_range or settings.fixed_schedule or settings.max_in_flight:
        wanted = 1
    elif settings.session_concurrency:
        wanted = min(settings.session_concurrency, processors())
    elif settings.request_intervals:
        wanted = 1
    elif settings.request_rate_range:
        wanted = max(1, min(processors(), -(-int(most) // _RATE_OF_ONE)))
    else:
        wanted = max(1, min(int(most), processors()))
    return settings.workers or wanted


def read_intervals(path: str) -> tuple[int, ...]:
    """The gaps of --request-intervals in nanoseconds."""
    gaps = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text:
                continue
            if not text.isdecimal() or int(text) > 10**12:
                raise SetupError(
                    f"{path}: line {number} is {text!r:.40}, expected a whole number of "
                    "microseconds"
                )
            gaps.append(int(text) * 1000)
    if not gaps or not sum(gaps):
        raise SetupError(f"{path} holds no gaps, expected a whole number of microseconds a line")
    return tuple(gaps)


def schedule_for(settings: Settings, data: Dataset, value: float) -> Schedule:
    """When requests of an open loop are due."""
    ramp = int(settings.ramp * _SECOND)
    if settings.request_intervals:
        return Schedule(gaps=read_intervals(settings.request_intervals))
    if settings.fixed_schedule:
        return Schedule(times=tuple(int((step.timestamp or 0) * 1e6) for step in data.steps))
    poisson = settings.request_distribution == "poisson"
    return Schedule(rate=value, poisson=poisson, seed=settings.seed, ramp=ramp)


def shares(total: int, workers: int) -> list[int]:
    """A number dealt to workers as evenly as can be."""
    base, rest = divmod(total, workers)
    return [base + (index < rest) for index in range(workers)]


def make(
    settings: Settings, data: Dataset, value: float, workers: int, limit: int = 0
) -> list[Load]:
    """A load for each worker that has one.

    Args:
        limit: requests to send altogether; 0 for no limit.
    """
    now = time.monotonic_ns()
    at = now + _HEAD_START
    if settings.start_at:
        at = max(at, now + int((settings.start_at - time.time()) * _SECOND))
    if settings.open_loop:
        return _open(settings, data, value, workers, limit, at)
    growth = settings.periodic_concurrency_range
    if growth is not None:
        end, step = int(growth.end or 0), int(growth.step)
        grown = (step, end, settings.request_period)
        return [Load(int(growth.start), end, growth=grown, at=at)]
    lanes = int(settings.session_concurrency or value)
    if limit:
        lanes = min(lanes, limit)
    active = min(workers, lanes)
    each = shares(lanes, active)
    limits = shares(limit, active) if limit else [0] * active
    ramp = int(settings.ramp * _SECOND)
    begin = at if settings.start_at else 0
    return [
        Load(
            each[index],
            limits[index],
            at=begin,
            ramp=ramp,
            share=(index, active),
            place=sum(each[:index]),
        )
        for index in range(active)
    ]


def places_for(settings: Settings) -> int:
    """How many requests may be in flight, each with its own part of shared memory."""
    if settings.open_loop:
        return _cap(settings)
    growth = settings.periodic_concurrency_range
    if growth is not None:
        return int(growth.end or 0)
    load = settings.load_range
    return int(max(load.start, load.end or 0, settings.max_threads or 16 if load.end == 0 else 0))


def _cap(settings: Settings) -> int:
    """Most requests in flight in rate modes; 0 for no limit."""
    if settings.max_in_flight:
        return settings.max_in_flight
    if not settings.asynchronous:
        return settings.max_threads or _SYNC_THREADS
    return _SHARED_PLACES if settings.shared_memory != "none" else 0


def _open(
    settings: Settings, data: Dataset, value: float, workers: int, limit: int, at: int
) -> list[Load]:
    schedule = schedule_for(settings, data, value)
    active = min(workers, limit) if limit else workers
    cap = _cap(settings)
    if cap:
        active = min(active, cap)
    caps: list[Any] = shares(cap, active) if cap else [0] * active
    limits = shares(limit, active) if limit else [0] * active
    return [
        Load(
            0,
            limits[index],
            schedule=schedule,
            at=at,
            cap=caps[index],
            drop=bool(settings.max_in_flight),
            share=(index, active),
            place=sum(caps[:index]),
        )
        for index in range(active)
    ]
