"""The versions of a model, and what became of them."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field

from ...errors import InvalidArgument, ServerError
from ..backends.base import Source
from .loading import load
from .model import Model

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Version:
    """One version and what became of it.

    Attributes:
        model: there only while it is ready.
        missing: what to say of an optional package that it lacks.
    """

    state: str
    reason: str = ""
    model: Model | None = None
    missing: str = ""

    def closed(self) -> Version:
        """What this is when its model was closed, which this does."""
        if self.model is None:
            return self
        self.model.close()
        return Version("UNAVAILABLE", "unloaded")


@dataclass(slots=True)
class Entry:
    """A model that was asked for at least once.

    Attributes:
        files: those that a request brought, which are gone when this is.
        override: the configuration that a request brought.
        steps: the models of which an ensemble consists.
        waits: whether an ensemble is to be loaded again as soon as its models are there.
    """

    versions: dict[int, Version] = field(default_factory=dict)
    reason: str = ""
    files: tempfile.TemporaryDirectory[str] | None = None
    override: str | None = None
    steps: frozenset[str] = frozenset()
    waits: bool = False

    @property
    def ready(self) -> dict[int, Model]:
        """The versions that are ready."""
        return {number: each.model for number, each in self.versions.items() if each.model}

    def close(self) -> None:
        """Let the requests in execution end, and finalize all versions."""
        for model in self.ready.values():
            model.close()
        if self.files is not None:
            self.files.cleanup()


def load_version(source: Source) -> Version:
    """A version that is ready, or that tells why it is not."""
    try:
        model = load(source)
    except ServerError as error:
        _log.error("failed to load '%s' version %d: %s", source.name, source.version, error)
        return Version("UNAVAILABLE", error.message() or "")
    except ImportError as error:
        return Version("UNAVAILABLE", f"Internal: {error}", missing=str(error))
    return Version("READY", model=model)


def failure_of(name: str, versions: dict[int, Version]) -> InvalidArgument | None:
    """The error of a load, when a version is not ready or there are none."""
    if not versions:
        text = (
            f"at least one version must be available under the version policy of model '{name}'\n"
        )
    else:
        failed = [(n, each) for n, each in versions.items() if each.state != "READY"]
        if not failed:
            return None
        text = "".join(
            f"version {n} is at UNAVAILABLE state: {each.reason};\n" for n, each in failed
        )
    return InvalidArgument(f"load failed for model '{name}': {text}", "400")
