"""Trace and log settings: kept and validated as Triton does, though nothing is traced here."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from ...errors import Internal, InvalidArgument, Unimplemented

_TRACE_DEFAULTS: Mapping[str, Any] = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "triton",
}
#: As many digits as fit into 64 bits.
_NUMBER = re.compile("-?[0-9]{1,18}")
_TRACE_LEVELS = ("TIMESTAMPS", "TENSORS")
_LOG_DEFAULTS: Mapping[str, Any] = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}
_LOG_FORMATS = ("default", "ISO8601")


def _wrong(text: str) -> Internal:
    return Internal(f"attempt to access JSON {text}", "500")


class TraceSettings:
    """Global settings and those of single models, which take the global ones' place.

    Args:
        trace_file: where traces would go; without one no level can be set, as in Triton.
    """

    def __init__(self, trace_file: str = "") -> None:
        self._lock = threading.Lock()
        self._defaults = {**_TRACE_DEFAULTS, "trace_file": trace_file}
        self._global: dict[str, Any] = dict(self._defaults)
        self._models: dict[str, dict[str, Any]] = {}

    def get(self, model: str) -> dict[str, Any]:
        """The settings in force for a model, or the global ones for ""."""
        with self._lock:
            return {**self._global, **self._models.get(model, {})}

    def update(self, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings, None resetting one; the settings that are then in force."""
        changes = {
            name: None if value is None else self._value(name, value)
            for name, value in settings.items()
            if name in _TRACE_DEFAULTS
        }
        with self._lock:
            target = self._models.setdefault(model, {}) if model else self._global
            for name, value in changes.items():
                if value is not None:
                    target[name] = value
                elif model:
                    target.pop(name, None)
                else:
                    target[name] = self._defaults[name]
        return self.get(model)

    def _value(self, name: str, value: Any) -> Any:
        if name != "trace_level":
            return _trace_value(name, value)
        levels = _levels(value)
        if levels != ["OFF"] and not self._defaults["trace_file"]:
            raise InvalidArgument(
                "Attempting to set invalid trace setting :trace file name is not given", "400"
            )
        return levels


def _levels(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _wrong("non-array as array")
    if not all(isinstance(level, str) for level in value):
        raise _wrong("non-string as string")
    return [level for level in value if level in _TRACE_LEVELS] or ["OFF"]


def _trace_value(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("non-string as string")
    if name == "trace_file":
        raise Unimplemented(
            "trace file location can not be updated through network protocol", "501"
        )
    if name in ("trace_rate", "trace_count", "log_frequency"):
        _check_number(name, value)
    return value


def _check_number(name: str, value: str) -> None:
    if not _NUMBER.fullmatch(value) or (name != "trace_count" and value[0] == "-"):
        raise InvalidArgument(f"Unable to parse '{name}', got: {value:.100}", "400")
    if int(value) < -1:
        raise InvalidArgument(
            f"Unable to parse 'trace_count'. Expecting value >= -1, got:{value}", "400"
        )


class LogSettings:
    """What the server logs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: dict[str, Any] = dict(_LOG_DEFAULTS)

    def get(self) -> dict[str, Any]:
        """The settings in force."""
        with self._lock:
            return dict(self._settings)

    def update(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings; the settings that are then in force."""
        changes = {
            name: _log_value(name, value)
            for name, value in settings.items()
            if name in _LOG_DEFAULTS and value is not None
        }
        with self._lock:
            self._settings.update(changes)
        return self.get()


def _log_value(name: str, value: Any) -> Any:
    if name == "log_file":
        raise Unimplemented("log file location can not be updated through network protocol", "501")
    if name == "log_verbose_level":
        if type(value) is not int or value < 0:
            raise _wrong("non-unsigned-integer as unsigned-integer")
    elif name == "log_format":
        if not isinstance(value, str):
            raise _wrong("non-string as string")
        if value not in _LOG_FORMATS:
            raise InvalidArgument(f"invalid argument for --log_format, got: {value}", "503")
    elif type(value) is not bool:
        raise _wrong("non-boolean as boolean")
    return value
