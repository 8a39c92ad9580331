"""The interpreter of a model's process: the server's, or that of `EXECUTION_ENV_PATH`.

Archives are unpacked to temporary folders, which are removed when the server ends. The server has a
lock on each of them. A folder without a lock is that of a server that was killed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

_PARAMETER = "EXECUTION_ENV_PATH"
_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"
_PREFIX = "tritonclient-environment-"


class _Folder(NamedTuple):
    """A temporary folder, and the descriptor that holds its lock."""

    folder: tempfile.TemporaryDirectory[str]
    lock: int


_lock = threading.Lock()
#: Unpacked archives by path, time of change and size.
_unpacked: dict[tuple[str, int, int], _Folder] = {}


def asked_for(config: dict[str, Any], directory: Path) -> Path | None:
    """Return the environment that a model asks for; None if it asks for none.

    Args:
        config: the model configuration in its JSON form.
        directory: the model's directory.

    Raises:
        ValueError: it is neither a folder with bin/python nor an archive.
    """
    value = config["parameters"].get(_PARAMETER, {}).get("string_value", "")
    if not value:
        return None
    path = Path(value.replace(_DIRECTORY, str(directory)))
    if path.is_dir():
        _python(path, path)
        return path
    try:
        with tarfile.open(path) as file:
            file.next()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise _unusable(path, error) from error
    return path


def interpreter(config: dict[str, Any], directory: Path, default: str) -> str:
    """Return the path of a model's interpreter; "" for that of this process.

    Args:
        config: the model configuration in its JSON form.
        directory: the model's directory.
        default: the interpreter of models without a parameter `EXECUTION_ENV_PATH`.

    Raises:
        ValueError: the parameter names no environment.
    """
    path = asked_for(config, directory)
    if path is None:
        return default
    return _python(path if path.is_dir() else _unpack(path), path)


def _python(folder: Path, path: Path) -> str:
    python = folder / "bin" / "python"
    if not python.exists():
        raise ValueError(f"{_PARAMETER} is '{path}', which has no bin/python")
    return str(python)


def _unusable(path: Path, error: Exception) -> ValueError:
    # The words of Triton for a path that is not there.
    start = "" if path.exists() else f"Failed to get the canonical path for {path}. "
    return ValueError(
        f"{start}{_PARAMETER} is '{path}', expected a folder with bin/python or an archive of one: "
        f"{error}"
    )


def _unpack(archive: Path) -> Path:
    """Return the folder that an archive is unpacked to, once."""
    try:
        status = archive.stat()
        key = (str(archive), status.st_mtime_ns, status.st_size)
        with _lock:
            if key not in _unpacked:
                _unpacked[key] = _extract(archive)
            return Path(_unpacked[key].folder.name)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise _unusable(archive, error) from error


def _extract(archive: Path) -> _Folder:
    made = _new_folder()
    try:
        with tarfile.open(archive) as file:
            # A filter refuses what would be written elsewhere; old versions of Python have none.
            if hasattr(tarfile, "tar_filter"):
                file.extractall(made.folder.name, filter="tar")
            else:
                file.extractall(made.folder.name)
    except BaseException:
        made.folder.cleanup()
        os.close(made.lock)
        raise
    return made


def _new_folder() -> _Folder:
    while True:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
        lock = _take(folder.name)
        if lock is not None:
            return _Folder(folder, lock)
        folder.cleanup()  # another server took it for one that was left behind


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = _take(path)
            if lock is None:
                continue
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


#: Removes them when the first model is loaded.
remove_leftovers_once = functools.cache(remove_leftovers)


def _take(path: str | Path) -> int | None:
    """Lock a folder and return the descriptor of the lock; None if it belongs to another."""
    import fcntl  # missing on Windows, which has no processes of models

    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
