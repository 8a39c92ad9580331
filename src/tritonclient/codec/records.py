"""Named tuples to and from JSON values, by field name.

Most messages of the protocol are plain records whose JSON keys are our field names; this writes
and reads all of them. Unknown keys are skipped and missing ones take the field's default, since
servers of other makes and versions send more or less; a value of the wrong kind is refused.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any


def dump(value: Any) -> Any:
    """The JSON value of a record: objects of its fields, lists for other tuples."""
    if isinstance(value, (tuple, list)):
        names = getattr(value, "_fields", None)
        if names is not None:
            return {name: dump(item) for name, item in zip(names, value, strict=True)}
        return [dump(item) for item in value]
    if isinstance(value, Mapping):
        return {key: dump(item) for key, item in value.items()}
    return value


def load(kind: Any, value: Any, where: str = "$") -> Any:
    """A record of type `kind` from a JSON value.

    Raises:
        ValueError: a part of the value is of the wrong kind; the message names the path to it.
    """
    return _reader(kind)(value, where)


@cache
def _reader(kind: Any) -> Callable[[Any, str], Any]:
    if hasattr(kind, "_fields"):
        return _record_reader(kind)
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _tuple_reader(typing.get_args(kind)[0])
    if origin in (dict, Mapping):
        return _mapping_reader(typing.get_args(kind)[1])
    if kind is Any:
        return lambda value, where: value
    if kind is int:
        return _integer
    if kind in (bool, str, float):
        return _scalar_reader(kind)
    if isinstance(kind, types.UnionType):
        return _scalar_reader(*typing.get_args(kind))
    raise TypeError(f"no JSON form for {kind!r}")


def _record_reader(kind: Any) -> Callable[[Any, str], Any]:
    hints = typing.get_type_hints(kind)
    readers = {name: _reader(hints[name]) for name in kind._fields}

    def read(value: Any, where: str) -> Any:
        members = _object(value, where)
        return kind(
            **{
                name: readers[name](item, f"{where}.{name}")
                for name, item in members.items()
                if name in readers and item is not None
            }
        )

    return read


def _tuple_reader(item_kind: Any) -> Callable[[Any, str], Any]:
    reader = _reader(item_kind)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple(reader(item, f"{where}[{i}]") for i, item in enumerate(value))

    return read


def _mapping_reader(item_kind: Any) -> Callable[[Any, str], Any]:
    reader = _reader(item_kind)

    def read(value: Any, where: str) -> Any:
        return {k: reader(v, f"{where}.{k}") for k, v in _object(value, where).items()}

    return read


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    return value


def _integer(value: Any, where: str) -> int:
    # protobuf's JSON form writes 64-bit integers as texts, and gateways pass that on.
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) <= 20:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(where, "an integer", value)
    return value


def _scalar_reader(*kinds: type) -> Callable[[Any, str], Any]:
    names = " or ".join(kind.__name__ for kind in kinds)

    def read(value: Any, where: str) -> Any:
        if type(value) not in kinds:
            raise _wrong(where, names, value)
        return value

    return read


def _wrong(where: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{where} is {value!r:.80}, expected {expected}")
