"""Trace settings: validated and kept as Triton does, although nothing is traced yet."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...errors import InvalidArgument, Unimplemented
from .errors import wrong_type

LEVELS = ("TIMESTAMPS", "TENSORS")
#: Default settings in each trace mode.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "triton": {
        "trace_level": ["OFF"],
        "trace_rate": "1000",
        "trace_count": "-1",
        "log_frequency": "0",
        "trace_file": "",
        "trace_mode": "triton",
    },
    "opentelemetry": {
        "trace_level": ["OFF"],
        "trace_rate": "1000",
        "trace_count": "-1",
        "trace_mode": "opentelemetry",
        "bsp_max_export_batch_size": "512",
        "bsp_schedule_delay": "5000",
        "bsp_max_queue_size": "2048",
    },
}
MODES = tuple(_DEFAULTS)
#: Settings of a mode that have no default.
_OPTIONAL = {"triton": (), "opentelemetry": ("url", "resource")}
#: Settings that clients may change; requests for others are ignored.
_UPDATABLE = ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file")
_NUMBERS = ("trace_rate", "trace_count", "log_frequency")
#: Integers that fit into 64 bits.
_NUMBER = re.compile("-?[0-9]{1,18}")
NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


class TraceSettings:
    """Global trace settings, and settings of single models that override them. Thread-safe.

    Args:
        settings: initial settings by their names in the trace endpoint, such as
            {"trace_level": ["TIMESTAMPS"], "trace_rate": "5", "trace_file": "trace.json"}.
            Without a file, no level can be set later, as in Triton.

    Raises:
        ValueError: a setting is unknown, or its value is invalid.
    """

    def __init__(self, settings: Mapping[str, Any] = NO_SETTINGS) -> None:
        self._lock = threading.Lock()
        self._defaults = _initial(settings)
        self._global: dict[str, Any] = dict(self._defaults)
        self._models: dict[str, dict[str, Any]] = {}

    def get(self, model: str) -> dict[str, Any]:
        """Return the effective settings of a model; the global ones for ""."""
        with self._lock:
            return {**self._global, **self._models.get(model, {})}

    def update(self, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings, where None resets one; return the effective settings.

        Raises:
            ServerError: a value is invalid, or the settings do not fit together.
        """
        changes = {
            name: None if value is None else _value(name, value)
            for name, value in settings.items()
            if name in _UPDATABLE
        }
        with self._lock:
            target = dict(self._models.get(model, {}) if model else self._global)
            for name, value in changes.items():
                if name not in self._defaults:
                    continue  # it belongs to the other mode
                if value is not None:
                    target[name] = value
                elif model:
                    target.pop(name, None)
                else:
                    target[name] = self._defaults[name]
            if target:  # a model without settings of its own is not checked
                _check_together({**self._global, **target})
            if model:
                self._models[model] = target
            else:
                self._global = target
        return self.get(model)


def _initial(settings: Mapping[str, Any]) -> dict[str, Any]:
    mode = settings.get("trace_mode", "triton")
    if mode not in MODES:
        raise ValueError(f"trace_mode is {mode!r}, expected one of {', '.join(MODES)}")
    known = (*_DEFAULTS[mode], *_OPTIONAL[mode])
    for name in settings:
        if name not in known:
            raise ValueError(
                f"unknown trace setting {name!r}, the mode {mode!r} has {', '.join(known)}"
            )
    try:
        values = {name: _initial_value(name, value) for name, value in settings.items()}
    except InvalidArgument as error:
        raise ValueError(str(error)) from error
    return {**_DEFAULTS[mode], **values}


def _initial_value(name: str, value: Any) -> Any:
    if name == "trace_level":
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"trace_level is {value!r}, expected a list of levels")
        given = list(value)
        if unknown := [each for each in given if each not in (*LEVELS, "OFF")]:
            raise ValueError(f"trace_level has {unknown[0]!r}, expected OFF, {' or '.join(LEVELS)}")
        return _levels(given)
    if name in _NUMBERS:
        _check_number(name, str(value))
    return str(value)


def _value(name: str, value: Any) -> Any:
    if name == "trace_level":
        return _levels(value)
    if name == "trace_file":
        raise Unimplemented(
            "trace file location can not be updated through network protocol", "501"
        )
    if not isinstance(value, str):
        raise wrong_type("non-string as string")
    _check_number(name, value)
    return value


def _levels(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise wrong_type("non-array as array")
    if not all(isinstance(level, str) for level in value):
        raise wrong_type("non-string as string")
    return [level for level in LEVELS if level in value] or ["OFF"]


def _check_number(name: str, value: str) -> None:
    if not _NUMBER.fullmatch(value) or (name != "trace_count" and value[0] == "-"):
        raise InvalidArgument(f"Unable to parse '{name}', got: {value:.100}", "400")
    if int(value) < -1:
        raise InvalidArgument(
            f"Unable to parse 'trace_count'. Expecting value >= -1, got:{value}", "400"
        )


def _check_together(settings: Mapping[str, Any]) -> None:
    """Raise InvalidArgument if requests can't be traced with these settings."""
    if settings["trace_level"] == ["OFF"]:
        return
    why = ""
    if int(settings["trace_rate"]) == 0:
        why = "sample rate must be non-zero"
    elif settings.get("trace_file") == "":
        why = "trace file name is not given"
    if why:
        raise InvalidArgument(f"Attempting to set invalid trace setting :{why}", "400")
