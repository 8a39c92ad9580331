"""Arguments that the classic clients share: conversion and checks."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any, TypeAlias

import numpy as np

from ..errors import InferenceServerException
from ..messages import RegisterCudaSharedMemory
from ..operations import RESERVED_PARAMETERS, RESERVED_PREFIX
from ..utils import raise_error

Headers: TypeAlias = "Mapping[str, str] | None"
NO_SETTINGS: Mapping[str, Any] = {}


def check_version(model_version: str) -> None:
    """Raise unless a model's version is text."""
    if not isinstance(model_version, str):
        raise_error("model version must be a string")


def request_parameters(
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    timeout: int | None,
    parameters: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The parameters of an inference request.

    Args:
        sequence_id: 0 or "" for none; `sequence_start` and `sequence_end` then mean nothing.
        priority: 0 for the model's default.
        timeout: microseconds that the request may wait in the server's queue.
        parameters: the caller's own.

    Raises:
        InferenceServerException: one of the caller's has a name that is taken.
    """
    found: dict[str, Any] = {}
    if sequence_id:
        found["sequence_id"] = _plain(sequence_id)
        found["sequence_start"] = bool(sequence_start)
        found["sequence_end"] = bool(sequence_end)
    if priority:
        found["priority"] = _plain(priority)
    if timeout is not None:
        found["timeout"] = _plain(timeout)
    if parameters is not None and not isinstance(parameters, Mapping):
        raise TypeError(
            f"parameters is {type(parameters).__name__}, expected a mapping of names to values"
        )
    for name, value in (parameters or {}).items():
        if name in RESERVED_PARAMETERS or name.startswith(RESERVED_PREFIX):
            raise_error(f'Parameter "{name}" is a reserved parameter and cannot be specified.')
        found[name] = _plain(value)
    return found


def check_settings(settings: Any) -> None:
    """Raise TypeError for settings of the log or of traces that are no mapping."""
    if not isinstance(settings, Mapping):
        raise TypeError(
            f"settings is {type(settings).__name__}, expected a mapping of names to values"
        )


def check_callback(callback: Any) -> None:
    """Raise TypeError for what can't be called back with a result or an error."""
    if not callable(callback):
        raise TypeError(
            f"callback is {callback!r:.60}, expected a function that takes `result` and `error`"
        )
    if iscoroutinefunction(callback):
        raise TypeError(
            "callback is an async function, which nobody would await here; give a plain function, "
            "or use tritonclient.grpc.aio"
        )


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def cuda_region(
    name: str, raw_handle: bytes | str, device_id: int, byte_size: int
) -> RegisterCudaSharedMemory:
    """The request that the arguments of `register_cuda_shared_memory` make."""
    try:
        handle = base64.b64decode(raw_handle, validate=True)
    except ValueError as error:
        raise InferenceServerException(f"the handle is not base64: {error}") from error
    return RegisterCudaSharedMemory(name, handle, device_id, byte_size)


def warn_of_no_tls(*, stacklevel: int = 3, **given: Any) -> None:
    """Warn of arguments that secure connections, given to a client that does not."""
    for name, value in given.items():
        if value:
            warnings.warn(
                f"{name} has no effect without ssl=True: the connection is not encrypted",
                stacklevel=stacklevel,
            )
