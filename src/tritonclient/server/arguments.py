"""Checks of the arguments of `Server`."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from .frontends.grpc.options import GrpcOptions


def directories_of(model_repository: Any) -> list[Path]:
    """Return the directories of a repository that is given as one or several."""
    if isinstance(model_repository, (str, os.PathLike)):
        return [Path(model_repository)]
    iterable = isinstance(model_repository, Iterable) and not isinstance(model_repository, Mapping)
    given: list[Any] = list(model_repository) if iterable else [model_repository]
    for each in given:
        if not isinstance(each, (str, os.PathLike)):
            raise TypeError(
                f"model_repository is {type(each).__name__}, expected a directory or several; "
                'functions and files are given as models={"double": function}'
            )
    return [Path(each) for each in given]


def check_port(name: str, port: object) -> None:
    """Raise for what is no number of a port."""
    if port is None:
        return
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} is {port!r}, expected a whole number or None")
    if not 0 <= port <= 65535:
        raise ValueError(f"{name} is {port}, expected a number from 0 to 65535")


def check_names(name: str, value: Any) -> None:
    """Raise TypeError for what is no list of names."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r:.80}, expected a list of names")


def check_flags(**flags: Any) -> None:
    """Raise TypeError for a flag that is neither True nor False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} is {value!r:.80}, expected True or False")


def checked_interpreter(python: str | os.PathLike[str]) -> str:
    """Return the path or name of an interpreter; ValueError if it can't be executed."""
    if not isinstance(python, (str, os.PathLike)):
        raise TypeError(f"python is {python!r:.80}, expected the path of an interpreter")
    path = os.fspath(python)
    if path and shutil.which(path) is None:
        raise ValueError(
            f"python is {path!r:.80}, expected the path of an interpreter, such as "
            "'/path/of/venv/bin/python'"
        )
    return path


def check_number(name: str, value: Any, least: float, expected: str) -> None:
    """Raise unless a value is a finite number from `least` on.

    Raises:
        TypeError: it is no number.
        ValueError: it is less, or not finite.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= float(value) < math.inf:
        kind = ValueError if number else TypeError
        raise kind(f"{name} is {value!r:.80}, expected {expected}")


def check_types(host: Any, models: Any, trace_settings: Any, grpc: Any) -> None:
    """Raise TypeError for arguments of another type than they have."""
    if not isinstance(host, str):
        raise TypeError(f"host is {host!r:.80}, expected str, such as '127.0.0.1'")
    if models is not None and not isinstance(models, Mapping):
        raise TypeError(
            f"models is {type(models).__name__}, expected a mapping of names to files, "
            'directories or functions, such as {"iris": "model.onnx"}'
        )
    if trace_settings is not None and not isinstance(trace_settings, Mapping):
        raise TypeError(
            f"trace_settings is {type(trace_settings).__name__}, expected a mapping, such as "
            '{"trace_level": ["TIMESTAMPS"]}'
        )
    if grpc is not None and not isinstance(grpc, GrpcOptions):
        raise TypeError(
            f"grpc is {grpc!r:.80}, expected GrpcOptions or None; grpc_port is the port of gRPC"
        )
