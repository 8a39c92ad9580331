"""`Host`: what models may ask of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ...messages import Request
from ..telemetry.metrics import MetricsClient
from .job import Job, JobOptions
from .model_info import ModelInfo
from .response import ResponseSink
from .tensor import Tensor

T = TypeVar("T")


class Host(Protocol):
    """The server, for models that execute other models."""

    def model_info(self, name: str, version: str = "") -> ModelInfo:
        """Return the interface of a ready model; NotFound or ModelNotReady if there is none.

        Args:
            version: "" for the highest.
        """
        ...

    def submit(
        self,
        name: str,
        version: str,
        tensors: Sequence[Tensor],
        options: JobOptions,
        sink: ResponseSink,
    ) -> Job:
        """Start a request to a model and return its job; the responses go to `sink`.

        Raises:
            NotFound: there is no such model.
            ServerError: the request does not fit it.
        """
        ...

    def handle(self, request: Request[T]) -> T:
        """Return the response to any request of the protocol."""
        ...

    def metrics(self) -> MetricsClient:
        """Return the metrics for one instance, which closes them at its end."""
        ...
