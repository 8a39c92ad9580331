"""What executes a model; one module per kind of model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ...errors import InferenceServerException
from ..config.reading import ModelConfig
from ..jobs.host import Host
from ..jobs.job import Job
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Stopwatch

#: What becomes of one job: its outputs, why it failed, or None when the job was sent its answers,
#: or will be.
Result: TypeAlias = "Sequence[Tensor] | InferenceServerException | None"


class Instance(Protocol):
    """Executes one batch at a time, always on the thread that made it."""

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        """A result for each job; an exception fails all of them.

        Args:
            watch: to be told when the inputs are ready, and when the outputs are computed.
        """
        ...

    def close(self) -> None:
        """Give up what the instance holds; it executes no more."""


Maker: TypeAlias = Callable[[], Instance]


@dataclass(frozen=True, slots=True)
class Source:
    """A version of a model to be loaded.

    Attributes:
        directory: the model's directory, which holds a directory per version.
        config: completed; a backend may complete it further.
        host: the server, for models that call models.
    """

    name: str
    version: int
    directory: Path
    config: ModelConfig
    host: Host

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.directory / str(self.version) / str(self.config.default_model_filename)


class Backend(Protocol):
    """Makes the instances of one version of a model, after its configuration was completed."""

    def complete(self, source: Source) -> None:
        """Fill in what of the configuration can be learnt from the model."""

    def instances(self, source: Source, config: dict[str, Any]) -> list[Maker]:
        """What makes each of the instances that the configuration, in its JSON form, asks for."""
        ...
