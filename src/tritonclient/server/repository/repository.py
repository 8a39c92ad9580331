"""The model repository: which models there are, which versions are served, loading and unloading.

Layout and policies are Triton's: a directory per model with `config.pbtxt` and a numbered
directory per version. Every operation that changes something runs alone; readers are not kept
waiting, since what they read is replaced as a whole.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import Internal, InvalidArgument, NotFound, ServerError
from ...messages import ModelIndex
from ..backends.base import Source
from ..config.checking import is_ensemble
from ..config.reading import ModelConfig
from ..jobs.host import Host
from ..scheduling.ensemble_steps import check as check_ensemble
from .directory import chosen_versions, is_model, read_configuration, version_numbers, write
from .model import Model
from .versions import Entry, Version, failure_of, load_version

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A line of the table of models: what became of one version, or of a model without any."""

    name: str
    version: str
    status: str


class Repository:
    """Models in one or several directories; safe to share between threads.

    Args:
        host: the server, for models that call models.
    """

    def __init__(self, directories: Iterable[Path], host: Host) -> None:
        self._host = host
        self._directories = [Path(each).resolve() for each in directories]
        for each in self._directories:
            if not each.is_dir():
                raise ValueError(f"failed to stat model repository '{each}': no such directory")
            if is_model(each):
                raise ValueError(
                    f"'{each}' holds config.pbtxt, so it is a model and not a repository of "
                    f"models; give its parent: '{each.parent}'"
                )
        self._reported: set[str] = set()
        self._changing = threading.RLock()
        self._entries: dict[str, Entry] = {}
        # Models that were loaded for their own sake, rather than as parts of an ensemble.
        self._asked_for: set[str] = set()

    # Reading

    def names(self) -> list[str]:
        """Names of the models in the directories, whether loaded or not."""
        return sorted(self._models())

    def _models(self) -> dict[str, Path]:
        """The models' directories; of two with one name the first is taken."""
        return {
            each.name: each
            for directory in reversed(self._directories)
            for each in directory.iterdir()
            if each.is_dir() and not each.name.startswith(".")
        }

    def get(self, name: str, version: str = "") -> Model:
        """A model that is ready; without a version its highest. The words of errors are Triton's.

        Raises:
            NotFound: there is none.
            InvalidArgument: the version is no number.
        """
        check_version(version)
        entry = self._entries.get(name)
        if entry is None:
            raise NotFound(f"Request for unknown model: '{name}' is not found", "404")
        ready = entry.ready
        if not ready:
            raise NotFound(f"Request for unknown model: '{name}' has no available versions", "404")
        if not version:
            return ready[max(ready)]
        for number, model in ready.items():
            if str(number) == version:
                return model
        raise NotFound(f"Request for unknown model: '{name}' version {version} is not found", "404")

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of a model that are ready, ascending."""
        return tuple(map(str, sorted(self._entries[name].ready)))

    def ready(self) -> list[Model]:
        """All models that are ready, by name and version."""
        return [
            model
            for _, entry in sorted(self._entries.items())
            for _, model in sorted(entry.ready.items())
        ]

    def failed(self) -> bool:
        """Whether a model that was to be loaded is not ready."""
        return any(
            entry.reason
            or any(
                each.state == "UNAVAILABLE" and each.reason != "unloaded"
                for each in entry.versions.values()
            )
            for entry in self._entries.values()
        )

    def missing(self) -> dict[str, list[str]]:
        """What to say of each optional package that is missing, and the models that need it."""
        models: dict[str, list[str]] = {}
        for name, entry in sorted(self._entries.items()):
            for text in {each.missing for each in entry.versions.values() if each.missing}:
                models.setdefault(text, []).append(name)
        return models

    def index(self, ready: bool) -> tuple[ModelIndex, ...]:
        """What the repository index says."""
        rows = []
        # Not those that came with a request, as in Triton.
        for name in self.names():
            entry = self._entries.get(name, Entry())
            rows += [
                ModelIndex(name, str(number), each.state, each.reason)
                for number, each in sorted(entry.versions.items())
                if each.state == "READY" or not ready
            ]
            if not entry.versions and not ready:
                rows.append(ModelIndex(name))
        return tuple(rows)

    def status(self) -> list[ModelStatus]:
        """The table of models that a server prints when it starts."""
        rows = []
        for name, entry in sorted(self._entries.items()):
            if not entry.versions:
                rows.append(ModelStatus(name, "-", f"Not loaded: {entry.reason}"))
            for number, each in sorted(entry.versions.items()):
                reason = f": {each.reason}" if each.reason else ""
                rows.append(ModelStatus(name, str(number), each.state + reason))
        return rows

    # Changing

    def start(self, name: str) -> None:
        """Load a model unless an ensemble has brought it already."""
        with self._changing:
            if self._entry(name).ready:
                self._asked_for.add(name)
            else:
                self.load(name)

    def load(
        self, name: str, override: str | None = None, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Load or reload a model; a version that was ready serves until the new one is.

        Args:
            override: a configuration as JSON text, instead of the file.
            files: contents by path in the model's directory, which they replace altogether.

        Raises:
            ServerError: it can't be loaded.
        """
        with self._changing:
            replaced = [self._load(name, override, files, [])]
            self._asked_for.add(name)
            replaced += self._reload_ensembles(name)
        # Outside of the lock, since requests in execution may take their time.
        for old in reversed(replaced):  # ensembles before what they consist of
            old.close()

    def _load(
        self,
        name: str,
        override: str | None,
        files: Mapping[str, bytes] | None,
        ensembles: list[str],
    ) -> Entry:
        """Load a model; returns what it replaced. `ensembles` are those that it is loaded for."""
        try:
            brought = write(files) if files else None
        except OSError as error:
            raise self._poll_failed(name, error) from error
        try:
            return self._replace(name, override, brought, ensembles)
        except BaseException:
            if brought is not None:
                brought.cleanup()
            raise

    def _load_steps(self, config: ModelConfig, ensembles: list[str]) -> None:
        """Load the models that an ensemble needs, as far as they are not there."""
        for step in config.ensemble_scheduling.step:
            if step.model_name in ensembles:
                raise ValueError(
                    f"circular dependency between ensembles: {' -> '.join(ensembles)} -> "
                    f"{step.model_name}"
                )
            if not self._entry(step.model_name).ready:
                with suppress(ServerError):  # it is logged, and found missing by `check`
                    self._load(step.model_name, None, None, ensembles)

    def _reload_ensembles(self, name: str) -> list[Entry]:
        """Let those that consist of a model which was loaded use it; returns what they replaced."""
        replaced = []
        for each, entry in list(self._entries.items()):
            if name in entry.steps and (entry.waits or entry.ready):
                with suppress(ServerError):  # it is logged
                    old = self._replace(each, entry.override, entry.files, [])
                    replaced += [replace(old, files=None), *self._reload_ensembles(each)]
        return replaced

    def unload(self, name: str, *, dependents: bool = False) -> None:
        """Stop serving a model, as soon as its requests in execution are done.

        Args:
            dependents: with an ensemble, also those of its models that nobody else asked for.
        """
        with self._changing:
            steps = self._entry(name).steps if dependents else frozenset()
            self._asked_for.discard(name)
            ensembles = self._ensembles_of(name)
        for each in ensembles:
            self._unload(each, waits=True)
        self._unload(name)
        for each in sorted(steps):
            with self._changing:
                wanted = each in self._asked_for or self._ensembles_of(each)
            if not wanted:
                self._unload(each)

    def _ensembles_of(self, name: str) -> list[str]:
        """The loaded ensembles that need a model, each before those of which it consists."""
        found: list[str] = []
        for each, entry in self._entries.items():
            if name in entry.steps and entry.ready:
                found = [*self._ensembles_of(each), each, *found]
        return list(dict.fromkeys(found))

    def _unload(self, name: str, *, waits: bool = False) -> None:
        with self._changing:
            entry = self._entries.get(name)
            if entry is None:
                return
            versions = {
                number: Version("UNAVAILABLE", "unloaded") if each.model else each
                for number, each in entry.versions.items()
            }
            unloaded = replace(entry, versions=versions, waits=waits)
            if not waits:
                unloaded.files = None
            self._entries = {**self._entries, name: unloaded}
        (replace(entry, files=None) if waits else entry).close()

    def close(self) -> None:
        """Unload everything; what executes ends before that which it needs."""
        with self._changing:
            entries = dict(self._entries)
            names = [each for name in entries for each in (*self._ensembles_of(name), name)]
        for name in dict.fromkeys(names):
            entries[name].close()
        with self._changing:
            self._entries = {}

    def _entry(self, name: str) -> Entry:
        return self._entries.get(name, Entry())

    def _find(self, name: str) -> Path:
        # Looked up among the names that are there, so that none can lead out of the repository.
        directory = self._models().get(name)
        if directory is None:
            raise self._poll_failed(name, "model not found in any model repository")
        return directory

    def _poll_failed(self, name: str, why: object) -> Internal:
        _log.error("failed to poll model '%s': %s", name, why)
        if name not in self._entries and name in self.names():
            self._entries = {**self._entries, name: Entry(reason=str(why))}
        return Internal(f"failed to load '{name}', failed to poll from model repository", "500")

    def _replace(
        self,
        name: str,
        override: str | None,
        brought: tempfile.TemporaryDirectory[str] | None,
        ensembles: list[str],
    ) -> Entry:
        """Load a model and put it in the place of the old one, which is to be closed then."""
        directory = Path(brought.name) if brought else self._find(name)
        try:
            if brought is not None and override is None:
                raise ValueError(
                    "Load parameter 'config' must be specified for model file override"
                )
            config = read_configuration(name, directory, override)
            self._load_steps(config, [*ensembles, name])
        except (ValueError, OSError) as error:
            raise self._poll_failed(name, error) from error
        if is_ensemble(config):
            try:
                check_ensemble(name, config, self._host)
            except ValueError as error:
                text = f"load failed for model '{name}': {error}\n"
                raise InvalidArgument(text, "400") from error
        old = self._entry(name)
        numbers = chosen_versions(config, version_numbers(directory))
        versions = {
            number: load_version(Source(name, number, directory, config, self._host))
            for number in numbers
        }
        for text in {each.missing for each in versions.values()} - self._reported - {""}:
            self._reported.add(text)
            _log.error("failed to load '%s' and whatever else needs it: %s", name, text)
        failure = failure_of(name, versions)
        if failure:
            # All or none, as in Triton.
            versions = {n: each.closed() for n, each in versions.items()}
            if not old.ready:
                reason = "" if versions else "No model version was found"
                self._entries = {**self._entries, name: Entry(versions, reason)}
            raise failure
        # A version that is no longer chosen stays in the index, as unloaded.
        gone = {n: Version("UNAVAILABLE", "unloaded") for n in old.versions if n not in versions}
        steps = frozenset(step.model_name for step in config.ensemble_scheduling.step)
        entry = Entry({**gone, **versions}, "", brought, override, steps)
        self._entries = {**self._entries, name: entry}
        return old


def check_version(version: str) -> None:
    """Raise InvalidArgument for a version that is no number; "" stands for any."""
    if version and not version.isdecimal():
        raise InvalidArgument(
            f"failed to get model version from specified version string '{version}' (details: "
            "stol), version should be an integral value > 0",
            "400",
        )
