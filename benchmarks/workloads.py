"""The requests that are sent and the tensors that are packed: the same for every client."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
#: The outputs of a request, or the response's body where a client does not decode it.
Answer: TypeAlias = "Sequence[Array] | bytes | bytearray | memoryview"
#: Makes one request and reads its outputs.
Call: TypeAlias = "Callable[[], Answer]"
AsyncCall: TypeAlias = "Callable[[], Awaitable[Answer]]"

MIB = 2**20
TEXTS = 100_000  # elements of the BYTES tensors whose packing is measured
LONGEST_TEXT = 40
EQUAL_LENGTH = 8
MODELS = ("simple", "identity_fp32", "identity_bytes", "slow_identity")


@dataclass(frozen=True, slots=True)
class Workload:
    """A request and the outputs that the model gives."""

    model: str
    inputs: dict[str, Array]
    datatype: str
    expected: dict[str, Array]
    outputs: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", list(self.expected))

    def check(self, answer: Answer) -> None:
        """Raise AssertionError unless an answer is right, so that nothing wrong is timed."""
        if isinstance(answer, (bytes, bytearray, memoryview)):
            body = bytes(answer)
            if not all(array.tobytes() in body for array in self.expected.values()):
                raise AssertionError(f"{self.model} answered {body[:200]!r}")
            return
        for array, expected in zip(answer, self.expected.values(), strict=True):
            if array.shape != expected.shape or not np.array_equal(array, expected):
                raise AssertionError(f"{self.model} answered {array!r:.200}")


def make_workload(name: str) -> Workload:
    """Return the request of a case."""
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
    """Return a small request that the model answers after `delay` seconds."""
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


class Texts(NamedTuple):
    """A BYTES tensor, and its form on the wire."""

    items: Array
    wire: bytes


def make_texts(name: str) -> Texts:
    """Return 100,000 elements, of `varied` or `equal` lengths."""
    random = np.random.default_rng(0)
    lengths = (
        random.integers(0, LONGEST_TEXT, TEXTS) if name == "varied" else [EQUAL_LENGTH] * TEXTS
    )
    items = np.empty(TEXTS, object)
    items[:] = [random.bytes(length) for length in lengths]
    wire = b"".join(struct.pack("<I", len(item)) + item for item in items)
    return Texts(items, wire)
