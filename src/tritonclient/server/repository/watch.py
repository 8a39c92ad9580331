"""`RepositoryWatch`: loads what changed in the directories of a repository."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ...errors import ServerError
from .repository import Repository

_log = logging.getLogger(__name__)

#: Files of one model that are looked at; a model's directory may be a link to a large folder.
_MOST_FILES = 10_000
#: What editors and Python write beside the files of a model.
_LEFT_OUT = (".pyc", ".swp", ".swx", ".tmp", "~")

#: By path, when a file was changed, its size and its number.
_Files: TypeAlias = "dict[str, tuple[int, int, int]]"


class RepositoryWatch:
    """Reloads models whose files changed; a model that cannot be loaded goes on serving.

    Args:
        every: True to also load models that appear and unload those that disappear; False to
            reload only models that are loaded, or failed to load.
    """

    def __init__(self, repository: Repository, *, every: bool) -> None:
        self._repository = repository
        self._every = every
        self._seen = self._look()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, interval: float) -> None:
        """Call `check` on a thread of its own.

        Args:
            interval: seconds between two calls.
        """
        self._thread = threading.Thread(
            target=self._run, args=(interval,), name="tritonclient-watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, interval: float) -> None:
        while not self._end.wait(interval):
            try:
                self.check()
            except Exception:
                _log.exception("the model repository cannot be watched")

    def check(self) -> list[str]:
        """Load what changed since the last call; return the names of these models."""
        before, self._seen = self._seen, self._look()
        changed = [
            name
            for name in sorted(before.keys() | self._seen.keys())
            if before.get(name) != self._seen.get(name) and self._concerns(name)
        ]
        for name in changed:
            if self._end.is_set():
                break
            self._change(name, _differing(before.get(name, {}), self._seen.get(name, {})))
        return changed

    def _concerns(self, name: str) -> bool:
        if self._every:
            return True
        return name in self._seen and any(
            each.name == name and not each.status.endswith(": unloaded")
            for each in self._repository.status()
        )

    def _change(self, name: str, files: str) -> None:
        try:
            if name not in self._seen:
                self._repository.unload(name)
                _log.info("unloaded '%s': its directory is gone", name)
            else:
                self._repository.load(name)
                _log.info("loaded '%s': %s changed", name, files)
        except ServerError:  # the repository logs the reason
            _log.error(
                "'%s' is not reloaded, though %s changed; what served before goes on", name, files
            )

    def _look(self) -> dict[str, _Files]:
        return {
            name: dict(_files(directory))
            for name, directory in self._repository.directories().items()
        }


def _files(directory: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield the files of a model. Folders that a link leads back to are read once."""
    folders = [directory]
    read: set[tuple[int, int]] = set()
    count = 0
    while folders:
        folder = folders.pop()
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in read:
                continue
            read.add((about.st_dev, about.st_ino))
            entries = sorted(os.scandir(folder), key=lambda each: each.name)
        except OSError:
            continue  # it was deleted meanwhile, or cannot be read
        for each in entries:
            if each.name.startswith((".", "__pycache__")) or each.name.endswith(_LEFT_OUT):
                continue
            try:
                if each.is_dir():
                    folders.append(Path(each.path))
                    continue
                about = each.stat()
            except OSError:
                continue
            count += 1
            if count > _MOST_FILES:
                return
            path = os.path.relpath(each.path, directory)
            yield path, (about.st_mtime_ns, about.st_size, about.st_ino)


def _differing(before: _Files, after: _Files) -> str:
    """Return the names of the first files that differ."""
    names = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "its directory") + more
