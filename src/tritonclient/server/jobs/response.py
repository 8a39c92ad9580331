"""A response to a job, and where responses go."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from ...errors import InferenceServerException
from .tensor import Tensor


class Flag(Protocol):
    """What `threading.Event` is to those who only look at it."""

    def is_set(self) -> bool:
        """Whether it is set."""
        ...


class Answer(NamedTuple):
    """One of the answers to a request: outputs, an error, or neither in a mere sign of the end.

    Attributes:
        final: no more answers come.
    """

    outputs: tuple[Tensor, ...] | None = None
    error: InferenceServerException | None = None
    final: bool = False


Sink: TypeAlias = Callable[[Answer], None]
