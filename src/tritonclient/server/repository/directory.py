"""The directory of a model: configuration, version directories, and files from load requests."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidArgument
from ..config import completing
from ..config import reading as model_config
from ..config.reading import ModelConfig


def is_model(directory: Path) -> bool:
    """Return True if this is the directory of a model, not of a repository."""
    return (directory / "config.pbtxt").is_file() and all(
        each.name.isdecimal() or each.name.startswith(".")
        for each in directory.iterdir()
        if each.is_dir()
    )


def write(files: Mapping[str, bytes]) -> tempfile.TemporaryDirectory[str]:
    """Write the files of a load request to a temporary directory and return it."""
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


def read_configuration(name: str, directory: Path, override: str | None) -> ModelConfig:
    """Return the configuration of a model, completed except for the backend's part."""
    if override is None:
        config = model_config.read(directory / "config.pbtxt")
    else:
        config = model_config.from_json(override)
    files = [
        each.name
        for number in version_numbers(directory)
        for each in (directory / str(number)).iterdir()
    ]
    completing.complete(config, name, files)
    return config


def version_numbers(directory: Path) -> list[int]:
    """Return the numbers of the version directories, ascending."""
    return sorted(
        int(each.name)
        for each in directory.iterdir()
        if each.is_dir() and each.name.isdecimal() and str(int(each.name)) == each.name
    )


def chosen_versions(config: ModelConfig, numbers: list[int]) -> list[int]:
    """Return the versions that the version policy serves."""
    policy: Any = config.version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return numbers
    if kind == "specific":
        return [number for number in numbers if number in policy.specific.versions]
    return numbers[-policy.latest.num_versions :] if policy.latest.num_versions else []
