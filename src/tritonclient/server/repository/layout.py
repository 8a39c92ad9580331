"""What is wrong with the directories of a repository, for people who make their first one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .directory import is_model, version_numbers

#: The files that are models, by their endings: the backend of each.
MODEL_FILES = {".onnx": "onnxruntime", ".py": "python"}
EXPECTED = (
    "a model repository has a directory per model, with a numbered directory per version: "
    "REPOSITORY/MODEL/1/model.onnx (or model.py), and REPOSITORY/MODEL/config.pbtxt where the "
    "model needs a configuration"
)

#: What reasons say when a file or directory is not where it is expected.
_MISSING = ("unable to find", "Could not determine backend", "No model version")


def check_repository(directory: Path) -> None:
    """Raise ValueError if this cannot be a model repository."""
    if directory.is_file():
        raise ValueError(
            f"'{directory}' is a file and not a model repository. To serve one model, use "
            f"`tritonclient serve {directory.name}`, or Server(models={{'{directory.stem}': "
            f"'{directory.name}'}}); {EXPECTED}"
        )
    if not directory.is_dir():
        raise ValueError(f"failed to stat model repository '{directory}': no such directory")
    if is_model(directory):
        raise ValueError(
            f"'{directory}' holds config.pbtxt, so it is a model and not a repository of "
            f"models; give its parent: '{directory.parent}'"
        )
    folders = _folders(directory)
    if folders and all(each.name.isdecimal() for each in folders):
        raise ValueError(
            f"'{directory}' holds the version directories of a model, so it is not a repository "
            f"of models; give its parent: '{directory.parent}'; {EXPECTED}"
        )
    files = model_files(directory)
    if files and not folders:
        if directory.name.isdecimal():
            raise ValueError(
                f"'{directory}' holds {_listed(files)}, so it is a version of a model and not a "
                f"repository; give '{directory.parent.parent}'; {EXPECTED}"
            )
        raise ValueError(
            f"'{directory}' holds {_listed(files)} itself and no directories of models. Serve the "
            f"file with `tritonclient serve {files[0].name}`, or move it to "
            f"'{directory / files[0].stem / '1' / ('model' + files[0].suffix)}'; {EXPECTED}"
        )


def empty(directories: Iterable[Path]) -> str:
    """Return the message about repositories without any model."""
    named = ", ".join(f"'{each}'" for each in directories)
    if not named:
        return 'there is nothing to serve: models is empty, expected {"name": file or function}'
    return f"there are no models in {named}; {EXPECTED}"


def explain(directory: Path, reasons: Iterable[str]) -> str:
    """Return what is wrong with the directory of a model, if a reason of its failure hints at it.

    Args:
        reasons: why the model and its versions are not loaded.
    """
    suspected = any(text in reason for reason in reasons for text in _MISSING)
    return misplaced(directory) if suspected else ""


def misplaced(directory: Path) -> str:
    """Return what is not where the directory of a model should have it, or ""."""
    versions = version_numbers(directory)
    if versions:
        for number in versions:
            version = directory / str(number)
            found = [each.name for each in sorted(version.iterdir())]
            if not any(each in ("model.onnx", "model.py") for each in found):
                names = ", ".join(map(repr, found[:5])) or "nothing"
                return (
                    f"'{version}' holds {names}, expected model.onnx or model.py, or the file "
                    "that default_model_filename in config.pbtxt names"
                )
        return ""
    inner = _models_in(directory)
    if inner:
        return (
            f"'{directory}' holds models, so it is a repository itself: serve it as "
            f"model_repository='{directory}', or give one of its models, such as '{inner[0]}'"
        )
    files = model_files(directory)
    if files:
        return (
            f"'{directory}' holds {_listed(files)} itself; move it to "
            f"'{directory / '1' / ('model' + files[0].suffix)}'"
        )
    return f"'{directory}' has no version directory; expected '{directory / '1' / 'model.onnx'}'"


def repository_problem(directory: Path) -> str:
    """Return what is wrong with a repository that is given in place of a model, or ""."""
    if is_model(directory) or version_numbers(directory):
        return ""
    inner = _models_in(directory)
    if not inner:
        return ""
    return f"'{directory}' is a repository, expected one of its models, such as '{inner[0]}'"


def _models_in(directory: Path) -> list[Path]:
    """Return the directories of models in a directory, sorted by name."""
    return [each for each in sorted(_folders(directory)) if version_numbers(each)]


def model_files(directory: Path) -> list[Path]:
    """Return the files in a directory that may be models."""
    return sorted(
        each for each in directory.iterdir() if each.suffix in MODEL_FILES and each.is_file()
    )


def _folders(directory: Path) -> list[Path]:
    return [each for each in directory.iterdir() if each.is_dir() and not each.name.startswith(".")]


def _listed(files: list[Path]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(repr(each.name) for each in files[:3]) + more
