"""The interpreter of a model's process: the server's, or that of `EXECUTION_ENV_PATH`."""

from __future__ import annotations

import tarfile
import tempfile
import threading
from pathlib import Path
from typing import Any

_PARAMETER = "EXECUTION_ENV_PATH"
_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"

_lock = threading.Lock()
#: Unpacked archives by path, time of change and size; they are removed when the server ends.
_unpacked: dict[tuple[str, int, int], tempfile.TemporaryDirectory[str]] = {}


def interpreter(config: dict[str, Any], directory: Path, default: str) -> str:
    """Return the path of a model's interpreter; "" for that of this process.

    Args:
        config: the model configuration in its JSON form.
        directory: the model's directory.
        default: the interpreter of models without a parameter `EXECUTION_ENV_PATH`.

    Raises:
        ValueError: the parameter names no environment.
    """
    value = config["parameters"].get(_PARAMETER, {}).get("string_value", "")
    if not value:
        return default
    path = Path(value.replace(_DIRECTORY, str(directory)))
    folder = path if path.is_dir() else _unpack(path)
    python = folder / "bin" / "python"
    if not python.exists():
        raise ValueError(f"{_PARAMETER} is '{path}', which has no bin/python")
    return str(python)


def _unpack(archive: Path) -> Path:
    """Return the folder that an archive is unpacked to, once."""
    try:
        status = archive.stat()
        key = (str(archive), status.st_mtime_ns, status.st_size)
        with _lock:
            if key not in _unpacked:
                _unpacked[key] = _extract(archive)
            return Path(_unpacked[key].name)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ValueError(
            f"{_PARAMETER} is '{archive}', expected a folder with bin/python or an archive of one: "
            f"{error}"
        ) from error


def _extract(archive: Path) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="tritonclient-environment-")
    try:
        with tarfile.open(archive) as file:
            # A filter refuses what would be written elsewhere; old versions of Python have none.
            if hasattr(tarfile, "tar_filter"):
                file.extractall(folder.name, filter="tar")
            else:
                file.extractall(folder.name)
    except BaseException:
        folder.cleanup()
        raise
    return folder
