"""Loading a version of a model: its configuration, its labels, its scheduler and its instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...codec import messages_pb
from ...errors import ServerError
from ..backends import base as backends
from ..backends import registry
from ..config import reading as config
from ..scheduling import ensemble as ensembles
from ..scheduling.dynamic import Queue
from ..scheduling.sequence import Sequences
from ..telemetry.statistics import Statistics
from .model import Model, Scheduler


def load(source: backends.Source) -> Model:
    """Load a version of a model.

    Raises:
        ServerError: it can't be served; the message says why.
    """
    try:
        # Every version completes a configuration of its own.
        own = config.new()
        own.CopyFrom(source.config)
        source = replace(source, config=own)
        config.check(own)
        if not source.path.exists():
            raise ValueError(f"unable to find '{source.path}' for model '{source.name}'")
        return _load_ensemble(source) if config.is_ensemble(own) else _load(source)
    except (ValueError, OSError) as error:
        raise ServerError(f"Invalid argument: {error}", "400") from error


def _load(source: backends.Source) -> Model:
    backend = registry.find(source.config.backend)
    backend.complete(source)
    config.check(source.config)
    values = messages_pb.to_dict(source.config)
    labels = _labels(source)
    makers = backend.instances(source, values)
    scheduler: Scheduler = (
        Sequences(source.name, values, len(makers))
        if "sequence_batching" in values
        else Queue(values)
    )
    return Model(source, values, labels, Statistics(), scheduler, makers)


def _load_ensemble(source: backends.Source) -> Model:
    ensembles.complete(source.config, source.host)
    values: dict[str, Any] = messages_pb.to_dict(source.config)
    labels = {**ensembles.labels(source.config, source.host), **_labels(source)}
    statistics = Statistics()
    scheduler = ensembles.Ensemble(source, statistics)
    return Model(source, values, labels, statistics, scheduler, ())


def _labels(source: backends.Source) -> dict[str, tuple[str, ...]]:
    return {
        each.name: tuple((source.directory / each.label_filename).read_text("utf-8").splitlines())
        for each in config.specifications(source.config.output)
        if each.label_filename
    }
