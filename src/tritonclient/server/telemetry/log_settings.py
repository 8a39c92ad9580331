"""Log settings: validated and kept as Triton does."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ...errors import InvalidArgument, Unimplemented
from .errors import wrong_type

_LOG_DEFAULTS: Mapping[str, Any] = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}
_LOG_FORMATS = ("default", "ISO8601")


class LogSettings:
    """The log settings of the server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: dict[str, Any] = dict(_LOG_DEFAULTS)

    def get(self) -> dict[str, Any]:
        """Return the settings."""
        with self._lock:
            return dict(self._settings)

    def update(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings and return all of them."""
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
        if type(value) is not int or not 0 <= value < 1 << 64:
            raise wrong_type("non-unsigned-integer as unsigned-integer")
    elif name == "log_format":
        if not isinstance(value, str):
            raise wrong_type("non-string as string")
        if value not in _LOG_FORMATS:
            raise InvalidArgument(f"invalid argument for --log_format, got: {value}", "503")
    elif type(value) is not bool:
        raise wrong_type("non-boolean as boolean")
    return value
