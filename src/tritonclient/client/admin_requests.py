"""Requests that administer a server, from the arguments of the clients' methods."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..messages import (
    LoadModel,
    LogValue,
    RegisterCudaSharedMemory,
    RegisterSystemSharedMemory,
    TraceValue,
    UpdateLogSettings,
    UpdateTraceSettings,
)
from .request_checks import check_texts, whole_number
from .suggestions import meant
from .user_warnings import warn


def load_request(
    model: str,
    config: str | Mapping[str, Any] | None,
    files: Mapping[str, bytes] | None,
) -> LoadModel:
    """The request that the arguments of `Client.load_model` make.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    if files and config is None:
        raise ValueError("files need a config, which describes the model that they make")
    if files is not None and not isinstance(files, Mapping):
        raise TypeError(
            f"files is {type(files).__name__}, expected a mapping of paths to contents, "
            'such as {"1/model.onnx": data}'
        )
    for path, content in (files or {}).items():
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"file {path!r} is {type(content).__name__}, expected bytes, the file's contents"
            )
    if config is not None and not isinstance(config, (str, Mapping)):
        raise TypeError(f"config is {type(config).__name__}, expected JSON text or a mapping")
    if config is not None and not isinstance(config, str):
        config = json.dumps(config)
    elif config is not None and config.endswith((".pbtxt", ".json")):
        raise ValueError(
            f"config is {config!r:.60}, expected the configuration itself as JSON text, "
            "or a mapping, not the path of a file"
        )
    return LoadModel(model, config, files or {})


def trace_request(settings: Mapping[str, TraceValue | int], model: str) -> UpdateTraceSettings:
    """The request that the arguments of `Client.update_trace_settings` make.

    Raises:
        TypeError: the settings are no mapping, or one is neither text, a number nor texts.
    """
    _check_settings(settings, _TRACE, '{"trace_level": ["TIMESTAMPS"]}')
    return UpdateTraceSettings(
        {name: _trace_value(name, value) for name, value in settings.items()}, model
    )


def _trace_value(name: str, value: Any) -> TraceValue:
    """Return a trace setting as servers take it: numbers as texts, the level as a list."""
    if name == "trace_level" and isinstance(value, str):  # HTTP servers take a list only
        return (value,)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"{name} of settings is {value!r:.60}, expected a text or a whole number, a list of "
            "texts for trace_level, or None, which resets it"
        )
    return str(value)


def log_request(settings: Mapping[str, LogValue]) -> UpdateLogSettings:
    """The request that the arguments of `Client.update_log_settings` make.

    Raises:
        TypeError: the settings are no mapping.
    """
    _check_settings(settings, _LOG, '{"log_verbose_level": 1}')
    for name, value in settings.items():
        kind = _LOG.get(name)
        if kind is not None and (not isinstance(value, kind) or (kind is int and value is True)):
            raise TypeError(f"{name} of settings is {value!r:.60}, expected {kind.__name__}")
    return UpdateLogSettings(settings)


#: Triton's settings, with the types of those that have one.
_LOG: Mapping[str, type] = {
    "log_file": str,
    "log_info": bool,
    "log_warning": bool,
    "log_error": bool,
    "log_verbose_level": int,
    "log_format": str,
}
_TRACE = ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file", "trace_mode")


def _check_settings(settings: Any, known: Iterable[str], example: str) -> None:
    if not isinstance(settings, Mapping):
        raise TypeError(
            f"settings is {type(settings).__name__}, expected a mapping, such as {example}"
        )
    for name in settings:
        hint = "" if name in known else meant(str(name), known)
        if hint:  # servers ignore names that they do not know, and may know others than these
            warn(
                f"settings has {name!r}, which servers ignore{hint}; Triton's settings are "
                f"{', '.join(known)}"
            )


def system_region(name: str, key: str, byte_size: int, offset: int) -> RegisterSystemSharedMemory:
    """The request that the arguments of `Client.register_system_shared_memory` make.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    check_texts(name=name, key=key)
    size = whole_number("byte_size", byte_size)
    return RegisterSystemSharedMemory(name, key, size, whole_number("offset", offset))


def cuda_region(
    name: str, raw_handle: bytes, device_id: int, byte_size: int
) -> RegisterCudaSharedMemory:
    """The request that the arguments of `Client.register_cuda_shared_memory` make.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    check_texts(name=name)
    if not isinstance(raw_handle, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"raw_handle is {type(raw_handle).__name__}, expected bytes, those of a "
            "cudaIpcMemHandle_t"
        )
    device = whole_number("device_id", device_id)
    return RegisterCudaSharedMemory(
        name, bytes(raw_handle), device, whole_number("byte_size", byte_size)
    )
