"""Coverage-guided fuzzing of all that reads bytes from a peer.

Each target is a module of this package with two functions: `check(data)` raises when what those
bytes say makes our code break a promise, and `seeds()` gives inputs to begin with, made from the
recordings of a real Triton where there are any. Neither needs a fuzzer:
`tests/meta/test_fuzzing.py` runs every target over its seeds, mutations of them, and all inputs
that ever failed.

    python -m fuzzing --time 60            # each target for a minute, with atheris
    python -m fuzzing --time 60 http1      # one of them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, NamedTuple

from tritonclient.codec.outputs import PlacedOutputs

#: What is fuzzed, by the names of the modules.
TARGETS = (
    "http1",
    "http2_bytes",
    "http2_frames",
    "http2_requests",
    "rest_answers",
    "rest_requests",
    "rpc_answers",
    "rpc_requests",
    "codings",
    "bytes_tensors",
)


class Target(NamedTuple):
    """The functions of a target's module."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


def load(name: str) -> Target:
    """The target of this name."""
    module = import_module(f"fuzzing.{name}")
    return Target(module.check, module.seeds)


class Choices:
    """An input read as choices, one after another; at its end all are 0 and empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        """True if input is left."""
        return self._position < len(self._data)

    def take(self, size: int) -> bytes:
        """The next bytes, as many as there are."""
        start = self._position
        self._position += size
        return self._data[start : self._position]

    def number(self, size: int = 1) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def below(self, limit: int) -> int:
        """A small number."""
        return self.number() % limit

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def plain(value: Any) -> Any:
    """A value in a form in which what means the same is equal: memory is bytes, and NaN is NaN."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return sorted((key, plain(item)) for key, item in value.items())
    if isinstance(value, PlacedOutputs):
        value = tuple(value)
    if isinstance(value, (tuple, list)):
        return [type(value), *map(plain, value)]
    if is_dataclass(value):
        return [type(value), *(plain(getattr(value, each.name)) for each in fields(value))]
    return type(value), repr(value)
