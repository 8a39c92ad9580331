"""`Repository`: which models exist, which versions are served, loading and unloading.

Layout and policies are Triton's: a directory per model with `config.pbtxt`, and a numbered
directory per version. Operations that change something run one at a time. Readers take no lock,
because the table of models is replaced as a whole.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ...errors import Internal, InvalidArgument, NotFound, ServerError
from ...messages import ModelIndex
from ..backends.base import IN_PROCESS as IN_PROCESS
from ..backends.base import ModelSource as ModelSource
from ..config.checking import is_ensemble
from ..config.reading import ModelConfig
from ..jobs.errors import ModelNotReady
from ..jobs.host import Host
from ..scheduling.ensemble_steps import check as check_ensemble
from ..scheduling.response_cache import ResponseCache
from . import layout
from .directory import chosen_versions, read_configuration, version_numbers, write
from .given import Functions
from .loading import release_backends
from .model import Model
from .versions import (
    NO_VERSION,
    CircularDependency,
    ModelEntry,
    ModelStatus,
    Version,
    circular_dependency,
    load_error,
    load_version,
    version_number,
)

_log = logging.getLogger(__name__)


class Repository:
    """The models in one or more directories. Thread-safe.

    Args:
        host: the server, for models that execute other models.
        make_source: makes the source of a version: `ModelSource` with what all have in common.
        functions: the models that are functions, by name.
        response_cache_size: bytes of responses to keep for models that ask for it.

    Raises:
        ValueError: a directory is missing, or is not a repository.
    """

    def __init__(
        self,
        directories: Iterable[Path],
        host: Host,
        make_source: Callable[..., ModelSource],
        functions: Functions = MappingProxyType({}),
        response_cache_size: int = 0,
    ) -> None:
        self._cache = ResponseCache(response_cache_size) if response_cache_size else None
        self._host = host
        self._source = make_source
        self._functions = functions
        self._directories = [Path(each).resolve() for each in directories]
        for each in self._directories:
            layout.check_repository(each)
        self._reported: set[str] = set()
        #: Versions that `start` serves, by model; see `startup`.
        self.prepared: dict[str, dict[int, Version]] = {}
        self._changing = threading.RLock()
        self._entries: dict[str, ModelEntry] = {}
        # Models that were loaded by name, not only as steps of an ensemble.
        self._asked_for: set[str] = set()

    # Reading

    def names(self) -> list[str]:
        """Return the names of all models in the directories, loaded or not."""
        return sorted(self.directories())

    def directories(self) -> dict[str, Path]:
        """Return the directory of each model; of two with the same name, the first."""
        return {
            each.name: each
            for directory in reversed(self._directories)
            for each in directory.iterdir()
            if each.is_dir() and not each.name.startswith(".")
        }

    def get(self, name: str, version: str = "") -> Model:
        """Return a ready model; errors have Triton's texts.

        Args:
            version: "" for the highest.

        Raises:
            NotFound: there is no such version.
            ModelNotReady: the version was unloaded, or could not be loaded.
            InvalidArgument: the version is not a number.
        """
        wanted = version_number(version)
        entry = self._entries.get(name)
        if entry is None or entry.unread:
            raise NotFound(f"Request for unknown model: '{name}' is not found", "404")
        if wanted is None and (wanted := max(entry.ready, default=None)) is None:
            raise NotFound(f"Request for unknown model: '{name}' has no available versions", "404")
        text = f"Request for unknown model: '{name}' version {wanted} is not"
        if wanted not in entry.versions:
            raise NotFound(f"{text} found", "404")
        model = entry.versions[wanted].model
        if model is None:
            raise ModelNotReady(f"{text} at ready state", "503")
        return model

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the ready versions of a model, ascending."""
        return tuple(map(str, sorted(self._entries[name].ready)))

    def ready(self) -> list[Model]:
        """Return all ready models, ordered by name and version."""
        return [
            model
            for _, entry in sorted(self._entries.items())
            for _, model in sorted(entry.ready.items())
        ]

    def failed(self) -> bool:
        """Return True if a model that should be loaded is not ready."""
        return any(entry.failed for entry in self._entries.values())

    def missing(self) -> dict[str, list[str]]:
        """Return the models that need a missing package, by the message that names the package."""
        models: dict[str, list[str]] = {}
        for name, entry in sorted(self._entries.items()):
            for text in {each.missing for each in entry.versions.values() if each.missing}:
                models.setdefault(text, []).append(name)
        return models

    def failure(self, name: str) -> str:
        """Return what Triton's error of a failed load leaves out: the cause, and what is wrong
        with the model's directory; "" if there is neither.
        """
        entry = self._entry(name)
        directory = self.directories().get(name)
        reasons = [entry.reason, *(each.reason for each in entry.versions.values())]
        hint = layout.explain(directory, reasons) if directory else ""
        return "; ".join(filter(None, [entry.reason.strip(), hint]))

    def index(self, ready: bool) -> tuple[ModelIndex, ...]:
        """Return the repository index.

        Args:
            ready: True for ready versions only.
        """
        rows = []
        # As in Triton, models whose files came with a load request are not listed.
        for name in self.names():
            entry = self._entries.get(name, ModelEntry())
            rows += [
                ModelIndex(name, str(number), each.state, each.why())
                for number, each in sorted(entry.versions.items())
                if each.state == "READY" or not ready
            ]
            if not entry.versions and not ready and entry.reason != NO_VERSION:
                rows.append(ModelIndex(name))
        return tuple(rows)

    def status(self) -> list[ModelStatus]:
        """Return the table of models that a server prints at its start."""
        rows = []
        for name, entry in sorted(self._entries.items()):
            if not entry.versions:
                rows.append(ModelStatus(name, "-", f"Not loaded: {entry.reason}"))
            for number, each in sorted(entry.versions.items()):
                reason = f": {each.why()}" if each.why() else ""
                rows.append(ModelStatus(name, str(number), each.state + reason))
        return rows

    # Changing

    def start(self, name: str) -> None:
        """Load a model, unless it was loaded as a step of an ensemble."""
        with self._changing:
            if self._entry(name).ready:
                self._asked_for.add(name)
            else:
                self.load(name)

    def load(
        self, name: str, override: str | None = None, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Load or reload a model; the previous version serves until the new one is ready.

        Args:
            override: a configuration as JSON text, used instead of the file.
            files: contents by path; they replace the model's directory.

        Raises:
            ServerError: the model cannot be loaded.
        """
        with self._changing:
            if override is None and not files and self._entry(name).ready:
                # As in Triton, the configuration of a load stays until the model is unloaded.
                override = self._entry(name).override
            replaced = [self._load(name, override, files, [])]
            self._asked_for.add(name)
            replaced += self._reload_ensembles(name)
        # Outside the lock, because closing waits for requests in execution.
        for old in reversed(replaced):  # ensembles before their steps
            old.close()

    def _load(
        self,
        name: str,
        override: str | None,
        files: Mapping[str, bytes] | None,
        ensembles: list[str],
    ) -> ModelEntry:
        """Load a model and return the entry that it replaced.

        Args:
            ensembles: the ensembles that need the model, outermost first.
        """
        try:
            written = write(files) if files else None
        except OSError as error:
            raise self._load_failed(name, error) from error
        try:
            return self._replace(name, override, written, ensembles)
        except BaseException:
            if written is not None:
                written.cleanup()
            raise

    def _load_steps(self, config: ModelConfig, ensembles: list[str]) -> dict[str, str]:
        """Load the models of an ensemble that are not ready; return why some could not be."""
        failures: dict[str, str] = {}
        for name in dict.fromkeys(step.model_name for step in config.ensemble_scheduling.step):
            if name in ensembles:
                raise circular_dependency(name, ensembles)
            if not self._entry(name).ready:
                try:
                    self._load(name, None, None, ensembles)
                except CircularDependency:
                    raise
                except ServerError as error:  # logged
                    prefix, _, why = (error.message() or "").partition(f"model '{name}': ")
                    failures |= {name: why} if prefix == "load failed for " else {}
        return failures

    def _reload_ensembles(self, name: str) -> list[ModelEntry]:
        """Reload the ensembles that use a model; return the entries that they replaced."""
        replaced = []
        for each, entry in list(self._entries.items()):
            if name in entry.steps and (entry.waits or entry.ready):
                with suppress(ServerError):  # logged
                    old = self._replace(each, entry.override, entry.files, [])
                    replaced += [replace(old, files=None), *self._reload_ensembles(each)]
        return replaced

    def unload(self, name: str, *, dependents: bool = False) -> None:
        """Stop serving a model; wait for its requests in execution.

        Args:
            dependents: also unload the models of an ensemble that nothing else needs.
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
        """Return the ready ensembles that use a model, each before the ensembles inside it."""
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
            versions = {number: each.unloaded() for number, each in entry.versions.items()}
            unloaded = replace(entry, versions=versions, waits=waits)
            if not waits:
                unloaded.files = None
            self._entries = {**self._entries, name: unloaded}
        (replace(entry, files=None) if waits else entry).close()

    def close(self) -> None:
        """Unload everything, ensembles before their steps; instances end at the same time."""
        with self._changing:
            entries = dict(self._entries)
            names = [each for name in entries for each in (*self._ensembles_of(name), name)]
        for name in dict.fromkeys(names):
            with self._changing:  # requests that models make no longer find it
                self._entries = {n: each for n, each in self._entries.items() if n != name}
            for model in entries[name].ready.values():
                model.begin_to_close()
        for entry in entries.values():
            entry.close()
        release_backends(self._host)

    def _entry(self, name: str) -> ModelEntry:
        return self._entries.get(name, ModelEntry())

    def _find(self, name: str) -> Path:
        # Looked up in the directory listing, so no name can lead out of the repository.
        if directory := self.directories().get(name):
            return directory
        raise self._load_failed(name, "model not found in any model repository")

    def _load_failed(self, name: str, why: object) -> Internal:
        _log.error("failed to poll model '%s': %s", name, why)
        if name not in self._entries and name in self.names():
            self._entries = {**self._entries, name: ModelEntry(reason=str(why))}
        return Internal(f"failed to load '{name}', failed to poll from model repository", "500")

    def _replace(
        self,
        name: str,
        override: str | None,
        written: tempfile.TemporaryDirectory[str] | None,
        ensembles: list[str],
    ) -> ModelEntry:
        """Load a model and return the entry that it replaced; the caller closes that."""
        directory = Path(written.name) if written else self._find(name)
        if written is not None and override is None:
            raise self._load_failed(
                name, "Load parameter 'config' must be specified for model file override"
            )
        config = self._configuration(name, directory, override, ensembles)
        old = self._entry(name)
        versions = self.prepared.pop(name, None) or self.load_versions(name, directory, config)
        failure = load_error(name, versions)
        if failure:
            # As in Triton, all versions are served or none.
            ModelEntry(versions).close()
            if not old.ready:
                reason = "" if versions else NO_VERSION
                unloaded = {number: each.unloaded() for number, each in versions.items()}
                self._entries = {**self._entries, name: ModelEntry(unloaded, reason)}
            raise failure
        # A version that is no longer served stays in the index as unloaded.
        gone = {n: Version("UNAVAILABLE", "unloaded") for n in old.versions if n not in versions}
        steps = frozenset(step.model_name for step in config.ensemble_scheduling.step)
        entry = ModelEntry({**gone, **versions}, "", written, override, steps)
        self._entries = {**self._entries, name: entry}
        return old

    def _configuration(
        self, name: str, directory: Path, override: str | None, ensembles: list[str]
    ) -> ModelConfig:
        """Return the checked configuration of a model; load the models that an ensemble uses."""
        try:
            config = read_configuration(name, directory, override)
            failures = self._load_steps(config, [*ensembles, name])
        except (ValueError, OSError) as error:
            raise self._load_failed(name, error) from error
        if is_ensemble(config):
            try:
                check_ensemble(name, config, self._host, failures)
            except ValueError as error:
                text = f"load failed for model '{name}': {error}\n"
                raise InvalidArgument(text, "400") from error
        return config

    def load_versions(self, name: str, directory: Path, config: ModelConfig) -> dict[int, Version]:
        """Load the versions of a model, without serving them; on any thread."""
        versions = {
            number: load_version(
                self._source(name, number, directory, config, function=self._functions.get(name)),
                self._cache,
            )
            for number in chosen_versions(config, version_numbers(directory))
        }
        for text in {each.missing for each in versions.values()} - self._reported - {""}:
            self._reported.add(text)
            _log.error("failed to load '%s' and whatever else needs it: %s", name, text)
        return versions
