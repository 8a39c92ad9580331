"""Loading a version of a model: its configuration, its labels, its scheduler and its instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...codec import messages_pb
from ...errors import ServerError
from ..backends import registry
from ..backends.base import Source
from ..config import checking, reading
from ..config.specification import specifications
from ..scheduling import ensemble_steps
from ..scheduling.base import Scheduler
from ..scheduling.dynamic import Queue
from ..scheduling.ensemble import Ensemble
from ..scheduling.sequence import Sequences
from ..telemetry.statistics import Statistics
from .model import Model


def load(source: Source) -> Model:
    """Load a version of a model.

    Raises:
        ServerError: it can't be served; the message says why.
    """
    try:
        # Every version completes a configuration of its own.
        own = reading.new()
        own.CopyFrom(source.config)
        source = replace(source, config=own)
        checking.check(own)
        if not source.path.exists():
            raise ValueError(f"unable to find '{source.path}' for model '{source.name}'")
        return _load_ensemble(source) if checking.is_ensemble(own) else _load(source)
    except (ValueError, OSError) as error:
        raise ServerError(f"Invalid argument: {error}", "400") from error


def _load(source: Source) -> Model:
    backend = registry.find(source.config.backend)
    backend.complete(source)
    checking.check(source.config)
    values = messages_pb.to_dict(source.config)
    labels = _labels(source)
    makers = backend.instances(source, values)
    scheduler: Scheduler = (
        Sequences(source.name, values, len(makers))
        if "sequence_batching" in values
        else Queue(values)
    )
    return Model(source, values, labels, Statistics(), scheduler, makers)


def _load_ensemble(source: Source) -> Model:
    ensemble_steps.complete(source.config, source.host)
    values: dict[str, Any] = messages_pb.to_dict(source.config)
    labels = {**ensemble_steps.labels(source.config, source.host), **_labels(source)}
    statistics = Statistics()
    scheduler = Ensemble(source.name, source.config, source.host, statistics)
    return Model(source, values, labels, statistics, scheduler, ())


def _labels(source: Source) -> dict[str, tuple[str, ...]]:
    return {
        each.name: tuple((source.directory / each.label_filename).read_text("utf-8").splitlines())
        for each in specifications(source.config.output)
        if each.label_filename
    }
