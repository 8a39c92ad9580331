"""`GivenModels`: a temporary repository of models that are given one by one."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ...client.suggestions import meant
from ..backends.function.model import FunctionModel, as_function_model
from .directory import version_numbers
from .layout import MODEL_FILES, misplaced

#: A model that is given by value: a file, a directory, or a function.
GivenModel: TypeAlias = "str | os.PathLike[str] | Callable[..., Any] | FunctionModel"
#: The models of a repository that are functions, by name.
Functions: TypeAlias = Mapping[str, FunctionModel]

#: Bytes of a name, as it is that of a directory.
_MAX_NAME = 255


class GivenModels:
    """A repository with a directory for each model; it refers to the files where they are.

    Attributes:
        directory: the repository.
        functions: the models that are functions, by name.

    Args:
        models: by name, the file of an ONNX or Python model, the directory of a model, a function
            or a `FunctionModel`.

    Raises:
        TypeError, ValueError, OSError: one of them cannot be a model.
    """

    def __init__(self, models: Mapping[str, Any]) -> None:
        self.functions: dict[str, FunctionModel] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="tritonclient-models-"))
        # At the end of this process at the latest, and not at that of a forked child.
        self._remove = weakref.finalize(self, _remove, self.directory, os.getpid())
        try:
            for name, given in models.items():
                self._add(_checked_name(name), given)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Delete the repository; the files of the models stay."""
        self._remove()

    def _add(self, name: str, given: Any) -> None:
        place = self.directory / name
        if isinstance(given, (str, os.PathLike)):
            if not os.fspath(given):
                raise ValueError(f"model {name!r} is '', expected the path of a file or directory")
            path = Path(given).absolute()
            if path.is_dir():
                _add_directory(name, place, path)
            else:
                _add_file(name, place, path)
            return
        if not callable(given) and not isinstance(given, FunctionModel):
            raise TypeError(
                f"model {name!r} is {type(given).__name__}, expected the path of a file or "
                f"directory, a function, or a FunctionModel{_as_function(given)}"
            )
        try:
            model = as_function_model(given)
        except TypeError as error:
            raise TypeError(f"model {name!r}: {error}") from error
        self.functions[name] = model
        (place / "1").mkdir(parents=True)
        (place / "config.pbtxt").write_text(model.configuration_file(name), "utf-8")


def _as_function(given: Any) -> str:
    """Return how an object of a library becomes a function, or ""."""
    for method in ("predict", "run", "transform"):
        if callable(getattr(given, method, None)):
            return f'; its method {method} makes one: lambda X: {{"Y": model.{method}(X)}}'
    return ""


def _remove(directory: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"models has the key {name!r:.80}, expected the name of a model")
    if not name or name.startswith(".") or "/" in name or os.sep in name:
        raise ValueError(
            f"{name!r:.80} is not the name of a model: it is empty, begins with a dot "
            "or holds a slash"
        )
    if not name.isprintable() or len(os.fsencode(name)) > _MAX_NAME:
        raise ValueError(
            f"{name!r:.80} is not the name of a model: it holds control characters or has more "
            f"than {_MAX_NAME} bytes"
        )
    return name


def _add_directory(name: str, place: Path, path: Path) -> None:
    if not version_numbers(path):
        raise ValueError(f"model {name!r}: {misplaced(path)}")
    _refer(place, path)


def _add_file(name: str, place: Path, path: Path) -> None:
    if not path.exists():
        raise ValueError(f"model {name!r}: there is no file '{path}'{_close_to(path)}")
    backend = MODEL_FILES.get(path.suffix)
    if backend is None:
        raise ValueError(
            f"model {name!r}: '{path.name}' is not a model that this server has a backend for; "
            f"expected a file that ends with {' or '.join(MODEL_FILES)}, or the directory of a "
            "model"
        )
    place.mkdir()
    # The directory of the file is the version, so that the model finds the files beside it.
    _refer(place / "1", path.parent, path)
    config = f"backend: {json.dumps(backend)}\ndefault_model_filename: {json.dumps(path.name)}\n"
    (place / "config.pbtxt").write_text(config, "utf-8")


def _close_to(path: Path) -> str:
    """Return what is wrong with the path of a file that is not there, or a close one, or ""."""
    text = str(path)
    if re.search(r"/(s3|gs|as|https?|hdfs):/", text):
        return "; it is a URL, and this server reads files of this machine: download it first"
    if not path.parent.is_dir():
        return f"; there is no directory '{path.parent}' either"
    names = [each.name for each in path.parent.iterdir() if each.suffix in MODEL_FILES]
    return meant(path.name, names)


def _refer(place: Path, directory: Path, file: Path | None = None) -> None:
    """Make a link to a directory; where there are no links, copy it, or only `file` of it."""
    try:
        place.symlink_to(directory, target_is_directory=True)
    except (NotImplementedError, OSError):
        if file is None:
            shutil.copytree(directory, place)
        else:
            place.mkdir()
            shutil.copy2(file, place)
