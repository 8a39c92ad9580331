"""What is measured: the cases, their workloads and their budgets, the same for both clients.

Each case is run by `measure` in a process of its own, once with the calls of `ours` and once with
those of `official_side`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"

MIB = 2**20
TEXTS = 100_000  # elements of the BYTES tensors whose packing is measured
LONGEST_TEXT = 40
EQUAL_LENGTH = 8


class Kind(Enum):
    """How a case is run, and what its budget limits."""

    BLOCKING = "one request after the other"
    THREADS = "`width` threads, each one request after the other"
    ASYNCIO = "`width` tasks on one event loop, each one request after the other"
    SERIALISE = "a BYTES tensor to wire bytes, no server"
    DESERIALISE = "wire bytes to a BYTES tensor, no server"
    IMPORT = "importing the client in a process that has imported numpy"
    PEAK_BLOCKING = "peak memory of a request, beyond its tensors"
    PEAK_ASYNCIO = "the same on an event loop"
    IN_FLIGHT = "memory per request while `width` requests wait for their answers"

    @property
    def is_memory(self) -> bool:
        return self in (Kind.PEAK_BLOCKING, Kind.PEAK_ASYNCIO, Kind.IN_FLIGHT)


class Front(Enum):
    """Which of our fronts stands against the official client."""

    MODERN = "Client and AsyncClient"
    CLASSIC = "the official client's own names"
    GRPCIO = "Client and AsyncClient through grpcio's channels"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table.

    Attributes:
        count: requests (or calls) per round.
        workload: what is sent or packed; "" where the kind implies it.
        width: threads, or requests in flight.
        prepared: whether the request is built once and sent `count` times.
        budget: at most this multiple of the official client's CPU; seconds for IMPORT, bytes for
            memory; None where none was set.
    """

    name: str
    title: str
    kind: Kind
    workload: str
    count: int
    width: int = 1
    prepared: bool = False
    budget: float | None = None
    front: Front = Front.MODERN
    protocol: str = "http"

    def scaled(self, divisor: int) -> int:
        """The count divided, but enough for every task and thread."""
        return max(self.width, min(self.count, 3), self.count // divisor)

    def rounds(self, wished: int) -> int:
        """How many rounds to make: memory hardly varies, so it needs fewer."""
        return min(wished, 3) if self.kind.is_memory else wished


def _small(name: str, title: str, kind: Kind, width: int = 1, budget: float | None = None) -> Case:
    return Case(name, f"128 bytes, {title}", kind, "small", 2000, width, budget=budget)


_MODERN = (
    _small("blocking", "blocking", Kind.BLOCKING, budget=0.40),
    replace(_small("prepared", "blocking, request built once", Kind.BLOCKING), prepared=True),
    _small("threads-1", "1 thread", Kind.THREADS),
    _small("threads-4", "4 threads", Kind.THREADS, 4),
    _small("threads-16", "16 threads", Kind.THREADS, 16),
    _small("asyncio-1", "asyncio", Kind.ASYNCIO, budget=0.30),
    _small("asyncio-16", "asyncio, 16 in flight", Kind.ASYNCIO, 16, budget=0.30),
    Case("large-16", "16 MiB each way, blocking", Kind.BLOCKING, "16 MiB", 14, budget=0.18),
    Case("large-16-asyncio", "16 MiB each way, asyncio", Kind.ASYNCIO, "16 MiB", 4),
    Case("large-64", "64 MiB each way, blocking", Kind.BLOCKING, "64 MiB", 4),
    Case("bytes", "10,000 BYTES each way, blocking", Kind.BLOCKING, "texts", 60),
    Case("serialise", "serialise 100,000 BYTES", Kind.SERIALISE, "varied", 12, budget=1 / 3),
    Case("deserialise", "deserialise 100,000 BYTES", Kind.DESERIALISE, "varied", 12, budget=1 / 3),
    Case(
        name="serialise-equal",
        title="serialise 100,000 BYTES of equal length",
        kind=Kind.SERIALISE,
        workload="equal",
        count=12,
        budget=1 / 15,
    ),
    Case(
        name="deserialise-equal",
        title="deserialise 100,000 BYTES of equal length",
        kind=Kind.DESERIALISE,
        workload="equal",
        count=12,
        budget=1 / 15,
    ),
    Case("import", "import the client, numpy being there", Kind.IMPORT, "", 3, budget=0.025),
    Case(
        name="memory-64",
        title="64 MiB each way, blocking: peak beyond the two tensors",
        kind=Kind.PEAK_BLOCKING,
        workload="64 MiB",
        count=3,
        budget=4 * MIB,
    ),
    Case(
        name="memory-64-asyncio",
        title="64 MiB each way, asyncio: peak beyond the two tensors",
        kind=Kind.PEAK_ASYNCIO,
        workload="64 MiB",
        count=3,
        budget=4 * MIB,
    ),
    Case(
        name="memory-in-flight",
        title="128 bytes, asyncio, 200 in flight: per request",
        kind=Kind.IN_FLIGHT,
        workload="",
        count=200,
        width=200,
        budget=64 * 1024,
    ),
)


def _modern(name: str) -> Case:
    (case,) = (case for case in _MODERN if case.name == name)
    return case


def _classic(name: str, budget: float | None = None) -> Case:
    """A case once more, with our classic front."""
    modern = _modern(name)
    title = f"{modern.title}: classic front"
    return replace(modern, name=f"classic-{name}", title=title, budget=budget, front=Front.CLASSIC)


def _grpc(name: str, budget: float | None = None, front: Front = Front.MODERN) -> Case:
    """A case once more, over gRPC."""
    modern = _modern(name)
    prefix, suffix = {
        Front.MODERN: ("grpc", ""),
        Front.CLASSIC: ("grpc-classic", ": classic front"),
        Front.GRPCIO: ("grpc-grpcio", ": our codec through grpcio"),
    }[front]
    return replace(
        modern,
        name=f"{prefix}-{name}",
        title=f"gRPC, {modern.title}{suffix}",
        budget=budget,
        front=front,
        protocol="grpc",
    )


CASES = (
    *_MODERN,
    _classic("blocking", 0.50),
    _classic("prepared"),
    _classic("threads-4"),
    _classic("asyncio-1"),
    _classic("asyncio-16"),
    _classic("large-16"),
    _classic("large-16-asyncio"),
    _classic("bytes"),
    _classic("import", 0.025),
    _classic("memory-64"),
    _grpc("blocking", 0.22),
    _grpc("prepared"),
    _grpc("threads-4"),
    _grpc("threads-16"),
    _grpc("asyncio-1", 0.30),
    _grpc("asyncio-16", 0.30),
    _grpc("large-16", 0.25),
    _grpc("large-16-asyncio"),
    _grpc("large-64"),
    _grpc("bytes"),
    _grpc("memory-64", 4 * MIB),
    _grpc("memory-64-asyncio", 4 * MIB),
    _grpc("memory-in-flight", 64 * 1024),
    _grpc("blocking", front=Front.GRPCIO),
    _grpc("asyncio-16", front=Front.GRPCIO),
    _grpc("large-16", front=Front.GRPCIO),
    _grpc("blocking", 0.30, Front.CLASSIC),
    _grpc("threads-4", None, Front.CLASSIC),
    _grpc("asyncio-1", None, Front.CLASSIC),
    _grpc("asyncio-16", None, Front.CLASSIC),
    _grpc("large-16", None, Front.CLASSIC),
    _grpc("import", 0.025, Front.CLASSIC),
)


# Workloads


@dataclass(frozen=True, slots=True)
class Workload:
    """A request and the answer that the model gives."""

    model: str
    inputs: dict[str, Array]
    datatype: str
    expected: dict[str, Array]
    outputs: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", list(self.expected))

    def check(self, answer: list[Array]) -> None:
        """Raise unless an answer holds what it should, so that nothing wrong is timed."""
        for array, expected in zip(answer, self.expected.values(), strict=True):
            if array.shape != expected.shape or not np.array_equal(array, expected):
                raise AssertionError(f"{self.model} answered {array!r:.200}")


def make_workload(name: str) -> Workload:
    """The request of a case."""
    return _WORKLOADS[name]()


def _sum() -> Workload:
    a = np.arange(16, dtype=np.int32).reshape(1, 16)
    b = np.full((1, 16), 3, np.int32)
    expected = {"OUTPUT0": a + b, "OUTPUT1": a - b}
    return Workload("simple", {"INPUT0": a, "INPUT1": b}, "INT32", expected)


def _floats(size: int) -> Workload:
    array = np.random.default_rng(0).random(size // 4, np.float32)
    return Workload("identity_fp32", {"INPUT0": array}, "FP32", {"OUTPUT0": array})


def _texts() -> Workload:
    array = make_texts("varied").items[:10_000]
    return Workload("identity_bytes", {"INPUT0": array}, "BYTES", {"OUTPUT0": array})


def waiting(delay: float) -> Workload:
    """A small request that the model answers after `delay` seconds."""
    array = np.arange(16, dtype=np.int32)
    milliseconds = np.array([delay * 1000], np.int32)
    inputs = {"INPUT0": array, "DELAY_MS": milliseconds}
    return Workload("slow_identity", inputs, "INT32", {"OUTPUT0": array})


_WORKLOADS: dict[str, Callable[[], Workload]] = {
    "small": _sum,
    "warm-up": lambda: _floats(64),
    "16 MiB": lambda: _floats(16 * MIB),
    "64 MiB": lambda: _floats(64 * MIB),
    "texts": _texts,
}
MODELS = ("simple", "identity_fp32", "identity_bytes", "slow_identity")


class Texts(NamedTuple):
    """A BYTES tensor, and its form on the wire."""

    items: Array
    wire: bytes


def make_texts(name: str) -> Texts:
    """100,000 elements, of `varied` or `equal` lengths."""
    random = np.random.default_rng(0)
    lengths = (
        random.integers(0, LONGEST_TEXT, TEXTS) if name == "varied" else [EQUAL_LENGTH] * TEXTS
    )
    items = np.empty(TEXTS, object)
    items[:] = [random.bytes(length) for length in lengths]
    wire = b"".join(struct.pack("<I", len(item)) + item for item in items)
    return Texts(items, wire)
