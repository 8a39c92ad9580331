"""Choosing how the data is loaded, by what --input-data says."""

from __future__ import annotations

import os

from ..exits import SetupError
from ..options.settings import Settings
from . import files, generated, json_file
from .dataset import Dataset
from .model import ModelInfo


def load(model: ModelInfo, settings: Settings) -> Dataset:
    """The data that the options ask for.

    Raises:
        SetupError: it can't be had, or does not fit the model.
    """
    generated.check_names(model, settings)
    given = settings.input_data or ["random"]
    if given[-1] in ("random", "zero"):
        return generated.generate(model, settings, {"": given[-1]})
    kinds = _kinds(given)
    if kinds is not None:
        return generated.generate(model, settings, kinds)
    for path in given:
        if not os.path.exists(path):
            raise SetupError(
                f"--input-data is {path!r}, expected random, zero, NAME=random, or a folder or "
                "file that exists"
            )
    if os.path.isdir(given[-1]):
        if len(given) > 1:
            raise SetupError("--input-data is a folder and also given again, expected one folder")
        return files.load_folder(given[-1], model, settings)
    endings = {os.path.splitext(path)[1] for path in given}
    if endings <= {".npy", ".npz"}:
        return files.load_arrays(given, model, settings)
    if endings == {".py"} and len(given) == 1:
        return files.load_generator(given[0], model, settings)
    return json_file.load(given, model, settings)


def _kinds(given: list[str]) -> dict[str, str] | None:
    """What `NAME=zero,NAME=random` says by input; None when it is something else."""
    kinds: dict[str, str] = {}
    for text in given:
        for part in text.split(","):
            name, equals, kind = part.rpartition("=")
            if not equals or kind not in ("random", "zero") or os.path.exists(text):
                return None
            kinds[name] = kind
    return kinds
