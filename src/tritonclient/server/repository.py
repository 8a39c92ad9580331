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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Internal, InvalidArgument, NotFound, ServerError
from ..messages import ModelIndex
from . import config as model_config
from .backends import Source, ensemble
from .config import ModelConfig
from .host import Host
from .model import Model, load

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Version:
    """One version and what became of it.

    Attributes:
        model: there only while it is ready.
        missing: what to say of an optional package that it lacks.
    """

    state: str
    reason: str = ""
    model: Model | None = None
    missing: str = ""


@dataclass(slots=True)
class _Entry:
    """A model that was asked for at least once; `files` holds those that a request brought."""

    versions: dict[int, _Version] = field(default_factory=dict)
    reason: str = ""
    files: tempfile.TemporaryDirectory[str] | None = None


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
            if _is_model(each):
                raise ValueError(
                    f"'{each}' holds config.pbtxt, so it is a model and not a repository of "
                    f"models; give its parent: '{each.parent}'"
                )
        self._reported: set[str] = set()
        self._changing = threading.RLock()
        self._entries: dict[str, _Entry] = {}
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
        ready = _ready(entry)
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
        return tuple(map(str, sorted(_ready(self._entries[name]))))

    def ready(self) -> list[Model]:
        """All models that are ready, by name and version."""
        return [
            model
            for _, entry in sorted(self._entries.items())
            for _, model in sorted(_ready(entry).items())
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
            entry = self._entries.get(name, _Entry())
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
            old = self._load(name, override, files, [])
            self._asked_for.add(name)
        # Outside of the lock, since requests in execution may take their time.
        _close(_ready(old).values(), old.files)

    def _load(
        self,
        name: str,
        override: str | None,
        files: Mapping[str, bytes] | None,
        ensembles: list[str],
    ) -> _Entry:
        """Load a model; returns what it replaced. `ensembles` are those that it is loaded for."""
        try:
            brought = _write(files) if files else None
        except OSError as error:
            raise self._poll_failed(name, error) from error
        try:
            directory = Path(brought.name) if brought else self._find(name)
            return self._replace(name, directory, override, brought, ensembles)
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
            if not _ready(self._entries.get(step.model_name, _Entry())):
                with suppress(ServerError):  # it is logged, and found missing by `check`
                    self._load(step.model_name, None, None, ensembles)

    def unload(self, name: str, *, dependents: bool = False) -> None:
        """Stop serving a model, as soon as its requests in execution are done.

        Args:
            dependents: with an ensemble, also those of its models that nobody else asked for.
        """
        with self._changing:
            models = self._steps_of(name) if dependents else []
            self._asked_for.discard(name)
        self._unload(name)
        # What consists of it can't go on either.
        for each in [each for each in self._entries if name in self._steps_of(each)]:
            self._unload(each)
        for each in models:
            with self._changing:
                wanted = each in self._asked_for or each in self._needed()
            if not wanted:
                self._unload(each)

    def _steps_of(self, name: str) -> list[str]:
        return [
            step["model_name"]
            for model in _ready(self._entries.get(name, _Entry())).values()
            for step in model.config.get("ensemble_scheduling", {}).get("step", ())
        ]

    def _needed(self) -> set[str]:
        """The models that loaded ensembles consist of."""
        return {step for name in self._entries for step in self._steps_of(name)}

    def _unload(self, name: str) -> None:
        with self._changing:
            entry = self._entries.get(name)
            if entry is None:
                return
            models = list(_ready(entry).values())
            versions = {
                number: _Version("UNAVAILABLE", "unloaded") if each.model else each
                for number, each in entry.versions.items()
            }
            self._entries = {**self._entries, name: _Entry(versions, entry.reason)}
        _close(models, entry.files)

    def close(self) -> None:
        """Unload everything."""
        with self._changing:
            entries, self._entries = self._entries, {}
            for entry in entries.values():
                _close(_ready(entry).values(), entry.files)

    def _find(self, name: str) -> Path:
        # Looked up among the names that are there, so that none can lead out of the repository.
        directory = self._models().get(name)
        if directory is None:
            raise self._poll_failed(name, "model not found in any model repository")
        return directory

    def _poll_failed(self, name: str, why: object) -> Internal:
        _log.error("failed to poll model '%s': %s", name, why)
        if name not in self._entries and name in self.names():
            self._entries = {**self._entries, name: _Entry(reason=str(why))}
        return Internal(f"failed to load '{name}', failed to poll from model repository", "500")

    def _replace(
        self,
        name: str,
        directory: Path,
        override: str | None,
        brought: tempfile.TemporaryDirectory[str] | None,
        ensembles: list[str],
    ) -> _Entry:
        """Load a model and put it in the place of the old one, which is to be closed then."""
        try:
            if brought is not None and override is None:
                raise ValueError(
                    "Load parameter 'config' must be specified for model file override"
                )
            config = _configuration(name, directory, override)
            self._load_steps(config, [*ensembles, name])
        except (ValueError, OSError) as error:
            raise self._poll_failed(name, error) from error
        if model_config.is_ensemble(config):
            try:
                ensemble.check(name, config, self._host)
            except ValueError as error:
                text = f"load failed for model '{name}': {error}\n"
                raise InvalidArgument(text, "400") from error
        old = self._entries.get(name, _Entry())
        numbers = _chosen(config, _numbers(directory))
        versions = {
            number: _load_version(Source(name, number, directory, config, self._host))
            for number in numbers
        }
        for text in {each.missing for each in versions.values()} - self._reported - {""}:
            self._reported.add(text)
            _log.error("failed to load '%s' and whatever else needs it: %s", name, text)
        failure = _failure(name, versions)
        if failure:
            # All or none, as in Triton.
            versions = {n: _closed(each) for n, each in versions.items()}
            if not _ready(old):
                reason = "" if versions else "No model version was found"
                self._entries = {**self._entries, name: _Entry(versions, reason)}
            raise failure
        # A version that is no longer chosen stays in the index, as unloaded.
        gone = {n: _Version("UNAVAILABLE", "unloaded") for n in old.versions if n not in versions}
        self._entries = {**self._entries, name: _Entry({**gone, **versions}, "", brought)}
        return old


def _is_model(directory: Path) -> bool:
    return (directory / "config.pbtxt").is_file() and all(
        each.name.isdecimal() or each.name.startswith(".")
        for each in directory.iterdir()
        if each.is_dir()
    )


def _closed(version: _Version) -> _Version:
    if version.model is None:
        return version
    version.model.close()
    return _Version("UNAVAILABLE", "unloaded")


def _ready(entry: _Entry) -> dict[int, Model]:
    return {number: each.model for number, each in entry.versions.items() if each.model}


def _close(models: Iterable[Model], files: tempfile.TemporaryDirectory[str] | None) -> None:
    for model in models:
        model.close()
    if files is not None:
        files.cleanup()


def _write(files: Mapping[str, bytes]) -> tempfile.TemporaryDirectory[str]:
    """Files that a request brought, in a directory of their own."""
    directory = tempfile.TemporaryDirectory(prefix="tritonclient-model-")
    root = Path(directory.name).resolve()
    try:
        for name, content in files.items():
            _write_file(root, name, content)
    except BaseException:
        directory.cleanup()
        raise
    return directory


def _write_file(root: Path, name: str, content: bytes) -> None:
    try:
        path = (root / name.removeprefix("file:")).resolve()
        if path == root or not path.is_relative_to(root):
            raise ValueError("it would lie outside of the model's directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except ValueError as error:
        raise InvalidArgument(f"the file {name!r:.200} can't be written: {error}", "400") from error


def _configuration(name: str, directory: Path, override: str | None) -> ModelConfig:
    """The configuration of a model, completed as far as that goes without its backend."""
    if override is None:
        config = model_config.read(directory / "config.pbtxt")
    else:
        config = model_config.from_json(override)
    files = [
        each.name for number in _numbers(directory) for each in (directory / str(number)).iterdir()
    ]
    model_config.complete(config, name, files)
    if not config.backend and not config.platform:
        raise ValueError(
            f"Invalid model name: Could not determine backend for model '{name}' with no backend "
            "in model configuration. Expected model name of the form 'model.<backend_name>'."
        )
    return config


def _numbers(directory: Path) -> list[int]:
    """The numbers of the version directories, ascending."""
    return sorted(
        int(each.name)
        for each in directory.iterdir()
        if each.is_dir()
        and each.name.isdecimal()
        and str(int(each.name)) == each.name
        and each.name != "0"
    )


def _chosen(config: ModelConfig, numbers: list[int]) -> list[int]:
    """The versions that the policy serves."""
    policy: Any = config.version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return numbers
    if kind == "specific":
        return [number for number in numbers if number in policy.specific.versions]
    return numbers[-(policy.latest.num_versions or 1) :]


def _load_version(source: Source) -> _Version:
    try:
        model = load(source)
    except ServerError as error:
        _log.error("failed to load '%s' version %d: %s", source.name, source.version, error)
        return _Version("UNAVAILABLE", error.message() or "")
    except ImportError as error:
        return _Version("UNAVAILABLE", f"Internal: {error}", missing=str(error))
    return _Version("READY", model=model)


def _failure(name: str, versions: dict[int, _Version]) -> InvalidArgument | None:
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


def check_version(version: str) -> None:
    """Raise InvalidArgument for a version that is no number; "" stands for any."""
    if version and not version.isdecimal():
        raise InvalidArgument(
            f"failed to get model version from specified version string '{version}' (details: "
            "stol), version should be an integral value > 0",
            "400",
        )
