"""The server as those need it who execute models with the help of other models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from ..messages import Request

if TYPE_CHECKING:
    from .model import Model

T = TypeVar("T")


class Host(Protocol):
    """A server and its models."""

    def model(self, name: str, version: str = "") -> Model:
        """A model that is ready; NotFound when there is none."""
        ...

    def handle(self, request: Request[T]) -> T:
        """The answer to any request."""
        ...
