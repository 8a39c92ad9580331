"""The versions of a model and their states."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import InvalidArgument, ServerError
from ..backends.base import ModelSource
from ..scheduling.response_cache import ResponseCache
from .loading import load
from .model import Model

_log = logging.getLogger(__name__)

#: Why a model without version directories is not loaded.
NO_VERSION = "No model version was found"

_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+")
_HIGHEST = (1 << 63) - 1
#: More are too many, also with zeros before them; Python reads no number of thousands of digits.
_MOST_DIGITS = 1000


@dataclass(slots=True)
class Version:
    """The state of one version.

    Attributes:
        state: "READY" or "UNAVAILABLE".
        model: None unless it is ready.
        missing: the message about a missing optional package; else "".
    """

    state: str
    reason: str = ""
    model: Model | None = None
    missing: str = ""

    def why(self) -> str:
        """Return the reason of the state, or why a ready version's instances were restarted."""
        return self.model.why_restarted() if self.model else self.reason

    def unloaded(self) -> Version:
        """Return the state after unloading; that of a version that is not ready is the same."""
        return Version("UNAVAILABLE", "unloaded") if self.model else self


@dataclass(slots=True)
class ModelEntry:
    """A model that was to be loaded at least once.

    Attributes:
        reason: why the model has no versions; else "".
        files: those of a load request, deleted with the entry.
        override: the configuration of a load request, as JSON text.
        steps: names of the models that an ensemble uses.
        waits: True for an unloaded ensemble that is loaded again together with its models.
    """

    versions: dict[int, Version] = field(default_factory=dict)
    reason: str = ""
    files: tempfile.TemporaryDirectory[str] | None = None
    override: str | None = None
    steps: frozenset[str] = frozenset()
    waits: bool = False

    @property
    def ready(self) -> dict[int, Model]:
        """The ready versions."""
        return {number: each.model for number, each in self.versions.items() if each.model}

    @property
    def unread(self) -> bool:
        """True if its configuration could not be read, so that nothing is known of it."""
        return bool(self.reason) and not self.versions and self.reason != NO_VERSION

    @property
    def failed(self) -> bool:
        """True if a version that should be served is not, or if there is none."""
        states = [(each.state, each.reason) for each in self.versions.values()]
        wrong = any(state == "UNAVAILABLE" and why != "unloaded" for state, why in states)
        return bool(self.reason) or wrong

    def close(self) -> None:
        """Close all ready versions, after their requests in execution; delete the files."""
        for model in self.ready.values():
            model.close()
        if self.files is not None:
            self.files.cleanup()


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A row of the table of models: the status of a version, or of a model without versions."""

    name: str
    version: str
    status: str


def load_version(source: ModelSource, cache: ResponseCache | None = None) -> Version:
    """Load a version; return its state, with the reason if it is not ready."""
    try:
        model = load(source, cache)
    except ServerError as error:
        _log.error("failed to load '%s' version %d: %s", source.name, source.version, error)
        return Version("UNAVAILABLE", error.message() or "")
    except ImportError as error:
        return Version("UNAVAILABLE", f"Internal: {error}", missing=str(error))
    return Version("READY", model=model)


def load_error(name: str, versions: dict[int, Version]) -> InvalidArgument | None:
    """Return the error of a load if a version is not ready or there is none; else None."""
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


class CircularDependency(InvalidArgument):
    """An ensemble that is a step of itself, maybe of another inside it."""


def circular_dependency(name: str, ensembles: Sequence[str]) -> CircularDependency:
    """Return the error of an ensemble that is needed to load itself.

    Args:
        ensembles: those that are being loaded, outermost first; each needs the next.
    """
    text = f"circular dependency between ensembles: {name} -> ... -> {ensembles[-1]} -> {name}"
    return CircularDependency(f"load failed for model '{ensembles[0]}': {text}\n", "400")


def version_number(text: str) -> int | None:
    """Return the number in the version of a request; None for "", which means the highest.

    Triton reads it as C does: white space first, and what follows the digits does not count.

    Raises:
        InvalidArgument: it begins with no number, or with one below 0 or above 63 bits.
    """
    if not text:
        return None
    digits = _NUMBER.match(text)
    number = int(digits[0]) if digits and len(digits[0]) < _MOST_DIGITS else None
    if number is None or number > _HIGHEST:
        raise InvalidArgument(
            f"failed to get model version from specified version string '{text:.100}' (details: "
            "stol), version should be an integral value > 0",
            "400",
        )
    if number < 0:
        raise InvalidArgument(
            f"invalid model version specified '{text:.100}' , version should be an integral "
            "value > 0",
            "400",
        )
    return number
