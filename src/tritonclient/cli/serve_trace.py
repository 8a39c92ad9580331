"""The flags of `tritonclient serve` that concern traces, with tritonserver's names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..server.telemetry.trace_settings import LEVELS, MODES

#: Names of options: the trace setting that each one sets.
_GENERAL = {"level": "trace_level", "rate": "trace_rate", "count": "trace_count"}
_OF_MODE = {
    "triton": {"file": "trace_file", "log-frequency": "log_frequency"},
    "opentelemetry": {
        **{name: name for name in ("url", "resource", "bsp_max_queue_size")},
        **{name: name for name in ("bsp_schedule_delay", "bsp_max_export_batch_size")},
    },
}
#: Names of numbers: lowest and highest value.
_UNSIGNED, _SIGNED = (0, (1 << 32) - 1), (-1, (1 << 31) - 1)
_LIMITS = {
    "rate": _UNSIGNED,
    "count": _SIGNED,
    "log-frequency": _UNSIGNED,
    "bsp_max_queue_size": _UNSIGNED,
    "bsp_schedule_delay": _UNSIGNED,
    "bsp_max_export_batch_size": _UNSIGNED,
}


class _Option(NamedTuple):
    """An option of --trace-config; `mode` is "" for those of all modes."""

    mode: str
    name: str
    value: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    group = parser.add_argument_group(
        "traces", "Clients can read and change these settings. Nothing is traced yet."
    )
    group.add_argument(
        "--trace-config",
        action="append",
        default=[],
        type=_option,
        metavar="OPTION",
        help="[MODE,]NAME=VALUE: mode=triton or opentelemetry, level=TIMESTAMPS, TENSORS or OFF, "
        "rate=NUMBER, count=NUMBER, triton,file=FILE, triton,log-frequency=NUMBER, "
        "opentelemetry,url=URL and others; may be given several times",
    )
    for name in ("file", "level", "rate", "count", "log-frequency"):
        prefix = "triton," if name in _OF_MODE["triton"] else ""
        group.add_argument(
            f"--trace-{name}",
            action="append",
            default=[],
            type=_older(name),
            metavar="VALUE",
            help=f"deprecated form of --trace-config {prefix}{name}=VALUE",
        )


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the initial trace settings, by their names in the trace endpoint."""
    mode = _mode(arguments)
    options = [*_older_options(arguments), *arguments.trace_config]
    found: dict[str, Any] = {"trace_mode": mode}
    names = {**_GENERAL, **_OF_MODE[mode]}
    for each in options:
        if each.name not in names or not _concerns(each, mode):
            continue
        if each.name == "level":  # all levels together
            found["trace_level"] = [*found.get("trace_level", ()), each.value]
        else:
            found[names[each.name]] = each.value
    return found


def ignored(arguments: argparse.Namespace) -> list[str]:
    """Return the options that have no effect, with a hint."""
    return list(_ignored(arguments))


def _ignored(arguments: argparse.Namespace) -> Iterator[str]:
    mode = _mode(arguments)
    for each in arguments.trace_config:
        text = f"--trace-config {each.mode}{',' if each.mode else ''}{each.name}={each.value}"
        if each.mode:
            if each.mode != mode:
                yield f"{text} (the mode is {mode})"
            elif each.name not in _OF_MODE[mode]:
                yield f"{text} ({mode} has {', '.join(_OF_MODE[mode])})"
        elif each.name not in ("mode", *_GENERAL):
            homes = [other for other in MODES if each.name in _OF_MODE[other]]
            hint = f"write {homes[0]},{each.name}=" if homes else "there is no such option"
            yield f"{text} ({hint})"
    if mode != "triton":
        for name in _OF_MODE["triton"]:
            if _values(arguments, name):
                yield f"--trace-{name} (the mode is {mode})"


def _mode(arguments: argparse.Namespace) -> str:
    modes = [
        each.value for each in arguments.trace_config if (each.mode, each.name) == ("", "mode")
    ]
    return modes[-1] if modes else "triton"


def _concerns(option: _Option, mode: str) -> bool:
    """Return True if an option has its prefix, and concerns this mode."""
    return option.mode == ("" if option.name in _GENERAL else mode)


def _older_options(arguments: argparse.Namespace) -> Iterator[_Option]:
    """Yield the options that were given by flags of their own."""
    for name in (*_GENERAL, *_OF_MODE["triton"]):
        for value in _values(arguments, name):
            yield _Option("" if name in _GENERAL else "triton", name, value)


def _values(arguments: argparse.Namespace, name: str) -> list[str]:
    values: list[str] = vars(arguments)[f"trace_{name.replace('-', '_')}"]
    return values


def _option(text: str) -> _Option:
    """Return the option in `[MODE,]NAME=VALUE`."""
    prefix, comma, rest = text.partition(",")
    if not comma or "=" in prefix:  # the comma is part of the value
        prefix, comma, rest = "", "", text
    mode, (name, _, value) = prefix.lower(), rest.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not [MODE,]NAME=VALUE")
    if comma and mode not in MODES:
        raise argparse.ArgumentTypeError(
            f"{prefix!r} is not a trace mode, expected {' or '.join(MODES)}"
        )
    if not mode and name == "mode":
        value = value.lower()
        if value not in MODES:
            raise argparse.ArgumentTypeError(
                f"{value!r} is not a trace mode, expected {' or '.join(MODES)}"
            )
    return _Option(mode, name, _checked(name, value))


def _older(name: str) -> Any:
    def value(text: str) -> str:
        if not text:
            raise argparse.ArgumentTypeError("expected a value")
        return _checked(name, text)

    return value


def _checked(name: str, value: str) -> str:
    """Return the value of an option as the trace endpoint has it."""
    if name == "level":
        return _level(value)
    if name not in _LIMITS:
        return value
    low, high = _LIMITS[name]
    try:
        number = int(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number from {low} to {high}")
    return str(number)


def _level(text: str) -> str:
    level = text.upper()
    if level in ("MIN", "MAX"):  # older names, which Triton still accepts
        return "TIMESTAMPS"
    if level not in (*LEVELS, "OFF"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a trace level, expected OFF, {' or '.join(LEVELS)}"
        )
    return level
