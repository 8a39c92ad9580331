"""Loading: from the source of a version to a `Model` with backend, scheduler and labels."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...codec import messages_pb
from ...errors import ServerError
from ..backends import registry
from ..backends.base import Backend, ModelSource
from ..config import checking, fields, reading
from ..config.specification import specifications
from ..jobs.host import Host
from ..scheduling import ensemble_steps
from ..scheduling.base import Scheduler
from ..scheduling.dynamic import DynamicBatcher
from ..scheduling.ensemble import EnsembleScheduler
from ..scheduling.response_cache import CachingScheduler, ResponseCache
from ..scheduling.sequence import SequenceBatcher
from ..scheduling.sequence_states import SequenceStates
from ..telemetry.statistics import Statistics
from .model import Model

_log = logging.getLogger(__name__)


def load(source: ModelSource, cache: ResponseCache | None = None) -> Model:
    """Load a version of a model.

    Args:
        cache: keeps responses of models that ask for it; None to keep none.

    Raises:
        ServerError: it cannot be served; the message gives the reason.
        ImportError: an optional package is missing.
    """
    try:
        # Each version completes its own copy of the configuration.
        config = reading.new()
        config.CopyFrom(source.config)
        source = replace(source, config=config)
        checking.check(config)
        if not source.path.exists():
            raise ValueError(f"unable to find '{source.path}' for model '{source.name}'")
        make = _load_ensemble if checking.is_ensemble(config) else _load
        return make(source, cache)
    except (ValueError, OSError) as error:
        raise ServerError(f"Invalid argument: {error}", "400") from error


def release_backends(host: Host) -> None:
    """Release what backends keep for the models of a server, which are closed."""
    registry.release(host)


def _load(source: ModelSource, cache: ResponseCache | None) -> Model:
    with contextlib.closing(registry.find(source.config.backend)) as backend:
        return _load_with(backend, source, cache)


def _load_with(backend: Backend, source: ModelSource, cache: ResponseCache | None) -> Model:
    backend.complete(source)
    checking.check(source.config)
    fields.warn(source.config)
    values = messages_pb.to_dict(source.config)
    labels = _labels(source)
    factories = backend.instances(source, values)
    scheduler: Scheduler = (
        _sequence_batcher(source, values, len(factories))
        if "sequence_batching" in values
        else DynamicBatcher(values)
    )
    statistics = Statistics()
    scheduler = _cached(source, scheduler, cache, statistics)
    return Model(source, values, labels, statistics, scheduler, factories)


def _sequence_batcher(
    source: ModelSource, values: dict[str, Any], instances: int
) -> SequenceBatcher:
    states = SequenceStates(values, source.directory)
    if states and source.config.backend == "python":
        _log.warning(
            "model '%s' has implicit state, which models in Python cannot change, as in Triton: "
            "each request gets the initial state; keep the state in the model instead",
            source.name,
        )
    return SequenceBatcher(source.name, values, instances, states)


def _cached(
    source: ModelSource, scheduler: Scheduler, cache: ResponseCache | None, statistics: Statistics
) -> Scheduler:
    if not source.config.response_cache.enable:
        return scheduler
    if cache is None:
        _log.warning(
            "model '%s' has a response cache, and this server has none: start it with "
            "--cache-config local,size=BYTES, or with response_cache_size=BYTES",
            source.name,
        )
        return scheduler
    return CachingScheduler(scheduler, cache, statistics)


def _load_ensemble(source: ModelSource, cache: ResponseCache | None) -> Model:
    fields.warn(source.config)
    ensemble_steps.complete(source.config, source.host)
    values: dict[str, Any] = messages_pb.to_dict(source.config)
    if not source.config.ensemble_scheduling.max_inflight_requests:
        # Newer than the version of Triton whose responses are reproduced.
        del values["ensemble_scheduling"]["max_inflight_requests"]
    labels = {**ensemble_steps.labels(source.config, source.host), **_labels(source)}
    statistics = Statistics()
    scheduler = EnsembleScheduler(source.name, source.config, source.host, statistics)
    cached = _cached(source, scheduler, cache, statistics)
    return Model(source, values, labels, statistics, cached, ())


def _labels(source: ModelSource) -> dict[str, tuple[str, ...]]:
    return {
        each.name: _read_labels(source.directory / each.label_filename)
        for each in specifications(source.config.output)
        if each.label_filename
    }


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text("utf-8").splitlines())
    except OSError as error:
        raise ServerError(
            f"Internal: failed to open text file for read {path}: {error.strerror}", "400"
        ) from error
