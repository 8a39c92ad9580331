"""Trace settings: validated and kept as Triton does, although nothing is traced yet."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from ...errors import InvalidArgument, Unimplemented
from .errors import wrong_type

_TRACE_DEFAULTS: Mapping[str, Any] = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "triton",
}
#: Integers that fit into 64 bits.
_NUMBER = re.compile("-?[0-9]{1,18}")
_TRACE_LEVELS = ("TIMESTAMPS", "TENSORS")


class TraceSettings:
    """Global trace settings, and settings of single models that override them. Thread-safe.

    Args:
        trace_file: the file for traces; without it no level can be set, as in Triton.
    """

    def __init__(self, trace_file: str = "") -> None:
        self._lock = threading.Lock()
        self._defaults = {**_TRACE_DEFAULTS, "trace_file": trace_file}
        self._global: dict[str, Any] = dict(self._defaults)
        self._models: dict[str, dict[str, Any]] = {}

    def get(self, model: str) -> dict[str, Any]:
        """Return the effective settings of a model; the global ones for ""."""
        with self._lock:
            return {**self._global, **self._models.get(model, {})}

    def update(self, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings, where None resets one; return the effective settings."""
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
        raise wrong_type("non-array as array")
    if not all(isinstance(level, str) for level in value):
        raise wrong_type("non-string as string")
    return [level for level in value if level in _TRACE_LEVELS] or ["OFF"]


def _trace_value(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type("non-string as string")
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
