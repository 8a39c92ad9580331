"""What a server counts for a model: the response to `messages.GetStatistics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .operations import has_attributes


@has_attributes
class StatisticDuration(NamedTuple):
    """How often something happened and the nanoseconds it took altogether."""

    count: int = 0  # type: ignore[assignment]  # hides a method of tuples
    ns: int = 0


@has_attributes
class InferStatistics(NamedTuple):
    """Cumulative durations of the stages of inference."""

    success: StatisticDuration = StatisticDuration()
    fail: StatisticDuration = StatisticDuration()
    queue: StatisticDuration = StatisticDuration()
    compute_input: StatisticDuration = StatisticDuration()
    compute_infer: StatisticDuration = StatisticDuration()
    compute_output: StatisticDuration = StatisticDuration()
    cache_hit: StatisticDuration = StatisticDuration()
    cache_miss: StatisticDuration = StatisticDuration()


@has_attributes
class InferBatchStatistics(NamedTuple):
    """Statistics of executions with one batch size."""

    batch_size: int = 0
    compute_input: StatisticDuration = StatisticDuration()
    compute_infer: StatisticDuration = StatisticDuration()
    compute_output: StatisticDuration = StatisticDuration()


@has_attributes
class InferResponseStatistics(NamedTuple):
    """Statistics of the n-th response of a decoupled model."""

    compute_infer: StatisticDuration = StatisticDuration()
    compute_output: StatisticDuration = StatisticDuration()
    success: StatisticDuration = StatisticDuration()
    fail: StatisticDuration = StatisticDuration()
    empty_response: StatisticDuration = StatisticDuration()
    cancel: StatisticDuration = StatisticDuration()


@has_attributes
class MemoryUsage(NamedTuple):
    """Bytes of memory of one kind on one device that a model holds."""

    type: str = ""
    id: int = 0
    byte_size: int = 0


@has_attributes
class ModelStatistics(NamedTuple):
    """Statistics of one version of a model since it was loaded.

    Attributes:
        last_inference: time of the last request, milliseconds since the epoch.
        inference_count: inferences, a batch of n counting n.
        execution_count: executions of the model, a batch counting 1.
    """

    name: str = ""
    version: str = ""
    last_inference: int = 0
    inference_count: int = 0
    execution_count: int = 0
    inference_stats: InferStatistics = InferStatistics()
    batch_stats: tuple[InferBatchStatistics, ...] = ()
    memory_usage: tuple[MemoryUsage, ...] = ()
    response_stats: Mapping[str, InferResponseStatistics] = {}
