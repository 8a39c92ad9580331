"""Data of tensors that a model configuration describes: zeros, and files of the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from ... import datatypes
from ...datatypes import Array
from ...errors import ServerError


def zeros(kind: str, shape: Sequence[int]) -> Array:
    """Return zeros, or empty byte strings.

    Raises:
        MemoryError: there is no memory for so many.
    """
    if kind == "BYTES":
        return np.full(shape, b"", object)
    return np.zeros(shape, datatypes.NUMPY[kind])


def read(file: str, kind: str, shape: Sequence[int], folder: Path, subject: str) -> Array:
    """Return the tensor in a file of a model's folder; bytes behind it do not matter.

    Args:
        subject: what the data is for, in errors.

    Raises:
        ServerError: the file is not there, has too few bytes, or lies elsewhere.
    """
    # A configuration may come from a client, who must not learn of other files.
    if Path(file).is_absolute() or ".." in Path(file).parts:
        _refuse(f"{subject} file '{file}' is not in the model's folder '{folder.name}'")
    path = folder / file
    try:
        if path.exists() and not path.is_file():
            _refuse(f"{subject} file '{file}' is not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise ServerError(
            f"Internal: failed to open text file for read {path}: {error.strerror}", "400"
        ) from error
    size = datatypes.byte_size(kind, datatypes.element_count(tuple(shape)))
    if size is not None and len(data) < size:
        _refuse(
            f"{subject} setting expects {size} bytes, but the data provided from {file} only has "
            f"{len(data)} bytes"
        )
    try:
        return datatypes.unpack(data[:size], kind, tuple(shape))
    except ValueError as error:
        _refuse(f"{subject} data of {file}: {error}")


def _refuse(text: str) -> NoReturn:
    raise ServerError(f"Invalid argument: {text}", "400")
