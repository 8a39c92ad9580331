"""The models that a server loads when it starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ...client.suggestions import meant
from ...errors import Internal, ServerError
from ..config.checking import is_ensemble
from . import layout
from .directory import read_configuration
from .repository import Repository
from .versions import ModelEntry, Version

_log = logging.getLogger(__name__)

#: Models that are loaded at the same time, as in Triton.
LOAD_THREADS = 4


def all_names(repository: Repository, directories: Iterable[Path], needs_one: bool) -> list[str]:
    """Return the names of all models; log it if there is none.

    Args:
        directories: what the repository consists of, as its user named it.

    Raises:
        ValueError: there is none, with `needs_one`.
    """
    names = repository.names()
    if not names:
        problem = layout.empty(directories)
        if needs_one:
            raise ValueError(problem)
        _log.warning("%s", problem)
    return names


def load_all(
    repository: Repository, names: Iterable[str], exit_on_error: bool, threads: int
) -> None:
    """Load these models of a repository.

    Args:
        exit_on_error: True to raise the errors of models; their index has them in any case.
        threads: how many models are loaded at the same time.

    Raises:
        Internal: models cannot be loaded, with `exit_on_error`.
    """
    names = list(dict.fromkeys(names))
    if threads > 1 and len(names) > 1:
        _prepare_all(repository, names, threads)
    failures = {}
    # Others may need those that are prepared.
    for name in sorted(names, key=lambda each: each not in repository.prepared):
        try:
            repository.start(name)
        except ServerError as error:
            text = (error.message() or "").strip()
            cause = repository.failure(name)
            cause = cause or _cause(text, name, repository.names())
            failures[name] = f"{text} ({cause})" if cause and cause not in text else text
    for versions in repository.prepared.values():  # of models that were removed meanwhile
        ModelEntry(versions).close()
    repository.prepared.clear()
    if not failures or not exit_on_error:
        return
    # A missing package is named once, with all models that need it.
    texts = []
    for text, models in repository.missing().items():
        # Those that need such a model, as ensembles do, name it as their reason.
        others = [name for name, why in failures.items() if name not in models and text in why]
        texts.append(f"{text} (for {', '.join(map(repr, [*models, *others]))})")
        for name in (*models, *others):
            failures.pop(name, None)
    texts += [failures[name] for name in names if name in failures]
    raise Internal("failed to load all models: " + "; ".join(texts))


def _cause(text: str, name: str, names: Iterable[str]) -> str:
    """Return what to do about a failure that a model's user may have made, or ""."""
    if "no attribute 'TritonPythonModel'" in text:
        return (
            "a model.py defines the class TritonPythonModel; a function is served from Python: "
            "Server(models={'name': function})"
        )
    names = sorted(names)
    if name in names:
        return ""
    hint = meant(name, names) or f"; its models are {', '.join(names[:8])}" if names else ""
    return f"the repository has no model {name!r}{hint}"


def _prepare_all(repository: Repository, names: list[str], threads: int) -> None:
    """Load models at the same time. Those that need others are left to `Repository.start`."""
    directories = repository.directories()
    prepare = partial(_prepare, repository, names)
    with ThreadPoolExecutor(threads, "tritonclient-load") as pool:
        loaded = pool.map(prepare, names, map(directories.get, names))
        for name, versions in zip(names, loaded, strict=True):
            if versions:
                repository.prepared[name] = versions


def _prepare(
    repository: Repository, names: list[str], name: str, directory: Path | None
) -> dict[int, Version]:
    """Return the versions of a model, ready or not; none if they are to be loaded later."""
    if directory is None:
        return {}
    try:
        config = read_configuration(name, directory, None)
    except (ValueError, OSError):
        return {}
    if is_ensemble(config):
        return {}
    versions = repository.load_versions(name, directory, config)
    # Such as the error of a model that calls another while it is loaded.
    others = [f"'{each}'" for each in names if each != name]
    if any(other in each.reason for other in others for each in versions.values()):
        ModelEntry(versions).close()
        return {}
    return versions
