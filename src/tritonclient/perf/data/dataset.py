"""What is sent, as tensors: streams of steps, whatever they were loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...datatypes import Buffer


@dataclass(frozen=True)
class Tensor:
    """Values of batch 1.

    Attributes:
        shape: without the batch dimension.
        data: wire bytes.
    """

    datatype: str
    shape: tuple[int, ...]
    data: Buffer


@dataclass(frozen=True)
class Step:
    """One request of batch 1.

    Attributes:
        expected: outputs that the answer must have; empty for not checked.
        timestamp: milliseconds after the start at which it is sent; None for no schedule.
        payload: the body of a request that is no tensors: JSON for OpenAI, a file for TorchServe.
        session: the conversation it belongs to, and the pause before it in milliseconds.
    """

    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    expected: Mapping[str, Tensor] = field(default_factory=dict)
    timestamp: float | None = None
    payload: Any = None
    session: str = ""
    delay: float = 0.0
    weight: int = 1


@dataclass
class Dataset:
    """Streams of steps; for a sequence model each stream is a sequence.

    Attributes:
        loaded: whether it comes from files with steps, whose number the console tells.
        summary: for the report: what the data is.
    """

    streams: list[list[Step]]
    loaded: bool = False
    summary: str = "random"

    @property
    def steps(self) -> list[Step]:
        """All steps, one stream behind the other, as often as their weights say."""
        return [
            step for stream in self.streams for step in stream for _ in range(max(1, step.weight))
        ]
