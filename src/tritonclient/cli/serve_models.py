"""Which models `tritonclient serve` serves: repositories, single models, and the demo models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

#: The demo models: in an installed package, and in a source tree.
_DEMO = (
    Path(__file__).parents[1] / "server" / "demo_models",
    Path(__file__).parents[3] / "models",
)


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Declare what names models."""
    group.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a file (model.onnx, model.py) or the directory of a model, or of a repository of "
        "models; NAME=PATH gives a model another name than that of its file",
    )
    group.add_argument(
        "--model-repository",
        "--model-store",
        action="append",
        default=[],
        metavar="DIR",
        help="directory with a directory per model; may be given several times",
    )
    group.add_argument(
        "--demo", action="store_true", help="serve the models that come with this package"
    )


def are_named(arguments: argparse.Namespace) -> bool:
    """Return True if the command line names anything to serve."""
    return bool(arguments.models or arguments.model_repository or arguments.demo)


def problem(arguments: argparse.Namespace) -> str | None:
    """Return the message about models that cannot be served, or None."""
    try:
        split(arguments.models)
        if arguments.demo:
            demo_repository()
    except ValueError as error:
        return str(error)
    return None


def repositories(arguments: argparse.Namespace) -> list[str]:
    """Return the directories of model repositories."""
    demo = [str(demo_repository())] if arguments.demo else []
    return [*arguments.model_repository, *split(arguments.models)[1], *demo]


def single(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the paths of single models by name."""
    return split(arguments.models)[0]


def demo_repository() -> Path:
    """Return the directory of the demo models; ValueError if they are not there."""
    for directory in _DEMO:
        if (directory / "simple" / "config.pbtxt").is_file():
            return directory
    raise ValueError("this installation lacks the demo models; install it again from a wheel")


def split(given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return single models by name, and directories that are repositories.

    Raises:
        ValueError: two models have the same name.
    """
    models: dict[str, str] = {}
    directories = []
    for each in given:
        if not each:
            raise ValueError("'' is not a model; expected the path of a file or directory")
        name, equals, path = each.partition("=")
        if not equals or Path(each).exists():
            name, path = "", each
        if not name and Path(path).is_dir() and not _is_model(Path(path)):
            directories.append(path)
            continue
        name = name or name_of(Path(path))
        if name in models:
            raise ValueError(
                f"{models[name]} and {path} are both named {name!r}; give one another name: "
                f"NAME={path}"
            )
        models[name] = path
    return models, directories


def _is_model(directory: Path) -> bool:
    return (directory / "config.pbtxt").is_file() or any(
        each.name.isdecimal() and each.is_dir() for each in directory.iterdir()
    )


def name_of(path: Path) -> str:
    """Return the name of the model in a file: that of the file, or of the model's directory."""
    path = path.absolute()
    if path.is_dir():
        return path.name
    if path.parent.name.isdecimal() and path.parent.parent.name:
        return path.parent.parent.name
    return path.stem
